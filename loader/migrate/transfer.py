"""Takes tasks from the source and puts them into the target, step after step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson

from loader.errors import LoaderError, TooManyRejectsError
from loader.migrate.options import MigrateOptions
from loader.migrate.report import MigrateReport
from loader.migrate.source import TaskSource
from loader.migrate.target import Target
from loader.stored.fetch import Fetched
from loader.tasks.reasons import Reason, ReasonCode


class Transfer:
    """The loop of a migration, which counts into its report.

    Args:
        rejects: Where ids of rejected tasks go.
        stop: Once it is set, what is in flight is settled, and no more is begun.

    Attributes:
        unsettled: How many of the oldest tasks taken may be in the target though the source does not know.
    """

    def __init__(
        self, options: MigrateOptions, report: MigrateReport, target: Target, rejects: Path, stop: asyncio.Event
    ) -> None:
        self._options = options
        self._report = report
        self._target = target
        self._rejects = rejects
        self._stop = stop
        self.unsettled = 0

    async def run(self, source: TaskSource) -> bool:
        """Whether all was dealt with, and not only what came before a stop.

        Raises:
            LoaderError: A server refuses, or cannot be reached any more; too many tasks were rejected.
        """
        target = self._target
        current = await source.take(0)
        while current.count:
            if self._stop.is_set():
                return False
            self.unsettled = current.count
            # The next tasks are fetched while these are placed. Both end before anything else is asked of the source,
            # which counts on how many are in flight.
            following, placed = await asyncio.gather(
                source.take(current.count), target.insert(current.tasks), return_exceptions=True
            )
            if isinstance(placed, BaseException):
                if not target.in_doubt:
                    self.unsettled = 0
                raise placed
            await self._settle(source, current, placed)
            self.unsettled = 0
            self._check_rejects()
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
            elif why.code is ReasonCode.ALREADY_MIGRATED or (on_conflict == "skip" and why.code.is_conflict):
                report.already += 1
            else:
                rejected.append((task.id, why))
                continue
            there.append(task.id)
        report.missing += len(fetched.missing)
        self._write_rejects(rejected)
        await source.settle("drop", there)
        await source.settle("forget", fetched.missing)
        await source.settle("aside", [task_id for task_id, _ in rejected])
        if report.moves and not self._target.repeated:
            # Where it was sent twice, a late first time must still find it known; the next run forgets it.
            self._target.forget([*there, *fetched.missing])

    def _check_rejects(self) -> None:
        limit = self._options.max_errors
        if limit is not None and self._report.rejected > limit:
            raise TooManyRejectsError(
                f"{self._report.rejected} tasks were rejected, more than --max-errors {limit} allows",
                f"See {self._rejects}",
            )

    def _write_rejects(self, rejected: Sequence[tuple[bytes, Reason]]) -> None:
        if not rejected:
            return
        self._report.count_rejects(why for _, why in rejected)
        self._report.rejects_file = str(self._rejects)
        lines = [
            orjson.dumps(
                {"id": task_id.decode(errors="backslashreplace"), "code": why.code, "reason": why.text},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for task_id, why in rejected
        ]
        try:
            with self._rejects.open("ab") as file:
                file.write(b"".join(lines))
        except OSError as error:
            raise LoaderError(
                f"the rejects file {self._rejects} cannot be written: {error.strerror}",
                "Name a writable one with --rejects",
            ) from error
