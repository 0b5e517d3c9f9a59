"""The layouts side by side: their rates and their CPU."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from benchmarks.contestants.registry import LOADER
from benchmarks.plots.columns import Columns, columns
from benchmarks.plots.style import (
    LIMIT_COLOUR,
    LOADER_COLOUR,
    RATE_TICKS,
    SERVER_COLOUR,
    figure,
    guide_band,
    legend,
    rounds_text,
)
from benchmarks.results import CaseResult, Result, Run, Spread
from benchmarks.units import rate_text, share_text, size_text


def layouts(result: Result) -> Figure:
    """Rates beside their limits on top; the CPU of client and server below."""
    loads = [case for case in result.measured if case.contestant == LOADER.name]
    limits = [result.case(case.limit) for case in loads]
    first = loads[0]
    subtitle = f"{first.tasks:,} tasks of {size_text(first.payload_bytes / first.tasks)}; {rounds_text(result)}"
    drawn = figure(result, "How throughput depends on the layout", subtitle, (10, 8))
    rates, costs = drawn.subplots(2, 1, height_ratios=[3, 2])
    groups = [_group(result, case) for case in loads]
    bars = [
        Columns(
            "redis-cli --pipe, same bytes made ahead (its limit)",
            LIMIT_COLOUR,
            [limit.rate if limit is not None else None for limit in limits],
        ),
        Columns(LOADER.label, LOADER_COLOUR, [case.rate for case in loads]),
    ]
    columns(rates, groups, bars, rate_text)
    rates.set_ylabel("tasks per second")
    rates.yaxis.set_major_formatter(RATE_TICKS)
    guide_band(rates)
    bars = [
        Columns(
            "CPU of the loader, start-up included",
            LOADER_COLOUR,
            [_cost(case, lambda run: run.client_seconds) for case in loads],
        ),
        Columns("CPU of the server", SERVER_COLOUR, [_cost(case, lambda run: run.server_seconds) for case in loads]),
    ]
    columns(costs, [case.variant for case in loads], bars, lambda value: f"{value:.1f}")
    costs.set_ylabel("µs per task")
    costs.legend(frameon=False, fontsize=9, loc="upper left", ncols=2, bbox_to_anchor=(0, 1.16))
    legend(drawn, rates)
    return drawn


def _group(result: Result, case: CaseResult) -> str:
    limit, base = result.case(case.limit), result.case(case.base)
    lines = [case.variant]
    if limit is not None and (share := case.ratio(limit)) is not None:
        lines.append(f"{share_text(share.median)} of its limit")
    if base is not None and base is not case and (share := case.ratio(base)) is not None:
        lines.append(f"{share_text(share.median)} of {base.variant}")
    return "\n".join(lines)


def _cost(case: CaseResult, of: Callable[[Run], float]) -> Spread:
    return Spread.of([of(run) * 1e6 / case.tasks for run in case.runs])
