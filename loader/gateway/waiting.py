"""Waits until tasks end. All waiting requests share one poll."""

from __future__ import annotations

import asyncio

from loader.errors import LoaderError
from loader.gateway.answers import TaskInfo
from loader.gateway.reader import FINAL, TaskReader

_POLL_SECONDS = 0.1
_SECONDS_A_TASK = 0.0002
"""How much longer the pause after a poll is for each task: polls for very many tasks must not take all the time."""

_TASKS_A_CALL = 500


class StoppingError(Exception):
    """The gateway stops."""


class TaskWaiter:
    """Polls Redis for all awaited tasks at once, as long as there are any."""

    def __init__(self, reader: TaskReader) -> None:
        self._reader = reader
        self._awaited: dict[bytes, set[asyncio.Future[TaskInfo | None]]] = {}
        self._poll: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def count(self) -> int:
        """The number of waiting requests."""
        return sum(map(len, self._awaited.values()))

    def wait(self, task_id: bytes) -> asyncio.Future[TaskInfo | None]:
        """A future that gives the task once it has ended, or None once it is gone. To stop waiting, cancel the future.

        The future fails with LoaderError if Redis is not available, and with StoppingError if the gateway stops.
        """
        future: asyncio.Future[TaskInfo | None] = asyncio.get_running_loop().create_future()
        if self._stopping:
            future.set_exception(StoppingError())
            return future
        self._awaited.setdefault(task_id, set()).add(future)
        future.add_done_callback(lambda done: self._forget(task_id, done))
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._run())
        return future

    def stop(self) -> None:
        """Ends all waiting; every future fails with StoppingError."""
        self._stopping = True
        self._fail(list(self._awaited), StoppingError())
        if self._poll is not None:
            self._poll.cancel()

    def _forget(self, task_id: bytes, future: asyncio.Future[TaskInfo | None]) -> None:
        waiters = self._awaited.get(task_id, set())
        waiters.discard(future)
        if not waiters:
            self._awaited.pop(task_id, None)

    async def _run(self) -> None:
        while self._awaited:
            ids = list(self._awaited)
            for start in range(0, len(ids), _TASKS_A_CALL):
                chunk = ids[start : start + _TASKS_A_CALL]
                try:
                    self._resolve(chunk, await self._reader.read(chunk))
                except LoaderError as error:
                    self._fail(chunk, error)
            await asyncio.sleep(_POLL_SECONDS + _SECONDS_A_TASK * len(ids))

    def _resolve(self, ids: list[bytes], tasks: list[TaskInfo | None]) -> None:
        for task_id, task in zip(ids, tasks, strict=True):
            if task is None or task.state in FINAL:
                for future in list(self._awaited.get(task_id, ())):
                    if not future.done():
                        future.set_result(task)

    def _fail(self, ids: list[bytes], error: Exception) -> None:
        for task_id in ids:
            for future in list(self._awaited.get(task_id, ())):
                if not future.done():
                    future.set_exception(error)
