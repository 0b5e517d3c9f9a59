"""The loader with each layout, and with tasks that go through a script, each beside a limit of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LIMIT, LOADER
from benchmarks.outcome import ASYNQ, RUNQY, USUAL, Outcome
from benchmarks.payloads import ENVELOPE, EXPORTED, WITH_ID, Form
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Variant(NamedTuple):
    name: str
    options: tuple[str, ...]
    outcome: Outcome
    form: Form = WITH_ID


_AS_ASYNQ = ("--layout=asynq", "--profile=asynq", "--type=task")
_BASE = "documented"
VARIANTS = (
    _Variant(_BASE, (), USUAL),
    _Variant("asynq", _AS_ASYNQ, Outcome(ASYNQ)),
    _Variant("asynq for runqy", ("--layout=asynq",), Outcome(RUNQY)),
    _Variant("own ids", ("--id-field=id",), Outcome(id_field="id")),
    _Variant("envelopes", (*_AS_ASYNQ, "--envelope"), Outcome(ASYNQ), ENVELOPE),
    _Variant("envelopes as exported", (*_AS_ASYNQ, "--envelope"), Outcome(ASYNQ, id_field="id"), EXPORTED),
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Layouts(Scenario):
    """Throughput of the layouts, and of own ids and envelopes."""

    name: ClassVar[str] = "layouts"
    title: ClassVar[str] = "Throughput of the layouts, and of what goes through a script"
    variant_heading: ClassVar[str] = "variant"
    base_heading: ClassVar[str] = "of documented"

    tasks: int = 300_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=3_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        cases = [
            Case(
                f"{contestant.name}/{variant.name.replace(' ', '-')}",
                contestant,
                payloads.dataset(self.size, self.tasks, variant.form),
                options=variant.options,
                limit=f"{LIMIT.name}/{variant.name.replace(' ', '-')}",
                base=f"{contestant.name}/{_BASE}",
                variant=variant.name,
                outcome=variant.outcome,
            )
            for variant in VARIANTS
            for contestant in (LOADER, LIMIT)
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        options = (f"{each.name}: `{' '.join(each.options)}`" for each in VARIANTS if each.options)
        return (
            f"Options: {'; '.join(options)}. All load the same payloads; in envelopes they are wrapped as "
            '`{"payload": …}`, as exported with id, type, retries and timeout beside. Own ids, in envelopes too, go '
            "through a script that looks before it writes, and so do their limits: redis-cli sends the same scripts."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.layouts import layouts

        return {"layouts": layouts(result)}
