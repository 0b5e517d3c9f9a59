"""Delivers batches over runqy's HTTP API.

The API has no ledger. A request without an answer may have been carried out, and is sent again. So each task is in at
least once. The journal keeps the batches in doubt few, and names them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson

from loader.errors import LoaderError, SinkError, TransientError, UnknownQueueError
from loader.servers.retry import Patience, retry
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer
from loader.sinks.http_api import (
    Answer,
    Endpoint,
    RefusedError,
    Requests,
    UnsureError,
    match_stored,
    named_refusals,
    raise_for_status,
    read_batch,
    read_single,
    refusal,
    unreachable,
    unsure,
)
from loader.sinks.journal import Journal
from loader.tasks.reasons import Reason, ReasonCode

_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
EARLIER = "an earlier run ended before the server's answer"


class HttpSink:
    """A client of one server, shared by the workers of a load. Use it with ``async with``."""

    def __init__(self, endpoint: Endpoint, options: LoadOptions, journal: Journal) -> None:
        self._options = options
        self._journal = journal
        self._base = endpoint.url
        self._key = endpoint.key
        self._where = str(endpoint)
        # The first batch is sent alone, so that a wrong key or queue costs one request, with no others on the way.
        self._slots = asyncio.Semaphore(1)
        self._more_slots = options.http_connections - 1
        self._requests: dict[str, Requests] = {}
        self._session: aiohttp.ClientSession | None = None
        self._reached = False
        self._patience = Patience(options.retry_seconds)
        self._resume_at = 0.0
        self._progressed_at = time.monotonic()

    async def __aenter__(self) -> Self:
        timeout = self._options.timeout
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._options.http_connections),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None  # noqa: S101 - set on entering
        await self._session.close()

    async def work(self, feed: Feed, observer: Observer) -> None:
        """Runs one pipeline worker until its feed ends. All workers share the limit on concurrent requests.

        Raises:
            SinkError: The server refuses, or a transient fault outlasted ``retry_for``.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.acquire()
                delivery = await feed()
                if delivery is None:
                    self._slots.release()
                    return
                group.create_task(self._deliver(delivery, observer))

    async def _deliver(self, delivery: Delivery, observer: Observer) -> None:
        sending = _Sending(delivery, observer, self._journal)
        if self._journal.was_in_doubt(delivery):
            await sending.doubt(EARLIER)
        self._journal.sent(delivery)
        try:
            answer = await self._send(sending, range(len(delivery.payloads)))
        except LoaderError:
            if not sending.may_be_in:
                self._journal.withdrawn(delivery)
            raise
        delivery.id_prefix = b""
        delivery.ids = [answer.ids.get(position, b"") for position in range(len(delivery.payloads))]
        delivery.skipped |= answer.refused
        # The rejects are written first: if this run ended between the two steps, the next run would not know of them.
        try:
            if answer.refused:
                await observer.skipped(delivery, answer.refused)
        finally:
            self._journal.acknowledged(delivery)
            observer.loaded(delivery)
        self._journal.settle()
        self._slots.release()  # not after a failure: no further delivery may begin
        while self._more_slots:
            self._more_slots -= 1
            self._slots.release()

    async def _send(self, sending: _Sending, positions: Sequence[int]) -> Answer:
        """Sends these tasks of a delivery. A refused request is halved until each refused task stands alone."""
        delivery = sending.delivery
        if self._options.http_mode == "single" and len(positions) > 1:
            return _merged([await self._send(sending, (position,)) for position in positions])
        try:
            if self._options.http_mode == "single":
                return await self._add(sending, positions[0])
            return await self._add_batch(sending, positions)
        except RefusedError as error:
            if len(positions) == 1:
                return Answer(refused={positions[0]: refusal(str(error))})
            half = len(positions) // 2
            return _merged([await self._send(sending, part) for part in (positions[:half], positions[half:])])
        except UnknownQueueError:
            if delivery.queue == self._options.default_queue:
                raise
            why = Reason(ReasonCode.UNKNOWN_QUEUE, f"queue {delivery.queue!r} does not exist")
            return Answer(refused=dict.fromkeys(positions, why))

    async def _add(self, sending: _Sending, position: int) -> Answer:
        body = self._bodies(sending.delivery.queue).single(sending.delivery.payloads[position])
        return Answer(ids={position: read_single(await self._post(sending, "/queue/add", body), self._where)})

    async def _add_batch(self, sending: _Sending, positions: Sequence[int]) -> Answer:
        payloads = [sending.delivery.payloads[position] for position in positions]
        body = self._bodies(sending.delivery.queue).batch(payloads)
        answered = await self._post(sending, "/queue/add-batch", body)
        ids, errors = read_batch(answered, len(payloads), self._where)
        failed = len(payloads) - len(ids)
        if not failed:
            return Answer(dict(zip(positions, ids, strict=True)))
        refused = named_refusals(errors, len(payloads), failed)
        if refused is None:
            outcome = match_stored(payloads, {task_id: await self._stored(task_id) for task_id in ids}, errors)
        else:
            rest = iter(ids)
            accepted = {index: next(rest) for index in range(len(payloads)) if index not in refused}
            outcome = Answer(accepted, {index: refusal(why) for index, why in refused.items()})
        return Answer(
            {positions[index]: task_id for index, task_id in outcome.ids.items()},
            {positions[index]: why for index, why in outcome.refused.items()},
        )

    async def _stored(self, task_id: bytes) -> Any:
        """The payload that the server has stored for a task; None if the server does not tell."""
        assert self._session is not None  # noqa: S101 - set on entering
        url = f"{self._base}/queue/{quote(task_id.decode(), safe='')}"
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                answer = orjson.loads(await response.read())
            info = answer.get("info") or answer.get("Info")
            payload = info.get("payload", info.get("Payload"))
            return orjson.loads(payload) if isinstance(payload, str) else payload
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError, AttributeError):
            return None

    async def _post(self, sending: _Sending, path: str, body: bytes) -> bytes:
        return await retry(
            lambda: self._attempt(sending, path, body),
            self._patience,
            progressed_at=lambda: self._progressed_at,
        )

    async def _attempt(self, sending: _Sending, path: str, body: bytes) -> bytes:
        """One request.

        Raises:
            RefusedError, LoaderError: See ``raise_for_status``. TransientError also if no answer came.
        """
        assert self._session is not None  # noqa: S101 - set on entering
        await self._wait_for_retry_after()
        try:
            async with self._session.post(self._base + path, data=body, allow_redirects=False) as response:
                self._reached = True
                answered = await response.read()
            raise_for_status(response.status, response.headers, answered, sending.delivery.queue, self._where)
            sending.may_be_in = True
        except _NOT_SENT as error:
            failure = unreachable(error, self._where)
            if not self._reached:  # more likely a mistake of the user than a fault
                raise SinkError(str(failure.args[0]), failure.hint) from error
            raise failure from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            unknown = unsure(error, self._where)
            await sending.doubt(str(unknown))
            raise unknown from error
        except UnsureError as error:
            await sending.doubt(str(error))
            self._note_retry_after(error)
            raise
        except TransientError as error:
            self._note_retry_after(error)
            raise
        self._progressed_at = time.monotonic()
        return answered

    def _note_retry_after(self, error: TransientError) -> None:
        """Notes a ``Retry-After``, which applies to all requests."""
        if error.retry_after > self._options.retry_seconds:
            patience = f"--retry-for {self._options.retry_seconds:g}"
            raise SinkError(
                f"{error.args[0]}, for {error.retry_after:.0f} s, longer than {patience}",
                "Run the same command again later",
            ) from error
        self._resume_at = max(self._resume_at, time.monotonic() + error.retry_after)

    async def _wait_for_retry_after(self) -> None:
        pause = self._resume_at - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)

    def _bodies(self, queue: str) -> Requests:
        if queue not in self._requests:
            self._requests[queue] = Requests(queue, self._options.task_options.timeout)
        return self._requests[queue]


class _Sending:
    """A delivery on its way.

    Attributes:
        may_be_in: Whether the server has, or may have, accepted some of its tasks.
    """

    def __init__(self, delivery: Delivery, observer: Observer, journal: Journal) -> None:
        self.delivery = delivery
        self.may_be_in = False
        self._observer = observer
        self._journal = journal

    async def doubt(self, why: str) -> None:
        """Notes that the outcome of one of its requests is unknown."""
        self.may_be_in = True
        self._journal.doubted(self.delivery, await self._observer.in_doubt(self.delivery, why))


def _merged(answers: Sequence[Answer]) -> Answer:
    merged = Answer()
    for answer in answers:
        merged.ids |= answer.ids
        merged.refused |= answer.refused
    return merged
