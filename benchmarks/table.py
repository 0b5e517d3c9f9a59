"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.results import CaseResult, Result, Spread
from benchmarks.scenarios.base import Varied
from benchmarks.units import share_text

_ABOUT_LIMIT = (
    "The limit is `redis-cli --pipe` fed with the loader's own bytes, recorded ahead. Shares of it are medians over "
    "rounds, each round compared within itself."
)
_ABOUT = (
    "tasks/s is by each program's own clock, from its first read to its last reply; *with start-up* is the whole "
    "process, from its start to its end. CPU is user and system time of the process tree, start-up included; of the "
    "server, all its threads. MB are 10^6 bytes, of payload or of memory; peak RSS is that of the largest process."
)


class _Column(NamedTuple):
    head: str
    text: Callable[[CaseResult], str]


def markdown(result: Result, varied: Varied | None = None, remark: str = "") -> str:
    """The whole page of a scenario, but for its plots."""
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    lines = [
        f"# {result.title}",
        "",
        f"`{result.command}`, {result.date}, commit {machine['commit']}",
        "",
        f"{machine['cores']} cores of {machine['cpu']}{' (virtual)' if machine['virtual'] == 'yes' else ''}, "
        f"{machine['memory_gib']} GiB, {machine['kernel']}, {machine['distribution']}; server: {machine['server']}; "
        f"{versions}.",
        "",
        *_table(result, [case for case in result.measured if case.same_work], varied),
    ]
    if apart := [case for case in result.measured if not case.same_work]:
        lines += ["", "For orientation, not the same work:", "", *_table(result, apart, varied)]
    limited = any(result.case(case.limit) for case in result.measured)
    lines += ["", " ".join(filter(None, (remark, _ABOUT_LIMIT if limited else "", _ABOUT))), ""]
    return "\n".join([*lines, *_notes(result)]) + "\n"


def _table(result: Result, cases: list[CaseResult], varied: Varied | None) -> list[str]:
    def share(of: Callable[[CaseResult, CaseResult], Spread | None]) -> Callable[[CaseResult], str]:
        def text(case: CaseResult) -> str:
            limit = result.case(case.limit)
            found = of(case, limit) if limit else None
            return share_text(found.median) if found else ""

        return text

    columns = [
        _Column("contestant", lambda case: case.label),
        *((_Column(varied.heading, lambda case: varied.text(case.parameter or 0)),) if varied else ()),
        _Column("tasks", lambda case: f"{case.tasks:,}"),
        _Column("tasks/s: min · **median** · max", _rate),
        _Column("of the limit", share(CaseResult.ratio)),
        _Column("MB/s", lambda case: f"{case.megabytes_per_second.median:.3g}"),
        _Column("tasks/s with start-up", lambda case: f"{case.process_rate.median:,.0f}"),
        _Column("of the limit with start-up", share(CaseResult.process_ratio)),
        _Column("client µs/task", lambda case: f"{case.client_us:.2f}"),
        _Column("server µs/task", lambda case: f"{case.server_us:.2f}"),
        _Column("peak RSS, MB", lambda case: f"{case.peak_rss_bytes / 1e6:,.0f}"),
        _Column("runs", lambda case: f"{len(case.runs)}"),
    ]
    rows = [[column.text(case) for column in columns] for case in cases]
    shown = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    rule = ["---" if index == 0 else "---:" for index in range(len(columns))]
    return [
        "| " + " | ".join(row[index] for index in shown) + " |"
        for row in ([column.head for column in columns], rule, *rows)
    ]


def _rate(case: CaseResult) -> str:
    return f"{case.rate.low:,.0f} · **{case.rate.median:,.0f}** · {case.rate.high:,.0f}"


def _notes(result: Result) -> list[str]:
    notes: list[str] = []
    seen: set[str] = set()
    for case in result.cases:
        text = f"not measured here: {case.unavailable}" if case.unavailable else case.note
        if text and case.label not in seen:
            seen.add(case.label)
            notes.append(f"- {case.label}: {text}.")
        notes += [f"- **{case.key} FAILED**: {failure}" for failure in case.failures]
    return notes
