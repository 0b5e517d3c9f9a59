"""The report of a rollback."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loader.jobs.report import RunReport


@dataclass(slots=True)
class RollbackReport(RunReport):
    """Counts of tasks of a rollback, updated as it runs.

    Attributes:
        dry_run: Whether nothing is changed: ``removed`` counts what would be taken back.
        resumed: Whether an earlier rollback of the job was stopped or killed.
        removed: Tasks that this run took back, by where they were: ``pending``, ``scheduled`` or ``aggregating``.
        queues: The same by queue.
        earlier: Tasks that earlier runs of this rollback took back.
        orphans: Hashes and look-ups of batches that were never pushed, which were deleted.
        left: Tasks of the job that consumers had taken, which stay; None if an earlier version has loaded some of it,
            so that their number is not known.
        looked_at: Ids looked at so far, for the display.
    """

    job: str
    dry_run: bool = False
    resumed: bool = False
    removed: Counter[str] = field(default_factory=Counter)
    queues: Counter[str] = field(default_factory=Counter)
    earlier: int = 0
    orphans: int = 0
    left: int | None = None
    looked_at: int = 0

    @property
    def taken_back(self) -> int:
        """Tasks that this run took back."""
        return self.removed.total()

    @property
    def tasks_per_second(self) -> float:
        return self.taken_back / self.seconds if self.seconds else 0.0

    @property
    def exit_status(self) -> int:
        """0 all that could be is taken back; 1 failed; 130 interrupted."""
        return self._exit_status(0)

    def count(self, state: str, queue: str, number: int) -> None:
        """Counts tasks that were taken back."""
        if number:
            self.removed[state] += number
            self.queues[queue] += number

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/jobs.md."""
        return {
            "job": self.job,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "dry_run": self.dry_run,
            "resumed": self.resumed,
            "removed": self.taken_back,
            "removed_by_state": dict(self.removed),
            "queues": dict(self.queues),
            "removed_earlier": self.earlier,
            "orphans": self.orphans,
            "left": self.left,
            "seconds": round(self.seconds, 3),
            "tasks_per_second": round(self.tasks_per_second, 1),
        }
