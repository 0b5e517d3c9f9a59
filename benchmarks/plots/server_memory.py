"""The server's memory a task as bars."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmarks.contestants.registry import LIMIT, LOADER
from benchmarks.plots.style import LIMIT_COLOUR, LOADER_COLOUR, PEER_COLOUR, figure, rounds_text, whiskers
from benchmarks.results import Result
from benchmarks.units import size_text

_COLOURS = {LOADER.name: LOADER_COLOUR, LIMIT.name: LIMIT_COLOUR}


def server_memory(result: Result) -> Figure:
    """Bytes a task, the least on top. Contestants with fewer tasks are left out: theirs fill other tables."""
    most = max((case.tasks for case in result.measured), default=0)
    cases = [case for case in result.measured if case.same_work and case.tasks == most]
    cases.sort(key=lambda case: case.server_memory)
    payload = cases[0].payload_bytes / most if cases else 0
    drawn = figure(
        result,
        f"Server memory of {most:,} tasks of {size_text(payload)}",
        f"Bytes of used_memory per task, the list of ids included; {rounds_text(result)}",
        (10, 1.9 + 0.46 * len(cases)),
    )
    axes = drawn.add_subplot()
    positions = range(len(cases))
    spreads = [case.server_memory_spread for case in cases]
    axes.barh(
        positions,
        [spread.median for spread in spreads],
        xerr=whiskers(spreads),
        color=[_COLOURS.get(case.contestant, PEER_COLOUR) for case in cases],
        error_kw={"ecolor": "#222222", "capsize": 3, "lw": 1},
        height=0.68,
    )
    top = max((spread.high for spread in spreads), default=1)
    for position, spread in zip(positions, spreads, strict=True):
        axes.text(spread.high + top * 0.012, position, f"{spread.median:,.0f}", va="center", size=9)
    axes.set_yticks(positions, [case.label for case in cases])
    axes.invert_yaxis()
    axes.set_xlim(0, top * 1.12)
    axes.set_xlabel("bytes of server memory per task")
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.tick_params(axis="y", length=0)
    for text, case in zip(axes.get_yticklabels(), cases, strict=True):
        text.set_fontweight("bold" if case.contestant == LOADER.name else "normal")
    return drawn
