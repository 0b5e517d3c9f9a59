"""Rates of all contestants as bars."""

from __future__ import annotations

from collections import Counter

from matplotlib.figure import Figure

from benchmarks.contestants.registry import LIMIT, LOADER
from benchmarks.plots.style import (
    GUIDE_BAND,
    GUIDE_COLOUR,
    GUIDE_LABEL,
    LIMIT_COLOUR,
    LOADER_COLOUR,
    PEER_COLOUR,
    RATE_TICKS,
    figure,
    rounds_text,
    whiskers,
)
from benchmarks.results import CaseResult, Result
from benchmarks.units import rate_text, share_text, size_text

_COLOURS = {LOADER.name: LOADER_COLOUR, LIMIT.name: LIMIT_COLOUR}


def bars(result: Result) -> Figure:
    """Tasks a second, the fastest on top. Other work would set the scale, so it is only mentioned in the text below."""
    cases = sorted((case for case in result.measured if case.same_work), key=lambda case: -case.rate.median)
    loader = result.case(LOADER.name) or cases[0]
    drawn = figure(
        result,
        f"Loading {loader.tasks:,} tasks of {size_text(loader.payload_bytes / loader.tasks)} into a runqy queue",
        f"Tasks per second, {rounds_text(result)}; every run's result checked in full",
        (10, 2.1 + 0.46 * len(cases) + 0.18 * len(_other_work(result))),
    )
    axes = drawn.add_subplot()
    positions = range(len(cases))
    spreads = [case.rate for case in cases]
    axes.axvspan(*GUIDE_BAND, color=GUIDE_COLOUR, alpha=0.25, lw=0, zorder=0)
    axes.barh(
        positions,
        [spread.median for spread in spreads],
        xerr=whiskers(spreads),
        color=[_COLOURS.get(case.contestant, PEER_COLOUR) for case in cases],
        error_kw={"ecolor": "#222222", "capsize": 3, "lw": 1},
        height=0.68,
    )
    top = max(spread.high for spread in spreads)
    for position, case in zip(positions, cases, strict=True):
        axes.text(case.rate.high + top * 0.012, position, _value(result, case), va="center", size=9)
    often = {label for label, count in Counter(case.label for case in cases).items() if count > 1}
    axes.set_yticks(positions, [_label(case, with_variant=case.label in often) for case in cases])
    axes.invert_yaxis()
    axes.set_xlim(0, top * 1.28)
    axes.set_xlabel("\n".join(["tasks per second", *_other_work(result)]))
    axes.xaxis.set_major_formatter(RATE_TICKS)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.tick_params(axis="y", length=0)
    axes.annotate(
        GUIDE_LABEL,
        xy=(sum(GUIDE_BAND) / 2, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left",
        va="bottom",
        size=8,
        color="#8a5a0b",
    )
    for text, case in zip(axes.get_yticklabels(), cases, strict=True):
        text.set_fontweight("bold" if case.contestant == LOADER.name else "normal")
    return drawn


def _value(result: Result, case: CaseResult) -> str:
    limit = result.case(case.limit)
    share = case.ratio(limit) if limit is not None and case is not limit else None
    if share is None:
        return f"{rate_text(case.rate.median)}/s"
    return f"{rate_text(case.rate.median)}/s  ({share_text(share.median)} of the limit)"


def _label(case: CaseResult, *, with_variant: bool) -> str:
    if case.contestant == LIMIT.name:
        return f"{case.label}\n(the limit: nothing to compute)"
    return f"{case.label}\n({case.variant})" if with_variant else case.label


def _other_work(result: Result) -> list[str]:
    return [
        f"(for orientation, not the same work: {case.label}: {rate_text(case.rate.median)}/s)"
        for case in result.measured
        if not case.same_work
    ]
