"""A TLS server that chooses the server behind it by the name that a client asks for (SNI), as hosted services do."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def sni_router(certificate: Path, key: Path, name: str, port: int) -> Iterator[tuple[int, list[str | None]]]:
    """Passes connections that ask for this name on to a port of this machine, and refuses all others.

    Yields:
        Its port, and the names that were asked for.
    """
    asked: list[str | None] = []

    def choose(_: object, wanted: str | None, __: object) -> int | None:
        asked.append(wanted)
        return None if wanted == name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.sni_callback = choose
    loop = asyncio.new_event_loop()

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, from_server), _copy(to_server, writer))

    server = loop.run_until_complete(asyncio.start_server(both, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
