"""Time, client CPU and server memory of whole processes, for each server."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contestants.registry import LOADER
from benchmarks.machine import version
from benchmarks.plots.columns import Columns, columns
from benchmarks.plots.style import (
    CEILING_COLOUR,
    GUIDE_COLOUR,
    LIMIT_COLOUR,
    LOADER_COLOUR,
    PEER_COLOUR,
    figure,
    legend,
    rounds_text,
)
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.units import size_text

_OTHERS = (LIMIT_COLOUR, PEER_COLOUR, GUIDE_COLOUR, CEILING_COLOUR)


def whole(result: Result) -> Figure:
    """Seconds on top, client CPU and server memory below, each grouped by server."""
    first = result.measured[0]
    drawn = figure(
        result,
        f"Loading {first.tasks:,} tasks of {size_text(first.payload_bytes / first.tasks)}: whole processes",
        f"Start-up included; {rounds_text(result)}; every run's result checked in full",
        (11, 10),
    )
    seconds, cpu, memory = drawn.subplots(3, 1)
    _panel(seconds, result, lambda case: case.process_seconds, "{:.2f}")
    seconds.set_ylabel("seconds")
    _panel(cpu, result, lambda case: case.client_us_spread, "{:.2f}")
    cpu.set_ylabel("µs of client CPU per task")
    _panel(memory, result, lambda case: case.server_memory_spread, "{:,.0f}")
    memory.set_ylabel("bytes of server memory per task")
    legend(drawn, seconds)
    return drawn


def _panel(axes: Axes, result: Result, of: Callable[[CaseResult], Spread], form: str) -> None:
    described = result.machine["servers"]
    labels = dict.fromkeys((case.contestant, case.label) for case in result.measured)
    others = cycle(_OTHERS)
    series: list[Columns] = []
    for contestant, label in labels:
        spreads = {case.server: of(case) for case in result.measured if case.contestant == contestant}
        colour = LOADER_COLOUR if contestant == LOADER.name else next(others)
        series.append(Columns(label, colour, [spreads.get(server) for server in result.servers]))
    columns(axes, [version(described[server]) for server in result.servers], series, form.format)
