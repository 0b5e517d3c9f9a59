"""Tasks by RESTORE beside tasks by HSET: rates and memory."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmarks.plots.columns import Columns, columns
from benchmarks.plots.style import LIMIT_COLOUR, LOADER_COLOUR, PEER_COLOUR, RATE_TICKS, figure, legend, rounds_text
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.units import rate_text, size_text

_SMALL = 2000
"""Payloads up to this size are in the plot of memory: of larger ones, there is next to nothing to see."""
_SERIES = (
    ("ready-hset", "redis-cli, HSETs made ahead", LIMIT_COLOUR),
    ("ready-restore", "redis-cli, RESTOREs made ahead", PEER_COLOUR),
    ("runqy-loader", "runqy-loader", LOADER_COLOUR),
)


def compact(result: Result) -> Figure:
    """Rates on top, the server's memory below, both for each layout and payload size."""
    groups = list(dict.fromkeys((case.variant, case.parameter or 0) for case in result.measured if case.same_work))
    groups.sort(key=lambda group: (group[0] == "asynq", group[1]))
    drawn = figure(result, "What compact tasks save", rounds_text(result).capitalize(), (11, 8))
    rates, memory = drawn.subplots(2, 1)
    cases = {(case.contestant, case.variant, case.parameter): case for case in result.measured}

    def bars(of: str, among: list[tuple[str, float]]) -> list[Columns]:
        return [
            Columns(label, colour, [_spread(cases.get((name, *group)), of) for group in among])
            for name, label, colour in _SERIES
        ]

    def names(among: list[tuple[str, float]]) -> list[str]:
        return [f"{size_text(size)}\n{layout}" for layout, size in among]

    columns(rates, names(groups), bars("rate", groups), rate_text)
    rates.set_ylabel("tasks per second")
    rates.yaxis.set_major_formatter(RATE_TICKS)
    small = [group for group in groups if group[1] <= _SMALL] or groups
    columns(memory, names(small), bars("memory", small), lambda value: f"{value:,.0f}")
    memory.set_ylabel("bytes of server memory per task")
    legend(drawn, rates)
    return drawn


def _spread(case: CaseResult | None, of: str) -> Spread | None:
    if case is None:
        return None
    return case.rate if of == "rate" else case.server_memory_spread
