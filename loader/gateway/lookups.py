"""The handler of ``GET /queue/{id}``."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from loader.errors import LoaderError
from loader.gateway.answers import TaskInfo, task_body
from loader.gateway.faults import redis_unavailable
from loader.gateway.http import JSON, HttpError, Request, unavailable
from loader.gateway.overload import Limit
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.reader import FINAL, TaskReader, TooManyQueuesError
from loader.gateway.waiting import StoppingError, TaskWaiter

_SMALL = 16 * 1024
"""Bytes of an answer that are not counted: a connection takes about as many by itself."""


class LookUps:
    """The handler, and what it needs.

    Args:
        slots: Requests in progress at the same time. A request that waits for a task has none.
        memory: Bytes of bodies in memory. An answer takes as many as its long texts have.
        most_waiting: Requests that wait for a task at the same time.
        wait_seconds: How long a request waits for a task at most.
    """

    def __init__(
        self,
        reader: TaskReader,
        waiter: TaskWaiter,
        slots: Limit,
        memory: Limit,
        most_waiting: int,
        wait_seconds: float,
        warnings: RareWarnings,
    ) -> None:
        self._reader = reader
        self._waiter = waiter
        self._slots = slots
        self._memory = memory
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._warnings = warnings

    async def get(self, request: Request) -> Response:
        """Answers ``GET /queue/{id}``."""
        task_id = request.scope["path_params"]["id"].encode(errors="surrogateescape")
        if not task_id:
            raise HttpError(404, "not found")
        wait_requested = _wait_requested(request.scope["query_string"])
        try:
            task = await self._read(request, task_id)
            if wait_requested and task is not None and task.state not in FINAL:
                self._memory.give_back(request.held_answer)
                request.held_answer = 0
                task = await self._wait(request, task_id)
                await self._hold(request, task)
        except TooManyQueuesError as error:
            raise HttpError(404, str(error)) from None
        except LoaderError as error:
            raise redis_unavailable(error, self._warnings) from error
        if task is None:
            raise HttpError(404, "task not found")
        return Response(task_body(task), 200, None, JSON)

    async def _read(self, request: Request, task_id: bytes) -> TaskInfo | None:
        await self._slots.take()
        try:
            (task,) = await self._reader.read([task_id])
            await self._hold(request, task)
            return task
        finally:
            self._slots.give_back()

    async def _hold(self, request: Request, task: TaskInfo | None) -> None:
        """Takes the memory of an answer. One that is longer than all there is waits until it is alone."""
        if task is None:
            return
        texts = (task.payload, task.payload_base64, task.result, task.last_err)
        size = min(sum(len(text or "") for text in texts), self._memory.total)
        if size > _SMALL:
            await self._memory.take(size)
            request.held_answer = size

    async def _wait(self, request: Request, task_id: bytes) -> TaskInfo | None:
        if self._waiter.count >= self._most_waiting:
            raise unavailable("too many requests wait for a task; try again")
        ended = self._waiter.wait(task_id)
        left = request.connection.ended()
        try:
            both: set[asyncio.Future[Any]] = {ended, left}
            await asyncio.wait(both, timeout=self._wait_seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return ended.result()
        except StoppingError:
            raise unavailable("the gateway stops") from None
        finally:
            ended.cancel()
        if left.done():
            # Whether the client has closed its own side only cannot be told: it gets an answer, and waits no longer.
            raise HttpError(408, "the client has closed its side while it waited for the task", close=True)
        raise HttpError(408, "timeout waiting for task result")


def _wait_requested(query: bytes) -> bool:
    """Whether the query has ``wait=true``. Raises HttpError if ``wait`` has another value than true or false."""
    if not query:
        return False
    values = parse_qs(query.decode(errors="replace"), keep_blank_values=True).get("wait", ["false"])
    if values not in (["true"], ["false"]):
        raise HttpError(400, "wait must be true or false")
    return values == ["true"]
