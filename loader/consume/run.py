"""One run of the synthetic consumer, from its options to its report."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from loader.consume.asynq_way import AsynqWay
from loader.consume.crew import Crew, Limits
from loader.consume.documented_way import ClusterDocumentedWay, DocumentedWay
from loader.consume.options import ConsumeOptions
from loader.consume.real_workers import refuse_real_workers
from loader.consume.report import ConsumeReport
from loader.consume.service import Service, service_time
from loader.consume.way import HEARTBEAT_SECONDS, MOST_AT_ONCE, Way, failure
from loader.errors import LoaderError, TransientError, UnknownQueueError
from loader.servers.session import Session, open_session
from loader.settings.server_address import server_address
from loader.stored.existence import require_queue
from loader.stored.queue_reader import stored_queue
from loader.stored.which_layout import layout_with_tasks
from loader.tasks.profiles import LayoutName
from loader.tasks.sizes import counted

_FORWARD_SECONDS, _CLEAN_SECONDS, _RECOVER_SECONDS = 5.0, 8.0, 60.0
"""How often asynq's server looks for tasks whose time has come, whose retention is over, whose lease has ended (0.26,
``server.go``)."""

_LEASE_EXPIRED = "asynq: task lease expired"
"""``ErrLeaseExpired`` (``recoverer.go``)."""

_LAST_SECONDS = 2.0
"""How long the last steps may take once the user wants an end at once, or the server was waited for already; also if
``retry_for`` is shorter."""

log = logging.getLogger("runqy_loader")


class Consumer:
    """Takes tasks of a queue and ends them, as its options say.

    Attributes:
        report: Counts, updated during the run.

    Raises:
        UsageError: From the constructor: options are out of range, or ``redis`` is not a valid URL.
    """

    def __init__(self, options: ConsumeOptions) -> None:
        options.check()
        self._options = options
        self._address = server_address(options)
        self._crew: Crew | None = None
        self._stopping = False
        self._hurry = asyncio.Event()
        self.report = ConsumeReport(
            queue=options.full_queue(options.known_layout or "documented"),
            layout=options.known_layout or "auto",
            consumers=options.consumers,
            service_time=options.service_time,
            fail_rate=options.fail_rate,
            seed=options.seed,
        )

    def stop(self) -> None:
        """Makes ``run`` end in order: tasks in service may go on for the time of ``grace``, then they are put back."""
        self._stopping = True
        if self._crew is not None:
            self._crew.end(self._options.grace)

    async def run(self) -> ConsumeReport:
        """Consumes until a limit of the options, ``stop``, or an error.

        Cancelled, it puts back what is in service at once, ends its registration, and only then is over.

        Raises:
            LoaderError: Real workers serve the queue, or the server refuses or is gone.
        """
        options, report = self._options, self.report
        run, numbers = secrets.token_hex(6), itertools.count(1)
        name = f"runqy-loader:consume:{run}:0"
        try:
            async with open_session(
                self._address, options.timeout, options.retry_for, lambda: f"{name}.{next(numbers)}"
            ) as session:
                way = await self._prepare(session)
                if not self._stopping:
                    await self._to_its_end(self._work(session, way))
        except Exception as error:
            report.fail(error)
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        report.end("interrupted" if self._stopping and options.ends else "completed")
        return report

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that is never cancelled: whoever cancels this makes it hurry. Afterwards, this is cancelled."""
        task = asyncio.ensure_future(work)
        cancelled = False
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                cancelled = True
                self._hurry.set()
                if self._crew is not None:
                    self._crew.abandon()
            except Exception:
                break  # it is that of the task, which is raised below
        task.result()
        if cancelled:
            raise asyncio.CancelledError

    # --- before the first task ----------------------------------------------------------------------------------

    async def _prepare(self, session: Session) -> Way:
        """Chooses the layout, and makes sure that nobody's real tasks are taken. Writes nothing."""
        options, report = self._options, self.report
        layout = options.known_layout or await self._choose_layout(session)
        queue = options.full_queue(layout)
        report.layout, report.queue = layout, queue
        if not options.with_workers:
            await refuse_real_workers(session, queue, layout)
        try:
            await require_queue(session, stored_queue(layout, queue), name_option="--queue", layout_option="--layout")
        except UnknownQueueError as error:
            then = "there is nothing to do" if options.until_empty else "waiting for its tasks"
            log.warning("%s; %s. %s", error.args[0], then, error.hint)
        if layout == "asynq":
            return AsynqWay(
                session,
                queue,
                retry_delay=options.retry_delay,
                retention=None if options.retention is None else int(options.retention),
                consumers=options.consumers,
            )
        kind = ClusterDocumentedWay if session.servers.is_cluster else DocumentedWay
        return kind(session, queue, retention=int(options.retention or 0), consumers=options.consumers)

    async def _choose_layout(self, session: Session) -> LayoutName:
        names: dict[LayoutName, str] = {
            "documented": self._options.full_queue("documented"),
            "asynq": self._options.full_queue("asynq"),
        }
        found = await layout_with_tasks(session, names, "--layout")
        layout, reason = found or ("documented", "no key shows the layout of the queue; --layout names it")
        log.info("layout %s: %s", layout, reason)
        return layout

    # --- the work -----------------------------------------------------------------------------------------------

    async def _work(self, session: Session, way: Way) -> None:
        """Registers, serves, and leaves, whatever happens in between."""
        options = self._options
        service = Service(service_time(options.service_time), options.failing_share, options.seed)
        limits = Limits(options.count, options.until_empty, options.poll_interval)
        self._crew = crew = Crew(way, options.consumers, service, limits, self.report)
        if self._stopping:
            crew.end(0.0)
        if self._hurry.is_set():
            crew.abandon()
        background: list[asyncio.Task[None]] = []
        timer = None
        patience = max(options.retry_for, _LAST_SECONDS)
        try:
            await self._unless_in_a_hurry(way.beat([], stopping=False))
            log.info("consuming from queue %s as %s", way.queue, way.name)
            if options.duration is not None:
                timer = asyncio.get_running_loop().call_later(options.duration, crew.end, options.grace)
            background = [asyncio.ensure_future(self._repeat(*step)) for step in self._steps(session, way)]
            await crew.serve()
        except TransientError:
            patience = _LAST_SECONDS
            raise
        finally:
            if timer is not None:
                timer.cancel()
            for task in background:
                task.cancel()
            if background:
                await asyncio.wait(background)
            fault = await self._leave(way, patience)
        if fault is not None and not self._hurry.is_set():
            raise fault

    async def _unless_in_a_hurry(self, step: Coroutine[Any, Any, None]) -> None:
        """Runs a step, which ends unfinished if the user wants an end at once."""
        task, hurry = asyncio.ensure_future(step), asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait([task, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if task.done():
            task.result()
            return
        task.cancel()
        await asyncio.wait([task])

    def _steps(self, session: Session, way: Way) -> list[tuple[Callable[[], Awaitable[object]], float, bool]]:
        """What is done beside taking tasks: the step, its interval, whether it is done at the beginning, too."""
        crew = self._crew
        assert crew is not None  # noqa: S101 - there is one by now
        steps: list[tuple[Callable[[], Awaitable[object]], float, bool]] = [
            (lambda: way.beat(crew.in_service, stopping=self._stopping), HEARTBEAT_SECONDS, False),
        ]
        if not self._options.with_workers:
            steps.append((lambda: refuse_real_workers(session, way.queue, way.layout), HEARTBEAT_SECONDS, True))
        if way.layout == "asynq":
            steps += [
                (way.forward, _FORWARD_SECONDS, False),
                (way.clean, _CLEAN_SECONDS, False),
                (lambda: self._recover(way), _RECOVER_SECONDS, True),
            ]
        return steps

    async def _repeat(self, step: Callable[[], Awaitable[object]], seconds: float, at_once: bool) -> None:
        """Repeats a step until this is cancelled. An error ends the run."""
        crew = self._crew
        assert crew is not None  # noqa: S101 - see _steps
        try:
            while True:
                if at_once:
                    await step()
                at_once = True
                await asyncio.sleep(seconds)
        except Exception as error:
            crew.fail(error)

    async def _recover(self, way: Way) -> None:
        """Ends tasks as failed whose lease has ended, as each of asynq's servers does: their consumer is gone."""
        tasks = await way.expired()
        if tasks:
            turn = await way.turn([failure(task, _LEASE_EXPIRED) for task in tasks], 0)
            recovered = turn.ended.count(True)
            self.report.recovered += recovered
            log.info("%s whose consumer is gone ended as failed", counted(recovered, "active task"))
            if turn.error is not None:
                raise turn.error

    # --- the end ------------------------------------------------------------------------------------------------

    async def _leave(self, way: Way, patience: float) -> LoaderError | None:
        """Puts back what is in service, and ends the registration. This is the only way out of ``_work``.

        Args:
            patience: Seconds that all of this may take.

        Returns:
            The first error, which is told already.
        """
        crew, report = self._crew, self.report
        assert crew is not None  # noqa: S101 - see _steps
        report.in_service = 0
        report.left_active = len(crew.left)
        until = time.monotonic() + patience
        faults = [await self._last(step, until) for step in (self._put_back(way), way.leave())]
        if report.left_active:
            then = "asynq's servers end them as failed when their lease has ended" if way.layout == "asynq" else ""
            log.warning(
                "%s could not be put back, and may stay active%s",
                counted(report.left_active, "task"),
                f"; {then}" if then else "",
            )
        return next((fault for fault in faults if fault is not None), None)

    async def _put_back(self, way: Way) -> None:
        """Puts back what this consumer has taken, and says meanwhile that it still runs."""
        crew, report = self._crew, self.report
        assert crew is not None  # noqa: S101 - see _steps
        error: LoaderError | None = None
        beaten = time.monotonic()
        left = crew.left
        for at in range(0, len(left), MOST_AT_ONCE):
            some = left[at : at + MOST_AT_ONCE]
            turn = await way.put_back([ending.task.id for ending in some])
            error = error or turn.error
            for ending, was_active in zip(some, turn.ended, strict=True):
                if was_active is None:
                    continue  # refused
                report.left_active -= 1
                crew.settle(ending)
                if was_active:
                    report.put_back += 1
                else:
                    report.count(ending)  # the call whose answer was lost has ended it
            if time.monotonic() - beaten > HEARTBEAT_SECONDS:
                await way.beat(crew.in_service, stopping=True)
                beaten = time.monotonic()
        if crew.uncertain and not self._options.with_workers:
            await self._put_back_unknown(way, {ending.task.id for ending in crew.left})
        if error is not None:
            raise error

    async def _put_back_unknown(self, way: Way, known: set[bytes]) -> None:
        """Puts back tasks that a call has taken whose answer was lost: they bear this consumer's mark."""
        mine = [name for name in await way.mine() if name not in known]
        for at in range(0, len(mine), MOST_AT_ONCE):
            turn = await way.put_back(mine[at : at + MOST_AT_ONCE])
            found = turn.ended.count(True)
            self.report.taken += found
            self.report.put_back += found
            if turn.error is not None:
                raise turn.error

    async def _last(self, step: Coroutine[Any, Any, None], until: float) -> LoaderError | None:
        """Runs a last step until a time (``time.monotonic``), or shortly if the user wants an end at once.

        Returns:
            Its error, which is told: the next step is taken all the same.
        """
        task = asyncio.ensure_future(step)
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait(
            [task, hurry], timeout=max(0.0, until - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        hurry.cancel()
        if not task.done() and self._hurry.is_set():
            await asyncio.wait([task], timeout=_LAST_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        error = LoaderError(f"{self._address}: the server did not answer") if task.cancelled() else task.exception()
        if isinstance(error, LoaderError):
            log.warning("while leaving: %s", error)
            return error
        if error is not None:
            raise error
        return None
