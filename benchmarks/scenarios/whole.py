"""Whole processes, start-up included: the loader beside redis-cli and Go's clients, on each server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.binaries import NEWER
from benchmarks.contestants.base import Contestant
from benchmarks.contestants.go_clients import GO_REDIS, RUEIDIS
from benchmarks.contestants.ready_made import ReadyMade
from benchmarks.contestants.registry import LOADER
from benchmarks.outcome import DOCUMENTED, QUEUE
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HSETS = ReadyMade("documented", "hset", DOCUMENTED, QUEUE)
CONTESTANTS: tuple[Contestant, ...] = (LOADER, _HSETS, RUEIDIS, GO_REDIS)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Scenario):
    """Time and client CPU of whole processes, on each server."""

    name: ClassVar[str] = "whole"
    title: ClassVar[str] = "Whole processes: the loader beside redis-cli --pipe and Go's clients"
    base_heading: ClassVar[str] = "of redis-cli's"
    view: ClassVar[View] = "whole"
    servers: ClassVar[tuple[str, ...]] = NEWER
    several_servers: ClassVar[bool] = True

    tasks: int = 300_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        cases = [Case(contestant.name, contestant, dataset, base=_HSETS.name) for contestant in CONTESTANTS]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "redis-cli sends HSETs and LPUSHes that were made ahead, and only reads them. The loader validates each "
            "payload and keeps its ledger. Server bytes are the growth of `used_memory`, the list of ids included; "
            "servers have different allocators, so compare them on one server."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.whole import whole

        return {"whole": whole(result)}
