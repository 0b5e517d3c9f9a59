"""Tasks written by RESTORE beside the same tasks written by HSET: by the loader, and made ahead for redis-cli."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.binaries import SERVERS
from benchmarks.contestants.base import Contestant
from benchmarks.contestants.ready_made import Encoding, ReadyMade
from benchmarks.contestants.registry import BY_HSET, LOADER
from benchmarks.encode import FORMS
from benchmarks.outcome import ASYNQ, DOCUMENTED, QUEUE, Layout, Outcome
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import Scenario, Varied
from benchmarks.server import Server
from benchmarks.units import size_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPTIONS = {"documented": (), "asynq": ("--layout=asynq", "--profile=asynq", "--type=task")}
_LAYOUTS: tuple[tuple[str, Layout], ...] = (("documented", DOCUMENTED), ("asynq", ASYNQ))


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Compact(Scenario):
    """Rate and server memory of tasks by RESTORE beside those by HSET."""

    name: ClassVar[str] = "compact"
    title: ClassVar[str] = "Tasks by RESTORE beside tasks by HSET"
    varied: ClassVar[Varied | None] = Varied("payload", size_text)
    variant_heading: ClassVar[str] = "layout"
    base_heading: ClassVar[str] = "of HSET's"
    shows_memory: ClassVar[bool] = True
    servers: ClassVar[tuple[str, ...]] = SERVERS
    several_servers: ClassVar[bool] = True

    tasks: int = 300_000
    """Payloads to load, at most."""

    runs: int = 5
    """Rounds."""

    values: tuple[int, ...] = (110, 300, 1_000, 10_000)
    """Payload sizes in bytes (repeat the option)."""

    most_bytes: int = 300_000_000
    """The most bytes of payloads together; fewer payloads are loaded if they would exceed it."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=3_000, runs=1, most_bytes=5_000_000)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        cases: list[Case] = []
        for size in self.values:
            dataset = payloads.dataset(size, min(self.tasks, self.most_bytes // size))
            for layout, stored in _LAYOUTS:
                kinds: list[Contestant] = [LOADER, BY_HSET]
                kinds += [ReadyMade(layout, form, stored, QUEUE) for form in FORMS]
                kinds += [Encoding(layout, form) for form in FORMS]
                cases += [
                    Case(
                        f"{kind.name}/{layout}/{size}",
                        kind,
                        dataset,
                        parameter=size,
                        variant=layout,
                        base=f"{'encode' if isinstance(kind, Encoding) else 'ready'}-hset/{layout}/{size}",
                        options=_OPTIONS[layout],
                        outcome=Outcome(stored),
                    )
                    for kind in kinds
                ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "redis-cli sends tasks made ahead, one command for each, and one LPUSH for each 1000. The loader validates "
            "each payload, encodes it, and keeps its ledger; its ratio is of what redis-cli does with HSETs. Server "
            "memory is the growth of `used_memory`, the list of ids included. The encoder's rate is by its CPU time."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.compact import compact

        several = len(result.servers) > 1
        return {f"compact-{server}" if several else "compact": compact(result.on(server)) for server in result.servers}
