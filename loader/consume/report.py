"""The counts of ``consume``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loader.consume.time_in_queue import TimeInQueue
from loader.consume.way import Ending
from loader.jobs.report import RunReport
from loader.tasks.profiles import LayoutChoice


@dataclass(slots=True, kw_only=True)
class ConsumeReport(RunReport):
    """Counts of a run, updated as it goes on.

    At the end, ``taken == done + retried + archived + put_back + left_active``.

    Attributes:
        taken: Tasks that were taken: one for each execution.
        done: Executions that did not fail.
        retried: Executions that failed, and after which the task is or was to be retried.
        archived: Executions that failed, and after which the task was retried often enough.
        put_back: Tasks that were put back before their execution ended.
        left_active: Tasks that could not be put back, because the server refused or was gone.
        no_longer_ours: How many of these were no longer this consumer's when they ended: somebody else has moved or
            deleted them.
        unreadable: Ids that were taken and have no task that can be read.
        recovered: Tasks of consumers that are gone, which were ended as failed when their lease had ended.
        in_service: Tasks in service now.
        service_seconds: How long all executions take together.
        cycles: How often a consumer has found a task waiting when its last one had ended.
        cycle_seconds: The time from the one to the other being taken, in all these together.
    """

    queue: str
    layout: LayoutChoice
    consumers: int
    service_time: str
    fail_rate: str
    seed: int
    taken: int = 0
    done: int = 0
    retried: int = 0
    archived: int = 0
    put_back: int = 0
    left_active: int = 0
    no_longer_ours: int = 0
    unreadable: int = 0
    recovered: int = 0
    in_service: int = 0
    executions: int = 0
    service_seconds: float = 0.0
    cycles: int = 0
    cycle_seconds: float = 0.0
    time_in_queue: TimeInQueue = field(default_factory=TimeInQueue)

    def count(self, ending: Ending) -> None:
        """Counts an execution that has ended."""
        if ending.kind == "done":
            self.done += 1
        elif ending.kind == "retry":
            self.retried += 1
        else:
            self.archived += 1

    @property
    def exit_status(self) -> int:
        """0 ended as it was told to; 1 failed; 130 interrupted before that."""
        return self._exit_status(0)

    @property
    def failed(self) -> int:
        """Executions that failed."""
        return self.retried + self.archived

    @property
    def ended(self) -> int:
        """Executions that have ended."""
        return self.done + self.failed

    @property
    def tasks_per_second(self) -> float:
        return self.ended / max(self.seconds, 1e-6)

    @property
    def capacity(self) -> float | None:
        """Tasks a second that the consumers can take: their number by the mean service time; None for no limit."""
        return self.consumers * self.executions / self.service_seconds if self.service_seconds else None

    @property
    def achieved_capacity(self) -> float | None:
        """Tasks a second that the consumers have taken while tasks were waiting; None if none were."""
        return self.consumers * self.cycles / self.cycle_seconds if self.cycle_seconds else None

    @property
    def utilisation(self) -> float:
        """The share of the time in which consumers were busy."""
        return min(1.0, self.service_seconds / max(self.consumers * self.seconds, 1e-6))

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/load-testing.md."""
        return {
            "command": "consume",
            "queue": self.queue,
            "layout": self.layout,
            "consumers": self.consumers,
            "service_time": self.service_time,
            "fail_rate": self.fail_rate,
            "seed": self.seed,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "taken": self.taken,
            "done": self.done,
            "failed": self.failed,
            "retried": self.retried,
            "archived": self.archived,
            "put_back": self.put_back,
            "left_active": self.left_active,
            "no_longer_ours": self.no_longer_ours,
            "unreadable": self.unreadable,
            "recovered": self.recovered,
            "seconds": round(self.seconds, 3),
            "tasks_per_second": round(self.tasks_per_second, 1),
            "capacity": _rounded(self.capacity),
            "achieved_capacity": _rounded(self.achieved_capacity),
            "utilisation": round(self.utilisation, 4),
            "time_in_queue": self.time_in_queue.to_dict(),
        }


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
