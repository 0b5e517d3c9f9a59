"""The common style of all plots: colours, fonts, and the line that says where the figures come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from benchmarks.contestants.registry import DISCARDING, LIMIT, LOADER
from benchmarks.machine import headline
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.units import rate_text

LOADER_COLOUR = "#0b6e99"
LOADER_SHADES = ("#0b6e99", "#6db3d1", "#b9dcea")
LIMIT_COLOUR = "#4a4a4a"
CEILING_COLOUR = "#7fb069"
PEER_COLOUR = "#a9bcc8"
SERVER_COLOUR = "#b5533c"
GUIDE_COLOUR = "#e39b2d"
ALARM_COLOUR = "#c0392b"
_HEAD, _FOOT = 0.72, 0.5  # inches
GUIDE_BAND = (40_000, 80_000)
GUIDE_LABEL = "40k\u201380k/s: the enqueueing guide's\n“direct Redis, pipelined”"

mpl.use("Agg")
mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "svg.fonttype": "path",
        "svg.hashsalt": "runqy-loader",  # so that the same figures give the same file
    }
)


class Series(NamedTuple):
    """One contestant's line or group of bars."""

    contestant: str
    label: str
    colour: str
    marker: str

    def cases(self, result: Result) -> list[CaseResult]:
        """Its cases, in the order of the varied value."""
        cases = [case for case in result.measured if case.contestant == self.contestant]
        return sorted(cases, key=lambda case: case.parameter or 0)


SERIES = (
    Series(LIMIT.name, "redis-cli --pipe, bytes made ahead (the limit)", LIMIT_COLOUR, "s"),
    Series(LOADER.name, "runqy-loader", LOADER_COLOUR, "o"),
    Series(DISCARDING.name, "runqy-loader, written nowhere (its own ceiling)", CEILING_COLOUR, "^"),
)

RATE_TICKS = FuncFormatter(lambda value, _: rate_text(value) if value else "0")


def figure(result: Result, title: str, subtitle: str, size: tuple[float, float]) -> Figure:
    """A figure without axes: title and subtitle on top, the source of the figures below. The caller adds the axes."""
    width, height = size
    made = Figure(figsize=size, dpi=150)
    _leave_room(made, _HEAD)
    left = 0.15 / width
    made.text(left, 1 - 0.12 / height, title, size=14, weight="bold", va="top")
    made.text(left, 1 - 0.42 / height, subtitle, size=10, color="#444444", va="top")
    source = f"{headline(result.machine)}\n{result.command} · {result.date} · commit {result.machine['commit']}"
    made.text(left, 0.1 / height, source, size=7.5, color="#777777", va="bottom")
    return made


def whiskers(spreads: Sequence[Spread]) -> list[list[float]]:
    """Minimum and maximum in the form of matplotlib's error bars."""
    return [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]


def rounds_text(result: Result) -> str:
    """What the bars and whiskers show."""
    most = max((len(case.runs) for case in result.measured), default=0)
    return "one run each" if most == 1 else f"median of {most} interleaved runs, whiskers: least and greatest"


def guide_band(axes: Axes) -> None:
    """Draws the guide's range across axes whose y axis is a rate. The legend explains it."""
    axes.axhspan(*GUIDE_BAND, color=GUIDE_COLOUR, alpha=0.28, lw=0, zorder=0, label=GUIDE_LABEL.replace("\n", " "))


def legend(drawn: Figure, axes: Axes) -> None:
    """Draws the legend above the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    top = 1 - (_HEAD - 0.07) / drawn.get_figheight()
    place = (0.06 / drawn.get_figwidth(), top)
    drawn.legend(handles, labels, loc="upper left", bbox_to_anchor=place, ncols=2, frameon=False, fontsize=9)
    _leave_room(drawn, _HEAD + 0.22 * -(-len(labels) // 2))


def _leave_room(drawn: Figure, head: float) -> None:
    """Keeps ``head`` inches free at the top, and room for the source at the bottom."""
    top, bottom = head / drawn.get_figheight(), _FOOT / drawn.get_figheight()
    drawn.set_layout_engine(ConstrainedLayoutEngine(rect=(0.01, bottom, 0.98, 1 - top - bottom)))
