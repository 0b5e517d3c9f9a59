"""Rates as groups of bars, for scenarios that vary among a few values."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contestants.registry import DISCARDING, LIMIT, LOADER
from benchmarks.payloads import QUEUES
from benchmarks.plots.columns import Columns, columns
from benchmarks.plots.style import (
    LIMIT_COLOUR,
    LOADER_SHADES,
    RATE_TICKS,
    SERIES,
    figure,
    guide_band,
    legend,
    rounds_text,
)
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.units import rate_text, size_text


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


def by_servers(result: Result) -> Figure:
    """Tasks a second for each number of servers and of processes, and for a load whose commands are discarded."""
    loads = [case for case in result.measured if case.contestant in (LOADER.name, DISCARDING.name)]
    sizes = sorted({case.parameter or 0 for case in loads}, key=lambda size: size or math.inf)
    counts = sorted({case.variant for case in loads}, key=int)
    first = loads[0]
    subtitle = (
        f"Tasks of {size_text(first.payload_bytes / first.tasks)} for {len(QUEUES)} queues; {rounds_text(result)}"
    )
    drawn = figure(result, "How throughput depends on the number of servers", subtitle, (9, 5.6))
    axes = drawn.add_subplot()
    bars: list[Columns] = []
    for count, colour in zip(counts, cycle(LOADER_SHADES), strict=False):
        rates = {case.parameter or 0: case.rate for case in loads if case.variant == count}
        label = f"runqy-loader, {count} process{'' if count == '1' else 'es'}"
        bars.append(Columns(label, colour, [rates.get(size) for size in sizes]))
    names = [
        f"{size:.0f} server{'' if size == 1 else 's'}" if size else "written nowhere:\nits own ceiling"
        for size in sizes
    ]
    columns(axes, names, bars, rate_text)
    if limit := result.case(LIMIT.name):
        label = f"redis-cli --pipe, bytes made ahead, into one server: {rate_text(limit.rate.median)}"
        axes.axhline(limit.rate.median, color=LIMIT_COLOUR, ls="--", label=label)
    axes.set_ylabel("tasks per second")
    axes.set_xlabel(f"nodes of a Redis Cluster; they and the loader share {result.machine['cores']} cores")
    axes.yaxis.set_major_formatter(RATE_TICKS)
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
    shown: list[Columns] = []
    for series in SERIES:
        cases = series.cases(result)
        if cases and all(case.parameter is None for case in cases):  # one case for all values
            limit = of(cases[0]).median
            axes.axhline(limit, color=series.colour, ls="--", label=f"{series.label}: {value_text(limit)}")
        elif cases:
            rates = {case.parameter: of(case) for case in cases}
            shown.append(Columns(series.label, series.colour, [rates.get(value) for value in values]))
    columns(axes, [tick_text(value) for value in values], shown, value_text)
