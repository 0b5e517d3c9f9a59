"""Waits for tasks: looks up all ids that are not done, again and again, with pauses that grow while nothing happens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from loader.errors import SinkError, TransientError, UsageError
from loader.results.lookup import LOOKUPS, Look, Lookup
from loader.results.options import WaitOptions
from loader.results.outstanding import Waiting, WaitingIds
from loader.results.reader import Reader
from loader.results.result import TaskResult
from loader.results.which_layout import SAMPLE, layout_of_tasks
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.tasks.profiles import LayoutName
from loader.wire.address import Address

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two sweeps: the first value while results come; it grows to the second value while none come."""

_GROWTH = 1.5
_CONFIRM_SECONDS = 0.1
_LAST_SECONDS = 5.0
"""How long a look-up may take when the time is up: the last one begins then."""
_FIRST_CHUNK, _LARGEST_CHUNK = 64, 1000
_CHUNK_BYTES = 8 * 1024 * 1024
"""Approximate size of a call's replies. If results are large, a call has fewer ids."""

_EXIT_FAILED_TASKS, _EXIT_TIMED_OUT, _EXIT_INTERRUPTED = 3, 4, 130

log = logging.getLogger("runqy_loader")

T = TypeVar("T")


@dataclass(slots=True)
class WaitReport:
    """Counts of tasks, updated during the wait.

    Attributes:
        total: Distinct ids to wait for.
        already: How many of these were in the results file before.
        sweeps: How many times all unfinished tasks were looked up.
        timed_out: Whether the timeout ended the wait before all were done.
        interrupted: Whether the user stopped the wait before all were done.
    """

    total: int = 0
    already: int = 0
    completed: int = 0
    failed: int = 0
    expired: int = 0
    pending: int = 0
    missing: int = 0
    sweeps: int = 0
    timed_out: bool = False
    interrupted: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        return self.already + self.completed + self.failed + self.expired

    @property
    def left(self) -> int:
        return self.total - self.done

    def add(self, result: TaskResult) -> None:
        setattr(self, result.status, getattr(self, result.status) + 1)

    @property
    def exit_status(self) -> int:
        """0 all completed; 3 all done, but some failed or expired; 4 timed out; 130 interrupted."""
        if self.interrupted:
            return _EXIT_INTERRUPTED
        if self.timed_out:
            return _EXIT_TIMED_OUT
        return _EXIT_FAILED_TASKS if self.failed or self.expired else 0

    def to_dict(self) -> dict[str, Any]:
        """All counts."""
        names = ("total", "already", "completed", "failed", "expired", "pending", "missing", "timed_out")
        return {name: getattr(self, name) for name in names}


class Waiter:
    """Waits for tasks.

    Args:
        address: The server.
        waiting: The tasks. The waiter removes those that are done.
        layout: The layout of these tasks; None if their keys must tell it. Until one does, the documented one is read.
        report: Counts. The caller sets ``total`` and ``already``.
        loaded_by: What shows that the tasks were loaded, for messages; None if nothing does.
    """

    def __init__(
        self,
        address: Address,
        options: WaitOptions,
        waiting: WaitingIds,
        layout: LayoutName | None,
        report: WaitReport,
        loaded_by: str | None = None,
    ) -> None:
        self._options = options
        self._waiting = waiting
        self._layout = layout
        self._loaded_by = loaded_by
        self._lookup: Lookup = LOOKUPS[layout or "documented"]()
        self._report = report
        self._stop = asyncio.Event()
        self._servers = Servers(address, options.reply_timeout)
        self._reader = Reader(self._servers, options.reply_timeout, "runqy-loader-wait")
        self._lost = False
        self._chunk = _FIRST_CHUNK
        self._deadline: float | None = None

    def stop(self) -> None:
        """Makes ``results`` end soon."""
        self._stop.set()

    async def results(self) -> AsyncGenerator[list[TaskResult], None]:
        """Results as they come, in chunks, until all are in, the time is up, or ``stop``.

        A task stops waiting only when the caller asks for the next chunk. So a result that the caller could not keep is
        found again.

        Raises:
            LoaderError: The server refuses, or cannot be reached for ``retry_for`` seconds, or until the time is up.
        """
        limit = self._options.timeout_seconds
        deadline = self._deadline = None if limit is None else time.monotonic() + limit
        pause = FIRST_PAUSE
        reach = self._servers.reach
        try:
            await self._in_time(retry(lambda: reach("runqy-loader-wait:0"), self._options.retry_for, connected=False))
            while self._waiting.count and not self._stop.is_set():
                await self._choose_layout()
                before, began = self._waiting.count, time.monotonic()
                async for chunk in self._sweep(deadline if self._report.sweeps else None):
                    yield chunk
                self._report.sweeps += 1
                if not self._waiting.count:
                    break
                # The pauses grow. Each is at least as long as the sweep before it, so reading takes at most half of the
                # time.
                pause = FIRST_PAUSE if self._waiting.count < before else min(pause * _GROWTH, LONGEST_PAUSE)
                now = time.monotonic()
                wait = max(pause, now - began)
                if deadline is not None and now + wait >= deadline:
                    await self._sleep(max(_CONFIRM_SECONDS, deadline - now))
                    async for chunk in self._last_sweep(limit):
                        yield chunk
                    self._report.timed_out = self._waiting.count > 0 and not self._stop.is_set()
                    return
                await self._sleep(wait)
        finally:
            self._reader.drop()
            await self._servers.aclose()

    def unfinished(self) -> Iterator[list[TaskResult]]:
        """The tasks that are not done, with what is known of them, in chunks. Adds them to the report."""
        after = ""
        while page := self._waiting.page(after, _LARGEST_CHUNK):
            after = page[-1].id
            results = [
                TaskResult(task.id, "pending" if task.known else "missing", task.queue, task.state) for task in page
            ]
            for result in results:
                self._report.add(result)
            yield results

    async def _last_sweep(self, limit: float | None) -> AsyncGenerator[list[TaskResult], None]:
        # Tasks that one lookup has not found are looked up once more. With a timeout of 0, no others are.
        async for chunk in self._sweep(None, gone=limit == 0):
            yield chunk

    async def _sweep(self, deadline: float | None, *, gone: bool = False) -> AsyncGenerator[list[TaskResult], None]:
        after = ""
        while page := self._waiting.page(after, self._chunk, gone=gone):
            if self._stop.is_set() or (deadline is not None and time.monotonic() > deadline):
                return
            after = page[-1].id
            looks = await self._look(page)
            finals = [look.final for look in looks if look.final is not None]
            self._waiting.update(
                look.task for task, look in zip(page, looks, strict=True) if look.final is None and look.task != task
            )
            self._adapt_chunk(finals)
            if finals:
                yield finals
                self._waiting.drop(final.id for final in finals)
                for final in finals:
                    self._report.add(final)

    def _adapt_chunk(self, finals: Sequence[TaskResult]) -> None:
        """Makes calls smaller if results are large, and larger if they are not."""
        largest = max((len(final.result or b"") for final in finals), default=0)
        self._chunk = max(1, min(self._chunk * 2, _LARGEST_CHUNK, _CHUNK_BYTES // (largest + 1)))

    async def _look(self, tasks: Sequence[Waiting]) -> list[Look]:
        return await self._repeated(lambda: self._lookup.look(self._reader, tasks))

    async def _choose_layout(self) -> None:
        """Chooses the layout, if it is not known and keys of the tasks tell it by now.

        Raises:
            UsageError: The tasks are in both layouts; or they were loaded, and no key of theirs is there.
        """
        if self._layout is not None:
            return
        sample = self._waiting.page("", SAMPLE)
        self._layout = await self._repeated(lambda: layout_of_tasks(self._reader, sample))
        if self._layout is not None:
            self._lookup = LOOKUPS[self._layout]()
            log.info("layout %s: tasks with these ids have keys of it", self._layout)
        elif self._loaded_by is not None:
            # In the wrong layout, tasks that exist would be reported as expired.
            raise UsageError(
                f"{self._loaded_by} does not name the layout of its tasks, because they were loaded over HTTP, and no "
                "key of theirs tells it",
                "Use --layout asynq for a runqy server since January 2026, else --layout documented",
            )

    async def _repeated(self, look: Callable[[], Awaitable[T]]) -> T:
        """What a look-up returns; it is repeated after a lost connection."""

        async def attempt() -> T:
            if self._lost:
                await self._servers.reconnect()  # also reads again which node serves which slots
                self._lost = False
            try:
                return await look()
            except TransientError:
                self._reader.drop()
                self._lost = True
                raise

        return await self._in_time(retry(attempt, self._options.retry_for))

    async def _in_time(self, asking: Coroutine[Any, Any, T]) -> T:
        """Awaits an answer, but hardly longer than the timeout allows.

        Raises:
            SinkError: There was none in time, so what became of the tasks is not known.
        """
        if self._deadline is None:
            return await asking
        try:
            return await asyncio.wait_for(asking, max(_LAST_SECONDS, self._deadline - time.monotonic()))
        except TimeoutError:
            message = f"{self._servers} did not answer until the time of --timeout was over"
            raise SinkError(message, "Check the server") from None

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
