"""The first contact with a server. It detects within seconds whether the port speaks TLS.

A server without TLS waits for the rest of a command, and a client with TLS waits for the answer to its handshake.
Without a check of the port, both would wait until the timeout.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from loader.errors import ConnectionFailedError, UsageError
from loader.wire.address import Address

T = TypeVar("T")

_SILENCE_SECONDS = 2.0
_PROBE_SECONDS = 2.0


async def first_contact(address: Address, step: Callable[[], Awaitable[T]]) -> T:
    """Runs a first step with a server. If the server is silent, or the step fails, checks whether the port speaks TLS.

    Raises:
        UsageError: The port speaks TLS and the URL does not, or the other way round.
        LoaderError: The step failed.
    """
    task = asyncio.ensure_future(step())
    try:
        await asyncio.wait([task], timeout=_SILENCE_SECONDS)
        if not task.done() and (wrong := await _mismatch(address)) is not None:
            raise wrong
        return await task
    except ConnectionFailedError as error:
        if (wrong := await _mismatch(address)) is not None:
            raise wrong from error
        raise
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def _mismatch(address: Address) -> UsageError | None:
    if address.path is not None or address.sentinels is not None:
        return None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            if address.tls is not None:
                if await _answers_in_plain_text(address):
                    return UsageError(
                        f"{address} answers without TLS", "Use redis:// in place of rediss://, or the server's TLS port"
                    )
            elif await _answers_in_tls(address):
                return UsageError(
                    f"{address} answers with TLS only", "Use rediss:// in place of redis://; see docs/tls.md"
                )
    except OSError:  # TimeoutError and ssl.SSLError are among them: then the port speaks neither
        return None
    return None


async def _answers_in_plain_text(address: Address) -> bool:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"PING\r\n")
        return (await reader.read(16))[:1] in (b"+", b"-")  # +PONG, -NOAUTH, -LOADING
    finally:
        writer.transport.abort()


async def _answers_in_tls(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: this only asks whether TLS is spoken
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    writer.transport.abort()
    return True
