"""The loader's peak memory against the size of its input."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.drain import Drain
from benchmarks.errors import WrongResultError
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner, say
from benchmarks.scenarios.base import SMALL, Scenario, Varied
from benchmarks.server import Server
from benchmarks.units import parse_size, size_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Scenario):
    """Peak memory against input size; a drain keeps the server small."""

    name: ClassVar[str] = "memory"
    title: ClassVar[str] = "Peak memory of the loader against the size of its input"
    varied: ClassVar[Varied | None] = Varied("input", size_text)
    # If the drain fails, the load ends with a clear error before it uses up the memory of the machine.
    server_options: ClassVar[tuple[str, ...]] = ("--maxmemory", "8gb", "--maxmemory-policy", "noeviction")

    sizes: str = "10MB,100MB,1GB,2GB"
    """Sizes of the input files, made for the run and deleted."""

    size: int = SMALL
    """Bytes a payload, about."""

    runs: int = 1
    """Rounds."""

    @classmethod
    def quick(cls) -> Self:
        return cls(sizes="1MB,10MB")

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        results: list[CaseResult] = []
        for file_bytes in map(parse_size, self.sizes.split(",")):
            path = scratch / f"{file_bytes}.jsonl"
            key = f"{LOADER.name}/{size_text(file_bytes).replace(' ', '')}"
            if shutil.disk_usage(scratch).free < file_bytes + 10**9:
                say(f"  {key}: left out, because {scratch} has not enough room for it")
                continue
            say(f"  {key}: writing {path}")
            dataset = payloads.write(path, self.size, file_bytes=file_bytes)
            try:
                results.append(self._load(Case(key, LOADER, dataset, parameter=dataset.file_bytes), runner, server))
            finally:
                path.unlink()
        return results

    def _load(self, case: Case, runner: Runner, server: Server) -> CaseResult:
        result = case.result()
        plan, work = runner.prepare(case)
        for number in range(1, self.runs + 1):
            try:
                with Drain(server, case.dataset.size) as drain:
                    run = runner.once(case, plan, work, number, check=False)
                drain.finish(case.dataset.content)
            except WrongResultError as error:
                result.failures.append(f"round {number}: {error}")
                say(f"  {case.key}: FAILED: {error}")
                continue
            result.runs.append(run)
            say(f"  {case.key:<28} peak {run.peak_rss_bytes / 1e6:.0f} MB, {run.seconds:.1f} s (drained meanwhile)")
        return result

    @classmethod
    def remark(cls, result: Result) -> str:
        return "Tasks are taken out and checked while they are loaded, so the rates say nothing here."

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.memory import memory

        return {"memory": memory(result)}
