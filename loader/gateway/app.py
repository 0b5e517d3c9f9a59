"""The gateway as an ASGI application: its routes, and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from loader.gateway.answers import health_body
from loader.gateway.bodies import Bodies
from loader.gateway.encoders import Encoders
from loader.gateway.enqueueing import Enqueueing
from loader.gateway.http import JSON, Endpoint, Handler, HttpError, Request
from loader.gateway.idempotency import IdempotencyKeys
from loader.gateway.keys import ApiKeys
from loader.gateway.lanes import Lanes
from loader.gateway.link import Link
from loader.gateway.lookups import LookUps
from loader.gateway.metrics import CONTENT_TYPE, Metrics
from loader.gateway.openapi import DOCUMENT_PATH, document
from loader.gateway.options import ServeOptions
from loader.gateway.overload import Limit
from loader.gateway.page import page_files, page_handlers
from loader.gateway.queue_check import KnownQueues
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.reader import TaskReader
from loader.gateway.waiting import TaskWaiter
from loader.telemetry import names

_OTHER = "(other)"
_REQUEST_FIELDS = ("authorization", "content-encoding", "content-type", "idempotency-key", "x-api-key")
_ANSWER_FIELDS = ("idempotency-replayed", "retry-after")
_PREFLIGHT_SECONDS = 12 * 60 * 60
"""How long a browser may remember what it may send, as runqy's server says (gin-contrib/cors, ``Default``)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of the application."""

    options: ServeOptions
    keys: ApiKeys
    link: Link
    encoders: Encoders
    queues: KnownQueues
    writer: Lanes
    idempotency: IdempotencyKeys
    reader: TaskReader
    waiter: TaskWaiter
    metrics: Metrics
    warnings: RareWarnings


class Gateway:
    """The ASGI application. One instance serves one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        options = parts.options
        self._memory = Limit(options.max_buffered_bytes, options.queue_timeout, "buffered bytes")
        slots = Limit(options.max_requests, options.queue_timeout, "requests")
        self._document = document(options, auth=parts.keys.needed)
        bodies = Bodies(options.max_body_bytes, self._memory)
        enqueueing = Enqueueing(
            options,
            bodies,
            slots,
            parts.queues,
            parts.encoders,
            parts.idempotency,
            parts.writer,
            parts.metrics,
            parts.warnings,
        )
        look_ups = LookUps(
            parts.reader,
            parts.waiter,
            slots,
            self._memory,
            options.max_waiting,
            options.wait_timeout,
            parts.warnings,
        )
        self._other = self._endpoint(_OTHER, {})
        # Hot path: to find these by their path takes a tenth of the time of a search by patterns.
        self._enqueueing = {
            path: self._endpoint(path, {"POST": self._with_key(handler)})
            for path, handler in (("/queue/add", enqueueing.add), ("/queue/add-batch", enqueueing.add_batch))
        }
        routes = [
            self._route("/queue/{id:path}", _readable(self._with_key(look_ups.get)), "/queue/{id}"),
            self._route("/health", _readable(self._health)),
            self._route("/healthz", _readable(self._healthz)),
            self._route("/metrics", _readable(self._metrics)),
            self._route(DOCUMENT_PATH, _readable(self._openapi)),
            *(self._route(path, _readable(handler)) for path, handler in page_handlers().items()),
            *page_files(),
        ]
        self._router = Router(routes, redirect_slashes=False, default=self._other)
        self._app: ASGIApp = self._route_request
        if options.cors_origin:
            self._app = CORSMiddleware(
                self._app,
                options.cors_origin,
                allow_methods=("GET", "HEAD", "POST"),
                allow_headers=_REQUEST_FIELDS,
                expose_headers=_ANSWER_FIELDS,
                max_age=_PREFLIGHT_SECONDS,
            )
        parts.metrics.watch(names.IN_PROGRESS, lambda: slots.used)
        parts.metrics.watch(names.QUEUED, lambda: slots.waiting)
        parts.metrics.watch(names.BUFFERED, lambda: self._memory.used)
        parts.metrics.watch(names.WAITING, lambda: parts.waiter.count)
        parts.metrics.watch_redis(lambda: parts.link.is_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no application for {scope['type']}")
        try:
            await self._app(scope, receive, send)
        except HTTPException as error:  # a file of the page that is not there
            await HttpError(error.status_code, error.detail.lower()).answer(scope, receive, send)

    async def _route_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._enqueueing.get(scope["path"], self._router)(scope, receive, send)

    def _route(self, path: str, handlers: Mapping[str, Handler], name: str | None = None) -> Route:
        return Route(path, self._endpoint(name or path, handlers))

    def _endpoint(self, path: str, handlers: Mapping[str, Handler]) -> Endpoint:
        return Endpoint(path, handlers, self._parts.metrics, self._memory.give_back)

    def _with_key(self, handler: Handler) -> Handler:
        keys = self._parts.keys

        async def checked(request: Request) -> Response:
            fields = request.fields
            if not keys.allow(fields.get(b"authorization", b""), fields.get(b"x-api-key")):
                raise HttpError(401, "access unauthorized", {"www-authenticate": "Bearer"})
            return await handler(request)

        return checked

    # --- about the gateway ------------------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        return Response(health_body("ok"), 200, None, JSON)

    async def _healthz(self, request: Request) -> Response:
        if await self._parts.link.answers():
            return Response(health_body("ok", redis=True), 200, None, JSON)
        return Response(health_body("degraded", redis=False), 503, {"retry-after": "1"}, JSON)

    async def _metrics(self, request: Request) -> Response:
        return Response(self._parts.metrics.page(), 200, {"cache-control": "no-store"}, CONTENT_TYPE)

    async def _openapi(self, request: Request) -> Response:
        return Response(self._document, 200, None, JSON)


def _readable(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}
