"""Takes tasks from the source and places them in the target, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson

from loader.errors import TooManyRejectsError
from loader.jobs.proof import Proof
from loader.jobs.rejects import RejectsFile
from loader.migrate.options import MigrateOptions
from loader.migrate.report import MigrateReport
from loader.migrate.source import TaskSource
from loader.migrate.target import Target
from loader.settings.error_limit import error_limit
from loader.stored.fetch import Fetched
from loader.tasks.reasons import Reason, ReasonCode


class Transfer:
    """The loop of a migration. It updates the report.

    Args:
        rejects: The file for the ids of rejected tasks, prepared by ``begin_file``.
        proof: That this run may write to it.
        stop: When it is set, tasks in flight are settled, and no more are taken.

    Attributes:
        unsettled: The number of the oldest taken tasks that may be in the target and are not settled in the source.
    """

    def __init__(
        self,
        options: MigrateOptions,
        report: MigrateReport,
        target: Target,
        rejects: Path,
        proof: Proof,
        stop: asyncio.Event,
    ) -> None:
        self._options = options
        self._report = report
        self._target = target
        self._rejects = rejects
        self._rejects_file = RejectsFile(rejects, proof)
        self._stop = stop
        self.unsettled = 0

    async def run(self, source: TaskSource) -> bool:
        """Runs the transfer. Returns whether every task was processed; False after a stop.

        Raises:
            LoaderError: A server refuses, or cannot be reached any more; too many tasks were rejected.
        """
        try:
            return await self._run(source)
        finally:
            self._rejects_file.close()

    async def _run(self, source: TaskSource) -> bool:
        target = self._target
        current = await source.take(0)
        while current.count:
            if self._stop.is_set():
                return False
            self.unsettled = current.count
            # The next tasks are fetched while these are placed. Both must end before the next call to the source, which
            # relies on the number of tasks in flight.
            following, placed = await asyncio.gather(
                source.take(current.count), target.insert(current.tasks), return_exceptions=True
            )
            if isinstance(placed, BaseException):
                if not target.in_doubt:
                    self.unsettled = 0
                raise placed
            await self._settle(source, current, placed)
            self.unsettled = 0
            self._check_rejects(following)
            if isinstance(following, BaseException):
                raise following
            current = following
        return not self._stop.is_set()

    async def _settle(self, source: TaskSource, fetched: Fetched, skipped: dict[int, Reason]) -> None:
        report, on_conflict = self._report, self._options.on_conflict
        there, rejected = list[bytes](), list(fetched.unreadable)
        for position, task in enumerate(fetched.tasks):
            why = skipped.get(position)
            if why is None:
                report.migrated += 1
                report.lost.update(self._target.lost(task))
            elif why.code is ReasonCode.ALREADY_MIGRATED or (on_conflict == "skip" and why.code.is_conflict):
                report.already += 1
            else:
                rejected.append((task.id, why))
                continue
            there.append(task.id)
        report.missing += len(fetched.missing)
        await self._write_rejects(rejected)
        await source.settle("drop", there)
        await source.settle("forget", fetched.missing)
        await source.settle("aside", [task_id for task_id, _ in rejected])
        if report.moves and not self._target.repeated:
            # If the tasks were sent twice, a late first request must still find their ids; the next run removes them.
            self._target.forget([*there, *fetched.missing])

    def _check_rejects(self, following: Fetched | BaseException) -> None:
        report, limit = self._report, error_limit(self._options.max_errors)
        handled = report.migrated + report.already + report.missing + report.rejected
        all_read = isinstance(following, Fetched) and not following.count
        if limit.is_exceeded(report.rejected, handled, all_read=all_read):
            raise TooManyRejectsError(
                f"{report.rejected:,} of {handled:,} tasks were rejected, more than --max-errors {limit.text} allows",
                f"See {self._rejects}",
            )

    async def _write_rejects(self, rejected: Sequence[tuple[bytes, Reason]]) -> None:
        if not rejected:
            return
        for task_id, why in rejected:
            self._report.count_reject(why, f"task {task_id.decode(errors='backslashreplace')}")
        self._report.rejects_file = str(self._rejects)
        lines = [
            orjson.dumps(
                {"id": task_id.decode(errors="backslashreplace"), "code": why.code, "reason": why.text},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for task_id, why in rejected
        ]
        await self._rejects_file.append(lines)
