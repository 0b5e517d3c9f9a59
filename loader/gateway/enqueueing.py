"""The handlers of ``POST /queue/add`` and ``POST /queue/add-batch``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from loader.errors import LoaderError, QueueNameError
from loader.gateway.answers import add_body, batch_body
from loader.gateway.bodies import Bodies
from loader.gateway.encoders import Encoders
from loader.gateway.faults import redis_unavailable
from loader.gateway.http import JSON, HttpError, Request, unavailable
from loader.gateway.idempotency import IdempotencyKeys, KeyReusedError
from loader.gateway.lanes import LARGE_BYTES, Lanes
from loader.gateway.metrics import Metrics
from loader.gateway.new_ids import new_ids
from loader.gateway.options import SINGLE, ServeOptions
from loader.gateway.overload import Limit
from loader.gateway.queue_check import KnownQueues
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.requests import BadRequestError, Tasks, TooManyJobsError, read_add, read_batch
from loader.gateway.writer import PayloadTooLongError

Read = Callable[[bytes], Tasks]

_REPLAYED = {"idempotency-replayed": "true"}


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The tasks of a request, which are in Redis.

    Attributes:
        queue: Full name.
        headers: For the answer.
    """

    queue: str
    ids: list[bytes]
    headers: dict[str, str] | None = None


class Enqueueing:
    """The two handlers, and what they need.

    Args:
        slots: Requests in progress at the same time.
    """

    def __init__(
        self,
        options: ServeOptions,
        bodies: Bodies,
        slots: Limit,
        queues: KnownQueues,
        encoders: Encoders,
        idempotency: IdempotencyKeys,
        writer: Lanes,
        metrics: Metrics,
        warnings: RareWarnings,
    ) -> None:
        self._options = options
        self._bodies = bodies
        self._slots = slots
        self._queues = queues
        self._encoders = encoders
        self._idempotency = idempotency
        self._writer = writer
        self._metrics = metrics
        self._warnings = warnings
        self._large = asyncio.Lock()
        tasks = options.load_options().task_options
        self._task_type, self._max_retry = tasks.type, tasks.max_retry

    async def add(self, request: Request) -> Response:
        """Answers ``POST /queue/add``."""
        payload = b""

        def read(body: bytes) -> Tasks:
            nonlocal payload
            tasks = read_add(body)
            (payload,) = tasks.payloads
            return tasks if tasks.timeouts[0] else tasks._replace(timeouts=[SINGLE])

        done = await self._enqueue(request, read)
        body = add_body(done.ids[0], done.queue, payload, self._task_type or done.queue, self._max_retry)
        return Response(body, 200, done.headers, JSON)

    async def add_batch(self, request: Request) -> Response:
        """Answers ``POST /queue/add-batch``."""
        done = await self._enqueue(request, self._read_batch)
        return Response(batch_body(done.ids), 200, done.headers, JSON)

    def _read_batch(self, body: bytes) -> Tasks:
        return read_batch(body, self._options.max_jobs, whole_jobs=self._options.wrap_jobs)

    async def _enqueue(self, request: Request, read: Read) -> Enqueued:
        body = await self._bodies.read(request)
        if not self._slots.take_now():
            await self._slots.take()
        try:
            return await self._enqueue_body(request, body, read)
        finally:
            self._slots.give_back()

    async def _enqueue_body(self, request: Request, body: bytes, read: Read) -> Enqueued:
        try:
            if len(body) > LARGE_BYTES:  # one after the other, and others in between
                async with self._large:
                    await asyncio.sleep(0)
                    name, payloads, timeouts = read(body)
            else:
                name, payloads, timeouts = read(body)
            queue = self._queues.resolve(name)
        except TooManyJobsError as error:
            raise HttpError(413, str(error)) from None
        except BadRequestError as error:
            raise HttpError(400, str(error)) from None
        except QueueNameError as error:
            raise HttpError(400, error.args[0]) from None
        key = request.fields.get(b"idempotency-key")
        try:
            if not await self._queues.exists(queue):
                raise HttpError(404, f"queue not found: {queue}")
            mark = None
            if key is not None:
                mark, earlier = await self._idempotency.claim(key, request.path, body, self._encoders.get(queue))
                if earlier is not None:
                    return self._replayed(queue, earlier)
            ids = new_ids(len(payloads))
            try:
                earlier = await self._writer.put(queue, ids, payloads, timeouts, mark)
            except asyncio.CancelledError:  # it is not done after --shutdown-timeout
                raise unavailable("the gateway stops; it is not known whether this was enqueued") from None
            self._queues.created(queue)
        except KeyReusedError:
            raise HttpError(422, "this Idempotency-Key was used before with a different request") from None
        except ValueError as error:
            raise HttpError(400, str(error)) from None
        except PayloadTooLongError as error:
            raise HttpError(413, error.args[0]) from error
        except LoaderError as error:
            raise redis_unavailable(error, self._warnings) from error
        return Enqueued(queue, ids) if earlier is None else self._replayed(queue, earlier)

    def _replayed(self, queue: str, ids: list[bytes]) -> Enqueued:
        self._metrics.replayed()
        return Enqueued(queue, ids, _REPLAYED)
