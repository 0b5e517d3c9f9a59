"""runqy-loader at a rate, with what its report says of its pace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT
from benchmarks.errors import WrongResultError
from benchmarks.measure import Usage
from benchmarks.outcome import QUEUE
from benchmarks.recorder import JOB, PROGRAM

_READ = "report-read.json"


@dataclass(frozen=True, slots=True)
class Paced:
    """See ``Contestant``. The rate is among the options of the work; the batch size is the loader's own choice."""

    name: str = "runqy-loader-paced"
    label: str = "runqy-loader"
    note: str = ""
    same_work: bool = True
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        command = [*PROGRAM, "load", str(work.dataset.path), "--queue", QUEUE, "--job", JOB, "--redis", work.target.url]
        command += [*work.options, "--no-progress", "--quiet", "--report", REPORT]

        def seconds(usage: Usage) -> float:
            path = work.scratch / REPORT
            if not path.exists():
                raise WrongResultError("it wrote no report")
            path.replace(work.scratch / _READ)
            return float(report_of(work.scratch)["seconds"])

        return Plan(command, seconds=seconds, same_ids=True)


def report_of(scratch: Path) -> Mapping[str, Any]:
    """The report of the last run."""
    found: Mapping[str, Any] = json.loads((scratch / _READ).read_text())
    return found


PACED = Paced()
