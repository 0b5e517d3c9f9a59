"""Rates as groups of bars, where a scenario varies among a few values."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plots.style import RATE_TICKS, SERIES, figure, guide_band, legend, rounds_text, whiskers
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.units import rate_text, size_text

_GROUP = 0.78
"""How much of the room between two values a group of bars takes."""


def by_payload_size(result: Result) -> Figure:
    """Tasks and megabytes a second for each size of a payload."""
    drawn = figure(result, "How throughput depends on payload size", rounds_text(result).capitalize(), (10, 5.2))
    tasks, megabytes = drawn.subplots(1, 2)
    _groups(tasks, result, lambda case: case.rate, rate_text, size_text)
    tasks.set_ylabel("tasks per second")
    tasks.yaxis.set_major_formatter(RATE_TICKS)
    guide_band(tasks)
    _groups(megabytes, result, lambda case: case.megabytes_per_second, lambda value: f"{value:,.0f}", size_text)
    megabytes.set_ylabel("MB of payload per second")
    for axes in (tasks, megabytes):
        axes.set_xlabel("bytes per payload")
    legend(drawn, tasks)
    return drawn


def by_processes(result: Result) -> Figure:
    """Tasks a second for each number of processes."""
    sizes = {case.payload_bytes / case.tasks for case in result.measured}
    subtitle = f"Tasks of {size_text(max(sizes))}; {rounds_text(result)}"
    drawn = figure(result, "How throughput depends on the number of processes", subtitle, (9, 5.2))
    axes = drawn.add_subplot()
    _groups(axes, result, lambda case: case.rate, rate_text, lambda value: f"{value:.0f}")
    axes.set_ylabel("tasks per second")
    axes.yaxis.set_major_formatter(RATE_TICKS)
    axes.set_xlabel("processes of the loader")
    guide_band(axes)
    legend(drawn, axes)
    return drawn


def _groups(
    axes: Axes,
    result: Result,
    of: Callable[[CaseResult], Spread],
    value_text: Callable[[float], str],
    tick_text: Callable[[float], str],
) -> None:
    values = sorted({case.parameter for case in result.measured if case.parameter is not None})
    shown = [series for series in SERIES if any(case.parameter is not None for case in series.cases(result))]
    width = _GROUP / len(shown)
    for series in SERIES:
        cases = series.cases(result)
        if cases and series not in shown:  # one for all values
            limit = of(cases[0]).median
            axes.axhline(limit, color=series.colour, ls="--", label=f"{series.label}: {value_text(limit)}")
    for place, series in enumerate(shown):
        cases = [case for case in series.cases(result) if case.parameter is not None]
        spreads = [of(case) for case in cases]
        middles = [values.index(case.parameter or 0) + (place - (len(shown) - 1) / 2) * width for case in cases]
        axes.bar(
            middles,
            [spread.median for spread in spreads],
            width * 0.94,
            yerr=whiskers(spreads),
            color=series.colour,
            error_kw={"ecolor": "#222222", "capsize": 3, "lw": 1},
            label=series.label,
        )
        for middle, spread in zip(middles, spreads, strict=True):
            axes.annotate(
                value_text(spread.median),
                (middle, spread.high),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                size=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
    axes.set_xticks(range(len(values)), [tick_text(value) for value in values])
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, max(of(case).high for case in result.measured) * 1.1)
    axes.grid(axis="y", color="#e4e4e4", lw=0.6)
