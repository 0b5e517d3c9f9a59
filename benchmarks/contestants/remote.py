"""The loader, from an object of a server of S3 on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.errors import UnavailableError
from benchmarks.objects import ObjectServer
from benchmarks.recorder import loader_command


@dataclass(frozen=True, slots=True)
class FromObject:
    """See ``Contestant``."""

    server: ObjectServer | UnavailableError
    most_tasks: int | None = None
    same_work: bool = True
    name: str = "runqy-loader-s3"
    label: str = "runqy-loader, from S3"
    note: str = "one object of JSON lines, of versitygw on the same machine, whose CPU is not counted"

    def prepare(self, work: Work) -> Plan:
        if isinstance(self.server, UnavailableError):
            raise self.server
        url = self.server.put(work.dataset.path, work.dataset.path.name)
        options = list(work.options) if work.workers is None else [*work.options, f"--workers={work.workers}"]
        command = loader_command(Path("in.jsonl"), work.target.url, work.batch_size, REPORT, *options)
        command[command.index("in.jsonl")] = url
        return Plan(["env", *self.server.environment, *command], seconds=reported_seconds(work.scratch))
