"""The charts of a report's page, as SVG to be put into HTML, in the page's own colours."""

from __future__ import annotations

import html
import io
import itertools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

_SIZE = (5.8, 2.7)
_COLORS = {"#000001": "var(--ink)", "#000002": "var(--grid)"} | {f"#0000{10 + n}": f"var(--line-{n})" for n in range(4)}
"""What is drawn in one of these colours has a colour of the page, which knows whether it is light or dark."""

INK, GRID, *LINES = _COLORS
_STYLES = ("-", "--", ":", "-.")
"""Lines also differ by these, for eyes and printers that see no colours."""

_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.ymargin": 0.08,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "savefig.transparent": True,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        svg: The element, to be put into HTML as it is.
    """

    title: str
    svg: str


Draw = Callable[[Axes], None]


@dataclass(frozen=True, slots=True)
class Line:
    """A figure over time.

    Attributes:
        values: None where the figure is not known.
    """

    label: str
    values: Sequence[float | None]


def over_time(
    name: str,
    title: str,
    description: str,
    unit: str,
    ends: Sequence[float],
    lines: Sequence[Line],
    *,
    log: bool,
    mark: float | None = None,
) -> Chart:
    """A chart of figures at the ends of intervals.

    Args:
        ends: Seconds since the load began.
        log: Whether values are far apart, so that a logarithmic scale shows them better.
        mark: The time of a vertical line: consumers fell behind.
    """

    def draw(axes: Axes) -> None:
        if mark is not None:
            axes.axvline(mark, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
            axes.annotate(
                "consumers fall behind",
                (mark, 1),
                (-3, -2),
                ("data", "axes fraction"),
                "offset points",
                ha="right",
                va="top",
                rotation=90,
                size=8,
            )
        few = len(ends) < _FEW_POINTS
        for number, line in enumerate(lines):
            values = [float("nan") if value is None else value for value in line.values]
            axes.plot(
                ends,
                values,
                label=line.label,
                color=LINES[number],
                linestyle=_STYLES[number],
                marker="o" if few else "",
                markersize=3,
                linewidth=1.6,
            )
        axes.set_xlabel("seconds since the load began")
        axes.set_ylabel(unit)
        if log:
            axes.set_yscale("log")
            _few_of_decade(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        _plain_numbers(axes)
        if len(lines) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(lines), borderaxespad=0.2)

    return _chart(name, title, description, draw)


_FEW_POINTS = 60


def bars(name: str, title: str, description: str, unit: str, edges: Sequence[float], counts: Sequence[int]) -> Chart:
    """A histogram over a logarithmic scale.

    Args:
        edges: One more than there are counts, ascending, above 0.
    """

    def draw(axes: Axes) -> None:
        widths = [high - low for low, high in itertools.pairwise(edges)]
        axes.bar(edges[:-1], counts, width=widths, align="edge", color=LINES[0], linewidth=0)
        axes.set_xscale("log")
        _few_of_decade(axes.xaxis)
        axes.set_xlabel(unit)
        axes.set_ylabel("tasks")
        axes.grid(visible=False, axis="x")
        _plain_numbers(axes)

    return _chart(name, title, description, draw)


def by_percentile(
    name: str, title: str, description: str, unit: str, percentiles: Sequence[float], values: Sequence[float]
) -> Chart:
    """Values by percentile, on a scale that shows the last of them widely: 90, 99 and 99.9% are equally far apart.

    Args:
        percentiles: Below 100, ascending.
    """

    def draw(axes: Axes) -> None:
        axes.plot([1 / (1 - percent / 100) for percent in percentiles], values, color=LINES[0], linewidth=1.6)
        axes.set_xscale("log")
        marks = [
            mark for mark in (0, 50, 90, 99, 99.9, 99.99, 99.999) if mark <= percentiles[-1] or mark <= _LEAST_MARK
        ]
        axes.set_xticks([1 / (1 - mark / 100) for mark in marks], [f"{mark:g}%" for mark in marks])
        axes.minorticks_off()
        axes.set_xlabel("share of the tasks")
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))

    return _chart(name, title, description, draw)


_LEAST_MARK = 90


def _few_of_decade(axis: Axis) -> None:
    """Marks 1, 2 and 5 of each decade: an axis may have less than one."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())


def _plain_numbers(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: float | None = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:g}"


def _chart(name: str, title: str, description: str, draw: Draw) -> Chart:
    with _settings(name):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Chart(title, _for_page(out.getvalue(), name, title, description))


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    """Settings of this page, whatever a matplotlibrc says. What matplotlib logs is for its developers."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({**_RC, "svg.hashsalt": salt})
            yield
    finally:
        log.setLevel(level)


def _for_page(svg: str, name: str, title: str, description: str) -> str:
    """The element ``svg`` alone, with ids of its own, the page's colours, and a text for those who do not see it."""
    drawn = svg[svg.index("<svg") :]
    drawn = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", drawn)
    drawn = re.sub(r'(?<=\s)id="', f'id="{name}-', drawn)
    drawn = re.sub(r'(?<=href=")#|(?<=url\()#', f"#{name}-", drawn)
    for color, named in _COLORS.items():
        drawn = drawn.replace(color, named)
    view = re.search(r'viewBox="[^"]*"', drawn)
    rest = drawn[drawn.index(">") + 1 :]
    return (
        f'<svg {view[0] if view else ""} role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-text">{html.escape(description)}</desc>{rest}'
    )
