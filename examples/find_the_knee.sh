#!/usr/bin/env bash
# At which rate do consumers fall behind? Five consumers that need 50 ms a task take 100 tasks a second. A load whose
# rate rises from 20/s to 300/s must show that.
#
# find_the_knee.sh [URL [SECONDS]]: the server, and how long the rate rises (30). The queue "knee" must be empty.
set -euo pipefail

url=${1:-redis://localhost:6379/0} seconds=${2:-30}
count=$((seconds * (20 + 300) / 2))

cat >order.json <<'JSON'
{"order": "{{ sequence }}", "note": "{{ text(lognormal(80, 0.6, max=2000)) }}"}
JSON

runqy-loader consume --queue knee --layout asynq --consumers 5 --service-time 50ms \
	--redis "$url" --report consumers.json &
consumers=$!
trap 'kill -INT "$consumers" 2>/dev/null || true' EXIT

runqy-loader load --generate order.json --count "$count" --queue knee --layout asynq --redis "$url" --again \
	--rate "ramp(20/s, 300/s, ${seconds}s)" --series 0.5s --html knee.html --report knee.json --fail-if 'capacity<50'

kill -INT "$consumers"
wait "$consumers"
