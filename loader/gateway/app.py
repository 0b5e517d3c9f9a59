"""The gateway as an ASGI application: its routes and their handlers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from loader.errors import LoaderError, QueueNameError
from loader.gateway.encoders import Encoders
from loader.gateway.http import (
    Answer,
    Budget,
    ClientGoneError,
    Headers,
    HttpError,
    Receive,
    Request,
    Scope,
    Send,
    unavailable,
)
from loader.gateway.idempotency import IdempotencyKeys, KeyReusedError
from loader.gateway.keys import ApiKeys
from loader.gateway.link import Link
from loader.gateway.messages import (
    BadRequestError,
    TaskInfo,
    TooManyJobsError,
    batch_body,
    read_add,
    read_batch,
    task_body,
)
from loader.gateway.metrics import CONTENT_TYPE, Metrics
from loader.gateway.new_ids import new_ids
from loader.gateway.openapi import DOCUMENT_PATH, PAGE_PATH, document
from loader.gateway.options import ServeOptions
from loader.gateway.page import HEADERS, page
from loader.gateway.queue_check import KnownQueues
from loader.gateway.reader import FINAL, TaskReader
from loader.gateway.waiting import StoppingError, TaskWaiter
from loader.gateway.writer import NotEnqueuedError, PayloadTooLongError, UnknownOutcomeError, Writer

_TASK = "/queue/{id}"
_TASK_PREFIX = "/queue/"
_OTHER = "(other)"

Handler = Callable[[Request], Awaitable[Answer]]

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of the application."""

    options: ServeOptions
    keys: ApiKeys
    link: Link
    encoders: Encoders
    queues: KnownQueues
    writer: Writer
    idempotency: IdempotencyKeys
    reader: TaskReader
    waiter: TaskWaiter
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Route:
    """A path of the OpenAPI document, and its handlers by method. ``open`` routes need no API key."""

    path: str
    handlers: Mapping[str, Handler]
    open: bool = False

    @property
    def allow(self) -> bytes:
        return ", ".join(sorted(self.handlers)).encode()


class Gateway:
    """The ASGI application. One instance serves one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._options = parts.options
        self._budget = Budget(parts.options.max_buffered_bytes)
        self._in_progress = 0
        tasks = parts.options.load_options().task_options
        self._task_type, self._max_retry = tasks.type, tasks.max_retry
        self._document = document(parts.options, auth=parts.keys.needed)
        self._page = page(self._document)
        self._task = _Route(_TASK, _readable(self._get))
        routes = (
            _Route("/queue/add", {"POST": self._add}),
            _Route("/queue/add-batch", {"POST": self._add_batch}),
            _Route("/healthz", _readable(self._health), open=True),
            _Route("/metrics", _readable(self._metrics), open=True),
            _Route(DOCUMENT_PATH, _readable(self._openapi), open=True),
            _Route(PAGE_PATH, _readable(self._docs), open=True),
        )
        self._routes = {route.path: route for route in routes}
        parts.metrics.watch("requests_in_progress", "Requests in progress.", lambda: self._in_progress)
        parts.metrics.watch("buffered_bytes", "Bytes of request bodies in memory.", lambda: self._budget.used)
        parts.metrics.watch("waiting", "Requests that wait for a task to end.", lambda: parts.waiter.count)
        parts.metrics.watch("redis_up", "Whether there is a connection to Redis.", lambda: parts.link.is_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no application for {scope['type']}")
        began = time.perf_counter()
        options = self._options
        path: str = scope["path"]
        route = self._routes.get(path)
        if route is None and path.startswith(_TASK_PREFIX) and len(path) > len(_TASK_PREFIX):
            route = self._task
        request = Request(scope, receive, self._budget, options.max_body_bytes, options.body_timeout)
        try:
            answer = await self._answer(route, scope["method"], request)
        except ClientGoneError:
            return
        except HttpError as error:
            answer = error.answer
        except Exception:  # a bug: the client still gets an answer in the usual form
            log.exception("while answering %s %s", scope["method"], _OTHER if route is None else route.path)
            answer = HttpError(500, "internal error; this is a bug").answer
        finally:
            self._budget.release(request.size)
        await answer.send(send)
        self._parts.metrics.answered(
            _OTHER if route is None else route.path, answer.status, time.perf_counter() - began
        )

    async def _answer(self, route: _Route | None, method: str, request: Request) -> Answer:
        if route is None:
            raise HttpError(404, "not found")
        handler = route.handlers.get(method)
        if handler is None:
            raise HttpError(405, "method not allowed", ((b"allow", route.allow),))
        if route.open:
            return await handler(request)
        if not self._parts.keys.allow(request.authorization):
            raise HttpError(401, "access unauthorized", ((b"www-authenticate", b"Bearer"),))
        if self._in_progress >= self._options.max_requests:
            raise unavailable("the gateway is at its limit of requests; try again")
        self._in_progress += 1
        try:
            return await handler(request)
        finally:
            self._in_progress -= 1

    # --- enqueueing -------------------------------------------------------------------------------------------------

    async def _add(self, request: Request) -> Answer:
        queue, ids, headers = await self._enqueue(request, read_add)
        info = TaskInfo(
            id=ids[0].decode(),
            queue=queue,
            state="pending",
            type=self._task_type or queue,
            max_retry=self._max_retry,
            retried=0,
        )
        return Answer(200, task_body(info), headers=headers)

    async def _add_batch(self, request: Request) -> Answer:
        limit = self._options.max_jobs
        _, ids, headers = await self._enqueue(request, lambda body: read_batch(body, limit))
        return Answer(200, batch_body(ids), headers=headers)

    async def _enqueue(
        self, request: Request, read: Callable[[bytes], tuple[str, list[bytes], list[int]]]
    ) -> tuple[str, list[bytes], Headers]:
        """The full name of the queue, the ids of the tasks, and headers for the answer."""
        parts = self._parts
        body = await request.body()
        try:
            name, payloads, timeouts = read(body)
            queue = parts.queues.resolve(name)
        except TooManyJobsError as error:
            raise HttpError(413, str(error)) from None
        except BadRequestError as error:
            raise HttpError(400, str(error)) from None
        except QueueNameError as error:
            raise HttpError(400, error.args[0]) from None
        try:
            if not await parts.queues.exists(queue):
                raise HttpError(404, f"queue not found: {queue}")
            mark = None
            if request.idempotency_key is not None:
                encoder = parts.encoders.get(queue)
                mark, earlier = await parts.idempotency.claim(request.idempotency_key, request.path, body, encoder)
                if earlier is not None:
                    return self._replayed(queue, earlier)
            ids = new_ids(len(payloads))
            earlier = await parts.writer.put(queue, ids, payloads, timeouts, mark)
            parts.queues.created(queue)
        except KeyReusedError:
            raise HttpError(422, "this Idempotency-Key was used before with a different request") from None
        except ValueError as error:
            raise HttpError(400, str(error)) from None
        except PayloadTooLongError as error:
            raise HttpError(413, error.args[0]) from error
        except LoaderError as error:
            raise _redis_unavailable(error) from error
        return (queue, ids, ()) if earlier is None else self._replayed(queue, earlier)

    def _replayed(self, queue: str, ids: list[bytes]) -> tuple[str, list[bytes], Headers]:
        self._parts.metrics.replayed()
        return queue, ids, ((b"idempotency-replayed", b"true"),)

    # --- looking tasks up -------------------------------------------------------------------------------------------

    async def _get(self, request: Request) -> Answer:
        task_id = request.path.removeprefix(_TASK_PREFIX).encode(errors="surrogateescape")
        wait_requested = _wait_requested(request.query)
        try:
            (task,) = await self._parts.reader.read([task_id])
            if wait_requested and task is not None and task.state not in FINAL:
                task = await self._wait(request, task_id)
        except LoaderError as error:
            raise _redis_unavailable(error) from error
        if task is None:
            raise HttpError(404, "task not found")
        return Answer(200, task_body(task))

    async def _wait(self, request: Request, task_id: bytes) -> TaskInfo | None:
        waiter = self._parts.waiter
        if waiter.count >= self._options.max_waiting:
            raise unavailable("too many requests wait for a task; try again")
        ended = waiter.wait(task_id)
        gone = asyncio.ensure_future(request.gone())
        self._in_progress -= 1  # a request that waits has a limit of its own
        try:
            both: set[asyncio.Future[Any]] = {ended, gone}
            await asyncio.wait(both, timeout=self._options.wait_timeout, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return ended.result()
        except StoppingError:
            raise unavailable("the gateway stops") from None
        finally:
            self._in_progress += 1
            gone.cancel()
            ended.cancel()
        if gone.done() and not gone.cancelled():
            raise ClientGoneError
        raise HttpError(408, "timeout waiting for task result")

    # --- about the gateway ------------------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Answer:
        if await self._parts.link.answers():
            return Answer(200, b'{"status":"ok"}')
        return Answer(503, b'{"status":"unavailable"}', headers=((b"retry-after", b"1"),))

    async def _metrics(self, request: Request) -> Answer:
        return Answer(200, self._parts.metrics.page(), CONTENT_TYPE, ((b"cache-control", b"no-store"),))

    async def _openapi(self, request: Request) -> Answer:
        return Answer(200, self._document)

    async def _docs(self, request: Request) -> Answer:
        return Answer(200, self._page, b"text/html; charset=utf-8", HEADERS)


def _readable(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}


def _redis_unavailable(error: LoaderError) -> HttpError:
    if isinstance(error, NotEnqueuedError | UnknownOutcomeError):
        return unavailable(error.args[0])
    log.warning("%s", error)
    return unavailable("Redis is not available; nothing was done")


def _wait_requested(query: bytes) -> bool:
    """Whether the query has ``wait=true``. Raises HttpError if ``wait`` has another value than true or false."""
    if not query:
        return False
    values = parse_qs(query.decode(errors="replace"), keep_blank_values=True).get("wait", ["false"])
    if values not in (["true"], ["false"]):
        raise HttpError(400, "wait must be true or false")
    return values == ["true"]
