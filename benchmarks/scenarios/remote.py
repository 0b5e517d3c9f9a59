"""An object of S3 beside a file with the same payloads."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.contestants.remote import FromObject
from benchmarks.errors import UnavailableError
from benchmarks.objects import object_server
from benchmarks.results import CaseResult
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import OfInputs
from benchmarks.server import Server


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Remote(OfInputs):
    """Loading an object of a server of S3 on this machine, beside the same lines in a file."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "An object of S3 beside a file"
    base_heading: ClassVar[str] = "of the file"

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        folder = scratch / "objects"
        folder.mkdir()
        with ExitStack() as stack:
            try:
                remote = FromObject(stack.enter_context(object_server(folder)))
            except UnavailableError as error:
                remote = FromObject(error)  # which is told in the table
            cases = [
                Case(LOADER.name, LOADER, dataset, variant="file"),
                Case(remote.name, remote, dataset, base=LOADER.name, variant="S3"),
            ]
            return runner.rounds(cases, self.runs)
