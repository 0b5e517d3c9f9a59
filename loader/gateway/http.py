"""What the handlers see of HTTP: requests, answers, and errors that are answers. Under them is any ASGI server."""

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
_STILL_READ = 4
"""How many times the limit a refused body may be for its rest to be read, so that its sender gets to see the answer."""


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
    """A request that is answered with an error, in the form of runqy's API: ``{"errors": [...]}``."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.answer = Answer(status, error_body(message), headers=headers)


class ClientGoneError(Exception):
    """The client has closed the connection; there is nobody to answer."""


def unavailable(message: str, seconds: int = 1) -> HttpError:
    """Status 503. ``seconds`` is when to try again (RFC 9110, 10.2.3)."""
    return HttpError(503, message, ((b"retry-after", b"%d" % seconds),))


class Budget:
    """Bytes of bodies that are held at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Raises HttpError if that would be too many."""
        if self.used + size > self._limit:
            raise unavailable("the gateway holds as much as it may; try again")
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size


class Request:
    """A request as its handler needs it.

    Attributes:
        size: Bytes taken from the budget; the gateway gives them back once the request is answered.
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
            HttpError: It is too long, too slow, or more than can be held now.
            ClientGoneError: It does not come to its end.
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
        # The server reads and drops what a client still sends after its answer, which is kinder than a reset, but not
        # without end.
        close = length is None or length > _STILL_READ * self._limit
        headers = ((b"connection", b"close"),) if close else ()
        return HttpError(413, f"the body is too long: at most {self._limit} bytes", headers)
