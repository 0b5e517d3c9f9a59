#!/usr/bin/env bash
# uvicorn 0.54.0 with httptools 0.9.0: a POST that offers to go on with HTTP/2 (Upgrade: h2c), as Java's HttpClient and
# curl --http2 send it, reaches the application without its body. A server may ignore an offer (RFC 9110, 7.8); with h11
# instead of httptools, uvicorn does, and the body arrives.
#
# Prints how many bytes of 5 the application reads. Exits with 0 while httptools gives 0 and h11 gives 5.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0

measure() {
    "$folder/venv/bin/python" - "$1" <<'PYTHON'
import asyncio
import sys

import uvicorn


async def application(scope, receive, send):
    message = await receive()
    size = b"%d" % len(message["body"])
    headers = [(b"content-length", b"%d" % len(size)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": size})


REQUEST = (
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\nContent-Length: 5\r\n\r\nhello"
)


async def main():
    config = uvicorn.Config(application, port=0, http=sys.argv[1], lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    writer.write(REQUEST)
    answer = await asyncio.wait_for(reader.read(), 10)
    print(answer.rpartition(b"\r\n\r\n")[2].decode())
    writer.close()
    server.should_exit = True
    await serving


asyncio.run(main())
PYTHON
}

fast=$(measure httptools)
plain=$(measure h11)
echo "bytes of 5 that arrive: $fast with httptools, $plain with h11"
[ "$fast" = 0 ] && [ "$plain" = 5 ]
