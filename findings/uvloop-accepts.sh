#!/usr/bin/env bash
# uvloop 0.23.0: of connections that wait, one is accepted in a turn of the event loop, whatever the backlog. asyncio's own
# loop accepts as many as the backlog says. So new clients of a busy server, whose turns are long, wait for a turn each.
# The same socket listened at twice (socket.dup) has two accepted in a turn.
#
# Prints how many of 50 waiting connections are accepted in a turn at most. Exits with 0 while uvloop accepts 1 and asyncio 50.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0

measure() {
    "$folder/venv/bin/python" - "$1" <<'PYTHON'
import asyncio
import socket
import sys

import uvloop

accepted = [0]


class Server(asyncio.Protocol):
    def connection_made(self, transport):
        accepted[-1] += 1


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=100)
    address = server.sockets[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(50)]  # the loop does not turn meanwhile
    while sum(accepted) < 50:
        accepted.append(0)
        await asyncio.sleep(0)
    print(max(accepted))
    for client in clients:
        client.close()
    server.close()


run = uvloop.run if sys.argv[1] == "uvloop" else asyncio.run
run(main())
PYTHON
}

fast=$(measure uvloop)
plain=$(measure asyncio)
echo "accepted in a turn: $fast by uvloop, $plain by asyncio"
[ "$fast" = 1 ] && [ "$plain" = 50 ]
