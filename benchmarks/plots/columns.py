"""Groups of upright bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from benchmarks.plots.style import whiskers
from benchmarks.results import Spread

_GROUP = 0.78
"""The width of a group of bars, as a share of the distance between two groups' middles."""


class Columns(NamedTuple):
    """Bars of one colour.

    Attributes:
        spreads: One for each group; None if the group has no such bar.
    """

    label: str
    colour: str
    spreads: Sequence[Spread | None]


def columns(axes: Axes, groups: Sequence[str], series: Sequence[Columns], text: Callable[[float], str]) -> None:
    """Draws the bars with their values above, and names the groups below."""
    width = min(_GROUP / max(1, len(series)), 0.39)
    for place, each in enumerate(series):
        values = [(group, spread) for group, spread in enumerate(each.spreads) if spread is not None]
        middles = [group + (place - (len(series) - 1) / 2) * width for group, _ in values]
        spreads = [spread for _, spread in values]
        axes.bar(
            middles,
            [spread.median for spread in spreads],
            width * 0.94,
            yerr=whiskers(spreads),
            color=each.colour,
            error_kw={"ecolor": "#222222", "capsize": 3, "lw": 1},
            label=each.label,
        )
        for middle, spread in zip(middles, spreads, strict=True):
            axes.annotate(
                text(spread.median),
                (middle, spread.high),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                size=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.55, len(groups) - 0.45)
    axes.tick_params(axis="x", length=0)
    highest = [spread.high for each in series for spread in each.spreads if spread is not None]
    axes.set_ylim(0, max(highest, default=1) * 1.1)
    axes.grid(axis="y", color="#e4e4e4", lw=0.6)
