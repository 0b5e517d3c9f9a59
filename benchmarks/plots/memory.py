"""Peak memory against the size of the input."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.plots.style import ALARM_COLOUR, LOADER_COLOUR, figure
from benchmarks.results import Result
from benchmarks.units import rate_text, size_text

GOAL = 150_000_000


def memory(result: Result) -> Figure:
    """Peak memory, which should not grow, and the goal, below which it must stay."""
    cases = sorted(result.measured, key=lambda case: case.parameter or 0)
    payload = size_text(cases[0].payload_bytes / cases[0].tasks)
    subtitle = f"Peak resident memory of one runqy-loader process; JSON lines of {payload}; drained while it loads"
    drawn = figure(result, "Memory of the loader against the size of its input", subtitle, (9, 5))
    axes = drawn.add_subplot()
    sizes = [case.parameter or 0 for case in cases]
    peaks = [case.peak_rss_bytes / 1e6 for case in cases]
    axes.plot(sizes, peaks, "o-", color=LOADER_COLOUR, ms=7)
    for size, peak, case in zip(sizes, peaks, cases, strict=True):
        axes.annotate(
            f"{peak:.0f} MB\n{rate_text(case.tasks)} tasks",
            (size, peak),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            size=9,
            color=LOADER_COLOUR,
        )
    axes.axhline(GOAL / 1e6, color=ALARM_COLOUR, ls="--", lw=1.2)
    axes.annotate(
        "150 MB: the goal is to stay below",
        xy=(0.01, GOAL / 1e6),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        size=9,
        color=ALARM_COLOUR,
    )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [size_text(round(size, -5)) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)
    axes.set_ylim(0, max(GOAL / 1e6 * 1.2, max(peaks) * 1.25))
    axes.set_xlabel("size of the input file (logarithmic)")
    axes.set_ylabel("peak resident memory, MB")
    axes.grid(color="#e4e4e4", lw=0.6)
    return drawn
