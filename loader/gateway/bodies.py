"""Reads the bodies of requests, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from starlette.requests import ClientDisconnect

from loader.gateway.http import HttpError, Request
from loader.gateway.overload import Limit

_GZIP = 31
"""What zlib calls deflated data with the header and trailer of gzip."""

DROPPED = 4
"""Up to so many times the limit, a body that is refused is read to its end, and the connection goes on."""

_PIECE = 256 * 1024
"""Bytes that are inflated at once: so many may be in memory before they are counted."""

_FED = 4 * 1024
"""Bytes that zlib gets at once: what is left of them is copied for each gzip member that ends in them."""


class Bodies:
    """Reads bodies whole.

    Args:
        most: Bytes of a body, inflated if it is compressed.
        memory: Bytes of all bodies that are in memory. Each takes from it what has arrived, not what it has announced.
    """

    def __init__(self, most: int, memory: Limit) -> None:
        self._most = most
        self._memory = memory

    async def read(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            HttpError: It is too long or is compressed in a way that is not read, or there is no memory for it.
            ClientDisconnect: The connection was closed before its end, by the client or because it was too slow.
        """
        coding = request.fields.get(b"content-encoding", b"identity").lower()
        if coding not in (b"identity", b"gzip", b"x-gzip"):
            raise HttpError(415, "the only content coding that is read is gzip", {"accept-encoding": "gzip"})
        length = int(request.fields.get(b"content-length", b"0"))  # the server has checked that it is a number
        if length > self._most:
            raise self._too_long(length)
        inflated = None if coding == b"identity" else _Inflated()
        parts: list[bytes] = []
        arrived, more = 0, True
        while more:
            message = await request.receive()  # the connection is lost if the body does not arrive in time
            if message["type"] != "http.request":
                raise ClientDisconnect
            content, more = message.get("body", b""), message.get("more_body", False)
            arrived += len(content)
            if arrived > self._most:  # gzip members may be empty
                raise self._too_long(length)
            for part in (content,) if inflated is None else inflated.add(content):
                if request.held + len(part) > self._most:
                    raise self._too_long(length)
                if not self._memory.take_now(len(part)):
                    await self._memory.take(len(part))
                request.held += len(part)
                parts.append(part)
        if inflated is not None:
            inflated.check_end()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_long(self, length: int) -> HttpError:
        close = not 0 < length <= DROPPED * self._most
        return HttpError(413, f"the body is too long: at most {self._most} bytes", close=close)


class _Inflated:
    """Inflates gzip members one after the other (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_empty = True

    def add(self, content: bytes) -> Iterator[bytes]:
        """Inflates the next bytes. Raises HttpError if they are damaged."""
        for start in range(0, len(content), _FED):
            yield from self._add(content[start : start + _FED])

    def _add(self, content: bytes) -> Iterator[bytes]:
        while content:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._is_empty = False
            try:
                part = self._member.decompress(content, _PIECE)
            except zlib.error:
                raise HttpError(400, "the body is not the gzip data that its header fields announce") from None
            content = self._member.unconsumed_tail or self._member.unused_data
            if part:
                yield part

    def check_end(self) -> None:
        """Raises HttpError if the data are cut."""
        if not self._is_empty and not self._member.eof:
            raise HttpError(400, "the body's gzip data are cut")
