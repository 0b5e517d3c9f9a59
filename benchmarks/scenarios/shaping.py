"""Records that are shaped on their way, beside records that are loaded as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import DISCARDING, LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import OfInputs
from benchmarks.server import Server

_SHAPES: dict[str, tuple[str, ...]] = {
    "as they are": (),
    "--limit": ("--limit=1000000000",),
    "--sample 100%": ("--sample=100%",),
    "--where": ("--where=steps > `0` && prompt != 'x'",),
    "--set": ("--set=seed=seed",),
    "--dedup": ("--dedup=seed",),
}
"""All of these leave each record as it is, so what is in the server can be checked as always."""

_OTHERS: dict[str, tuple[str, ...]] = {
    "--select": ("--select={text: prompt, options: {seed: seed, steps: steps}}",),
    "--id-from": ("--id-from=join('-', ['n', to_string(seed)])",),
}
"""These make other payloads or ids."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping(OfInputs):
    """Rate with each option of shaping, beside a load without."""

    name: ClassVar[str] = "shaping"
    title: ClassVar[str] = "Shaping records beside loading them as they are"
    variant_heading: ClassVar[str] = "records"
    base_heading: ClassVar[str] = "of as they are"

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        cases: list[Case] = []
        for contestant, more in ((LOADER, {}), (DISCARDING, _OTHERS)):
            for number, (variant, options) in enumerate({**_SHAPES, **more}.items()):
                key, base = f"{contestant.name}/{number}", f"{contestant.name}/0"
                cases.append(Case(key, contestant, dataset, base=base, variant=variant, options=options))
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "Each record is parsed once and each expression evaluated once for it; all records are kept. Without an "
            "option of shaping, none of its code is imported. The loader that discards shows the client's own cost."
        )
