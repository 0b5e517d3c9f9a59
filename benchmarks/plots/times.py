"""Wall times of short processes as bars."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmarks.contestants.bare import PYTHON
from benchmarks.plots.style import LOADER_COLOUR, PEER_COLOUR, figure, rounds_text, whiskers
from benchmarks.results import Result, Spread


def times(result: Result) -> Figure:
    """Milliseconds of each process, in the order of the cases."""
    cases = result.measured
    subtitle = f"Wall time of the whole process; {rounds_text(result)}"
    drawn = figure(result, "How long the tool takes to start", subtitle, (9, 2 + 0.5 * len(cases)))
    axes = drawn.add_subplot()
    seconds = [case.process_seconds for case in cases]
    spreads = [Spread(each.low * 1000, each.median * 1000, each.high * 1000) for each in seconds]
    positions = range(len(cases))
    axes.barh(
        positions,
        [spread.median for spread in spreads],
        xerr=whiskers(spreads),
        color=[PEER_COLOUR if case.contestant == PYTHON.name else LOADER_COLOUR for case in cases],
        error_kw={"ecolor": "#222222", "capsize": 3, "lw": 1},
        height=0.62,
    )
    top = max(spread.high for spread in spreads)
    for position, spread in zip(positions, spreads, strict=True):
        axes.text(spread.high + top * 0.012, position, f"{spread.median:.0f} ms", va="center", size=9)
    axes.set_yticks(positions, [f"{case.label}\n({case.variant})" for case in cases])
    axes.invert_yaxis()
    axes.set_xlim(0, top * 1.12)
    axes.set_xlabel("milliseconds")
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.tick_params(axis="y", length=0)
    return drawn
