"""runqy-loader on a Dask cluster of this machine, with what its shards cost."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks.contestants.base import Plan, Work
from benchmarks.errors import WrongResultError
from benchmarks.measure import Usage


@dataclass(frozen=True, slots=True)
class DaskProgram:
    """See ``Contestant``. A program of ``benchmarks`` that loads on a cluster of its own and prints its figures.

    Attributes:
        program: The name of its module.
        arguments: What it takes after the path of the payloads and the URL of the server.
    """

    program: str
    arguments: tuple[int | float, ...]
    name: str = "runqy-loader-dask"
    label: str = "runqy-loader load --engine dask"
    note: str = "validates every payload, and keeps the exactly-once ledger and the claims"
    same_work: bool = True
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        given = (str(work.dataset.path), work.target.url, *map(str, self.arguments))
        command = [sys.executable, "-m", f"benchmarks.{self.program}", *given]
        return Plan(command, seconds=lambda usage: _said(usage)["seconds"], same_ids=False, figures=_said)


def _said(usage: Usage) -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(usage.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise WrongResultError(f"it says: {usage.stdout[-300:]} {usage.stderr[-300:]}") from error
    return found
