#!/usr/bin/env bash
# CPython 3.11.7 (the same in 3.10.13, 3.12.1 and 3.13.0): a connection that asyncio's server accepts in the moment in
# which Server.close() is called is neither served nor closed. The socket is accepted, and a task is made that builds its
# transport; where close() runs before that task, the task ends in silence. The client is connected, and hears nothing.
# It is refused a little earlier (the kernel resets it), and served a little later.
#
# A client connects, the event loop turns so many times, and the server is closed. Prints what the client gets for each
# number of turns. Exits with 0 while the client is reset at first, served at the end, and left alone in between.
# Guess refuted: after Server.close(), a client is served, or it sees that its connection has ended.
set -euo pipefail

python3 - <<'PYTHON'
import asyncio
import socket
import sys

TURNS = 5


async def serve(reader, writer):
    writer.write(b"hello")
    await writer.drain()
    writer.close()


async def closed_after(turns):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        server.close()
        client.settimeout(1)
        try:
            return (await asyncio.to_thread(client.recv, 10)).decode()
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "nothing within a second"


async def main():
    found = []
    for turns in range(TURNS):
        found.append(await closed_after(turns))
        print(f"CPython {sys.version.split()[0]}, closed after {turns} turns: {found[-1]}")
    assert (found[0], found[-1]) == ("reset", "hello"), found
    assert "nothing within a second" in found, "every connection is ended or served now"


asyncio.run(main())
PYTHON
