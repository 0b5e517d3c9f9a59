"""Rates of very different size, each beside the range that the guide gives for it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from benchmarks.contestants.registry import LOADER
from benchmarks.plots.style import GUIDE_COLOUR, LOADER_COLOUR, figure, rounds_text, whiskers
from benchmarks.results import Result
from benchmarks.units import rate_text


def roads(result: Result, guide: Mapping[str, tuple[int, int]]) -> Figure:
    """A row for each road: the measured rate as a point, the guide's range as a bar, on a logarithmic axis."""
    cases = result.measured
    subtitle = f"Tasks per second (logarithmic), {rounds_text(result)}; every run's result checked in full"
    drawn = figure(result, "Roads into a runqy queue", subtitle, (10, 2.2 + 0.62 * len(cases)))
    axes = drawn.add_subplot()
    positions = list(range(len(cases)))
    ranges = [guide[case.contestant] for case in cases]
    axes.barh(
        positions,
        [high - low for low, high in ranges],
        left=[low for low, _ in ranges],
        color=GUIDE_COLOUR,
        alpha=0.55,
        height=0.5,
        label="what the enqueueing guide says",
    )
    spreads = [case.rate for case in cases]
    axes.errorbar(
        [spread.median for spread in spreads],
        positions,
        xerr=whiskers(spreads),
        fmt="o",
        color=LOADER_COLOUR,
        ecolor="#222222",
        capsize=3,
        ms=9,
        label="runqy-loader",
    )
    for position, spread, (_, high) in zip(positions, spreads, ranges, strict=True):
        axes.annotate(
            f"{rate_text(spread.median)}/s  ({spread.median / high:.1f} times the guide's most)",
            (max(spread.high, high), position),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            size=9,
        )
    axes.set_yticks(positions, ["direct: runqy-loader" if c.contestant == LOADER.name else c.label for c in cases])
    axes.invert_yaxis()
    axes.set_xscale("log")
    lowest = min(low for low, _ in ranges)
    axes.set_xlim(lowest / 2, max([s.high for s in spreads] + [high for _, high in ranges]) * 16)
    axes.set_xlabel("tasks per second (logarithmic)")
    axes.xaxis.set_major_formatter(lambda value, _: rate_text(value).replace(".0k", "k"))
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=9, loc="lower left", ncols=2, bbox_to_anchor=(0, 1))
    return drawn
