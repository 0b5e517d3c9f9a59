"""runqy-loader itself, as a user runs it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.recorder import loader_command


@dataclass(frozen=True, slots=True)
class RunqyLoader:
    """See ``Contestant``. Its seconds are taken from its own report.

    Args:
        options: Options that it has beside those of the work.
        discard: Whether it discards the commands. This shows its own ceiling, since the server costs nothing.
    """

    name: str = "runqy-loader"
    label: str = "runqy-loader"
    note: str = "validates every payload as JSON and keeps the exactly-once ledger"
    options: tuple[str, ...] = ()
    discard: bool = False
    most_tasks: int | None = None

    @property
    def same_work(self) -> bool:
        return not self.discard

    def prepare(self, work: Work) -> Plan:
        options = [*self.options, *work.options]
        if work.workers is not None:
            options.append(f"--workers={work.workers}")
        url = "discard" if self.discard else work.target.url
        command = loader_command(work.dataset.path, url, work.batch_size, REPORT, *options)
        return Plan(command, seconds=reported_seconds(work.scratch), same_ids=not self.discard)
