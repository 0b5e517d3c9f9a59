"""HTTP for the handlers: requests, answers, and errors that are sent as answers. It works with any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from loader.gateway.messages import error_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
_READ_FACTOR = 4
"""If a refused body is at most this many times the limit, its rest is read, so that its sender gets the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()

    async def send(self, send: Send) -> None:
        length = b"%d" % len(self.body)
        headers = [(b"content-type", self.content_type), (b"content-length", length), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class HttpError(Exception):
    """An error that is sent as the answer to a request, in the form of runqy's API: ``{"errors": [...]}``."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.answer = Answer(status, error_body(message), headers=headers)


class ClientGoneError(Exception):
    """The client has closed the connection; there is nobody to answer."""


def unavailable(message: str, seconds: int = 1) -> HttpError:
    """Status 503. ``seconds`` is the ``Retry-After`` (RFC 9110, 10.2.3)."""
    return HttpError(503, message, ((b"retry-after", b"%d" % seconds),))


class Budget:
    """Limits the bytes of request bodies that are in memory at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Reserves bytes. Raises HttpError if the limit would be exceeded."""
        if self.used + size > self._limit:
            raise unavailable("the gateway is at its limit of buffered bytes; try again")
        self.used += size

    def release(self, size: int) -> None:
        self.used -= size


class Request:
    """A request as its handler needs it.

    Attributes:
        size: Bytes taken from the budget. The gateway releases them once the request is answered.
    """

    __slots__ = ("_budget", "_limit", "_receive", "_timeout", "authorization", "idempotency_key", "length", "path",
                 "query", "size")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, budget: Budget, limit: int, timeout: float) -> None:
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.authorization = b""
        self.idempotency_key: bytes | None = None
        self.length: int | None = None
        self.size = 0
        for name, value in scope["headers"]:
            if name == b"authorization":
                self.authorization = value
            elif name == b"idempotency-key":
                self.idempotency_key = value
            elif name == b"content-length":
                self.length = int(value)  # the server has checked it
        self._receive = receive
        self._budget = budget
        self._limit = limit
        self._timeout = timeout

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            HttpError: The body is too long, arrives too slowly, or does not fit in the budget now.
            ClientGoneError: The client has closed the connection before the end of the body.
        """
        if self.length is not None:
            if self.length > self._limit:
                raise self._too_long(self.length)
            self._take(self.length)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._read()
        except TimeoutError:
            message = f"the body did not arrive within {self._timeout:g} s"
            raise HttpError(408, message, ((b"connection", b"close"),)) from None

    async def _read(self) -> bytes:
        chunks: list[bytes] = []
        total = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunk = message.get("body", b"")
            total += len(chunk)
            if total > self._limit:
                raise self._too_long(None)
            if total > self.size:
                self._take(total - self.size)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks) if len(chunks) > 1 else chunks[0]

    async def gone(self) -> None:
        """Returns once the client has closed the connection."""
        while (await self._receive())["type"] == "http.request":
            pass

    def _take(self, size: int) -> None:
        self._budget.take(size)
        self.size += size

    def _too_long(self, length: int | None) -> HttpError:
        # After the answer, the server reads and drops what the client still sends, rather than reset the connection.
        # A limit keeps this from going on without end.
        close = length is None or length > _READ_FACTOR * self._limit
        headers = ((b"connection", b"close"),) if close else ()
        return HttpError(413, f"the body is too long: at most {self._limit} bytes", headers)
