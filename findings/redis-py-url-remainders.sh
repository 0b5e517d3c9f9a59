#!/bin/sh
# redis-py 8.1.0: what from_url cannot place in a URL is dropped, and the rest may name another server.
#
# Guess: a URL with a part that means nothing (a fragment, a parameter without a value, a second one of the same name, a
# host in a unix:// URL) is refused.
# Seen: all of these are passed over without a word. With a '#' in a password that was not percent-encoded, the host is
# lost with it: the client is made for localhost, and for a port that is the beginning of the password.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import redis

EXPECTED = {
    "redis://:18200#word@queue.example:6379/0": {"port": 18200},
    "redis://queue.example:6379?db": {"host": "queue.example", "port": 6379},
    "redis://queue.example:6379?db=1&db=2": {"host": "queue.example", "port": 6379, "db": 1},
    "unix://run/redis.sock": {"path": "/redis.sock"},
}

print(f"redis-py {version('redis')}")
seen = {}
for url in EXPECTED:
    options = redis.Redis.from_url(url).connection_pool.connection_kwargs
    seen[url] = {name: options[name] for name in ("host", "port", "db", "path") if name in options}
    print(f"  {url:42} {seen[url]}")

if seen != EXPECTED:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
