"""The report of a migration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loader.jobs.report import RunReport, peak_rss_bytes


@dataclass(slots=True)
class MigrateReport(RunReport):
    """Counts of tasks of a migration, updated as it runs.

    Attributes:
        target_queue: Name of the queue that tasks go to; '' until it is known.
        migrated: Placed in the target by this run.
        already: Already in the target: from an earlier run, or, with ``--on-conflict skip``, from other programs.
        missing: Ids whose task was gone: a worker had taken it, or it was deleted.
        put_back: Claimed, and put back into the source's pending list at the end.
        held: Claimed, and neither moved nor put back: the job must be run again.
        waiting: Length of the source's pending list at the beginning, for the display.
        refused: Whether the migration was refused before it began, so that running it again has the same result.
        lost: What migrated tasks had and the target's layout cannot hold, with the number of these tasks.
        other_states: Tasks of the source queue in other states, which stay there, by state.
        elsewhere: If no task was found: pending tasks of the source queue in the other layout.
    """

    job: str
    moves: bool
    source: str
    target: str
    target_queue: str = ""
    resumed: bool = False
    migrated: int = 0
    already: int = 0
    missing: int = 0
    put_back: int = 0
    held: int = 0
    waiting: int = 0
    refused: bool = False
    elsewhere: int = 0
    rejects_file: str | None = None
    lost: Counter[str] = field(default_factory=Counter)
    other_states: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Tasks left in the source because they cannot be placed in the target."""
        return self.rejected_by_code.total()

    @property
    def tasks_per_second(self) -> float:
        return self.migrated / self.seconds if self.seconds else 0.0

    @property
    def exit_status(self) -> int:
        """0 all in the target; 1 failed; 3 completed with rejects; 130 interrupted."""
        return self._exit_status(self.rejected)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/migrate.md for its fields."""
        return {
            "job": self.job,
            "mode": "move" if self.moves else "copy",
            "source": self.source,
            "target": self.target,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "resumed": self.resumed,
            "migrated": self.migrated,
            "already": self.already,
            "rejected": self.rejected,
            "rejected_by_code": self._codes(),
            "rejected_examples": self._examples(),
            "missing": self.missing,
            "lost": dict(self.lost),
            "other_states": self.other_states,
            "put_back": self.put_back,
            "held": self.held,
            "rejects_file": self.rejects_file,
            "seconds": round(self.seconds, 3),
            "tasks_per_second": round(self.tasks_per_second, 1),
            "peak_rss_bytes": peak_rss_bytes(),
        }
