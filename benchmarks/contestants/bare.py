"""Programs that load nothing, to measure how long they take from start to end."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks.contestants.base import Plan, Work


@dataclass(frozen=True, slots=True)
class Bare:
    """See ``Contestant``.

    Args:
        arguments: The arguments of Python.
    """

    name: str
    label: str
    arguments: tuple[str, ...]
    note: str = ""
    same_work: bool = False
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        return Plan([sys.executable, *self.arguments])


PYTHON = Bare("python", "python -c pass", ("-c", "pass"), note="the interpreter alone")
HELP = Bare("help", "runqy-loader --help", ("-m", "runqy_loader", "--help"))
