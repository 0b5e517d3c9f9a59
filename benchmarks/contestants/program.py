"""Contestants that are programs of ``benchmarks/peers``: they share one command line and one form of report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.base import Plan, Work
from benchmarks.errors import WrongResultError
from benchmarks.measure import Usage
from benchmarks.outcome import QUEUE

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Program:
    """See ``Contestant``.

    Args:
        build: The command without arguments; it may build the program first, and raises UnavailableError if it cannot.
        connections: How many connections it opens by default.
    """

    name: str
    label: str
    build: Callable[[], list[str]]
    connections: int = 1
    most_tasks: int | None = None
    note: str = ""
    same_work: bool = True

    def prepare(self, work: Work) -> Plan:
        return Plan([*self.build(), *arguments(work, self.connections)], seconds=reported_seconds(work.scratch))


def arguments(work: Work, connections: int) -> list[str]:
    """The arguments that all peers take."""
    return [
        *("--addr", work.target.address, "--queue", QUEUE, "--batch", str(work.batch_size)),
        *("--workers", str(work.workers or connections), "--report", REPORT, str(work.dataset.path)),
    ]


def reported_seconds(scratch: Path) -> Callable[[Usage], float]:
    """A function that reads the report of a run and removes it."""

    def read(_: Usage) -> float:
        path = scratch / REPORT
        if not path.exists():
            raise WrongResultError("it wrote no report")
        seconds = float(json.loads(path.read_text())["seconds"])
        path.unlink()
        return seconds

    return read


def python_peer(module: str) -> list[str]:
    """The command of a program in ``benchmarks/peers/python``."""
    return [sys.executable, "-m", f"benchmarks.peers.python.{module}"]
