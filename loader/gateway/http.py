"""HTTP for the handlers: fields of requests, errors that are sent as answers, and endpoints for Starlette's routes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from loader.gateway.answers import error_body
from loader.gateway.metrics import Metrics

if TYPE_CHECKING:
    from loader.gateway.connection import Connection

JSON = "application/json"

_ONCE = frozenset(
    (b"authorization", b"content-encoding", b"host", b"idempotency-key", b"transfer-encoding", b"x-api-key")
)
"""Fields that a request may have once: of two, a proxy and the gateway might each take another one."""

log = logging.getLogger("runqy_loader")


class HttpError(Exception):
    """An error that is sent as the answer to a request, in the form of runqy's API: ``{"errors": [...]}``.

    Args:
        close: Whether the connection ends with the answer.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, *, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self._body = error_body(message)
        self._headers = {**(headers or {}), **({"connection": "close"} if close else {})}

    @property
    def answer(self) -> Response:
        return Response(self._body, self.status, self._headers, JSON)


def unavailable(message: str, seconds: int = 1) -> HttpError:
    """Status 503. ``seconds`` is the ``Retry-After`` (RFC 9110, 10.2.3)."""
    return HttpError(503, message, {"retry-after": str(seconds)})


@dataclass(slots=True)
class Request:
    """A request as its handler needs it.

    Attributes:
        fields: Header fields that a request may have once, and ``Content-Length``; names in small letters.
        held: Bytes of its body that are in memory. The endpoint gives them back to the budget.
        held_answer: Bytes of its answer, which are given back once it is sent.
    """

    scope: Scope
    receive: Receive
    fields: Mapping[bytes, bytes]
    held: int = 0
    held_answer: int = 0

    @property
    def path(self) -> str:
        path: str = self.scope["path"]
        return path

    @property
    def connection(self) -> Connection:
        connection: Connection = self.scope["state"]["connection"]
        return connection


def read_fields(scope: Scope) -> dict[bytes, bytes]:
    """The header fields that count, once each.

    Raises:
        HttpError: A field that must not come twice does, ``Host`` is missing (RFC 9112, 3.2), or the transfer coding is
            not known (RFC 9112, 6.1).
    """
    fields: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _ONCE:
            if name in fields:
                raise HttpError(400, f"the header field {name.decode()} comes more than once", close=True)
            fields[name] = value
        elif name == b"content-length":
            fields[name] = value
    if b"host" not in fields and scope["http_version"] == "1.1":
        raise HttpError(400, "the header field host is missing", close=True)
    if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise HttpError(400, "the only transfer coding that is read is chunked", close=True)
    return fields


Handler = Callable[[Request], Awaitable[Response]]


class Endpoint:
    """An ASGI application for one path of the OpenAPI document.

    Args:
        path: As in the document; for metrics and the log.
        handlers: By method.
        release: Gives bytes of a body or an answer back.
    """

    def __init__(
        self, path: str, handlers: Mapping[str, Handler], metrics: Metrics, release: Callable[[int], None]
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._metrics = metrics
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = Request(scope, receive, {})
        try:
            request.fields = read_fields(scope)
            answer = await self._handler(scope["method"])(request)
        except ClientDisconnect:
            return
        except HttpError as error:
            answer = error.answer
        except asyncio.CancelledError:  # it is not done after --shutdown-timeout
            answer = unavailable("the gateway stops; nothing was done").answer
        except Exception:  # a bug: the client still gets an answer in the usual form
            log.exception("while answering %s %s", scope["method"], self._path)
            answer = HttpError(500, "internal error; this is a bug").answer
        finally:
            self._release(request.held)
        try:
            await answer(scope, receive, send)
            if request.held_answer:
                await request.connection.sent()
        finally:
            self._release(request.held_answer)
        self._metrics.answered(self._path, answer.status_code, time.perf_counter() - began)

    def _handler(self, method: str) -> Handler:
        if (handler := self._handlers.get(method)) is not None:
            return handler
        if not self._handlers:
            raise HttpError(404, "not found")
        raise HttpError(405, "method not allowed", {"allow": ", ".join(sorted(self._handlers))})
