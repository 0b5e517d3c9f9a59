"""Rates as lines, for scenarios that vary a value over a wide range."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.contestants.registry import LIMIT
from benchmarks.plots.style import RATE_TICKS, SERIES, Series, figure, guide_band, legend, rounds_text, whiskers
from benchmarks.results import Result
from benchmarks.units import rate_text, size_text

_SHIFT = 0.012
"""The shift between two series, as a share of the x value, so that their whiskers do not hide each other."""


def against(result: Result, x_label: str, title: str) -> Figure:
    """Tasks a second against the varied value, on a logarithmic axis."""
    drawn_series = [series for series in SERIES if series.cases(result)]
    first = drawn_series[0].cases(result)[0]
    subtitle = f"{first.tasks:,} tasks of {size_text(first.payload_bytes / first.tasks)}; {rounds_text(result)}"
    drawn = figure(result, title, subtitle, (9, 5.2))
    axes = drawn.add_subplot()
    values = sorted({case.parameter for case in result.measured if case.parameter is not None})
    for place, series in enumerate(drawn_series):
        _line(axes, result, series, 1 + _SHIFT * (2 * place - len(drawn_series) + 1))
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:,.0f}" for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(x_label)
    axes.set_ylabel("tasks per second")
    axes.set_ylim(0, max(case.rate.high for case in result.measured) * 1.12)
    axes.yaxis.set_major_formatter(RATE_TICKS)
    axes.margins(x=0.06)
    axes.grid(color="#e4e4e4", lw=0.6)
    guide_band(axes)
    legend(drawn, axes)
    return drawn


def _line(axes: Axes, result: Result, series: Series, shift: float) -> None:
    points = [(case.parameter, case.rate) for case in series.cases(result) if case.parameter is not None]
    if not points:  # one case for all values
        spread = series.cases(result)[0].rate
        axes.axhline(spread.median, color=series.colour, ls="--", label=series.label)
        axes.annotate(
            rate_text(spread.median),
            (1, spread.median),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=series.colour,
            size=9,
        )
        axes.axhspan(spread.low, spread.high, color=series.colour, alpha=0.1, lw=0)
        return
    medians = [spread.median for _, spread in points]
    axes.errorbar(
        [value * shift for value, _ in points],
        medians,
        whiskers([spread for _, spread in points]),
        fmt=f"{series.marker}-",
        color=series.colour,
        capsize=3,
        ms=6,
        label=series.label,
    )
    # The figures do not touch the whiskers of any series: the limit's are above them, the others below.
    above = series.contestant == LIMIT.name
    for value, spread in points:
        rates = [case.rate for case in result.measured if case.parameter == value]
        edge = max(rate.high for rate in rates) if above else min(rate.low for rate in rates)
        axes.annotate(
            rate_text(spread.median),
            (value, edge),
            xytext=(0, 5 if above else -5),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=series.colour,
            size=9,
        )
