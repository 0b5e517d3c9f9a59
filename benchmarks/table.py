"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.machine import version
from benchmarks.results import CaseResult, Result, Spread
from benchmarks.scenarios.base import Scenario, Shown, View
from benchmarks.units import share_text

_ABOUT_LIMIT = "The limit is `redis-cli --pipe` fed with the loader's own bytes, recorded ahead."
_ABOUT_SHARES = "Shares are medians over rounds, each round compared within itself."
_ABOUT_RATES = (
    "tasks/s is by each program's own clock, from its first read to its last reply; *with start-up* is the whole "
    "process, from its start to its end. CPU is user and system time of the process tree, start-up included; of the "
    "server, all its threads. MB are 10^6 bytes, of payload or of memory; peak RSS is that of the largest process."
)
_ABOUT_TIMES = "Times are whole processes, from start to end; CPU is their user and system time."
_ABOUT_WHOLE = (
    "Times are whole processes, from start to end, start-up included, and so is client CPU: user and system time of "
    "the process tree. Server CPU is that of all its threads; peak RSS that of the largest process, MB are 10^6 bytes."
)
_ABOUT_FIGURES = "Figures are medians over the runs."
_ABOUT: dict[View, str] = {
    "rates": _ABOUT_RATES,
    "start-up": _ABOUT_TIMES,
    "whole": _ABOUT_WHOLE,
    "figures": _ABOUT_FIGURES,
}


class _Column(NamedTuple):
    head: str
    text: Callable[[CaseResult], str]


def markdown(result: Result, kind: type[Scenario]) -> str:
    """The whole page of a scenario, except its plots."""
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
    ]
    view = {"rates": _rates, "start-up": _times, "whole": _whole, "figures": _figures}[kind.view]
    columns = [*_names(result, kind), *view(result, kind)]
    main_cases = [case for case in result.measured if case.same_work or kind.view == "start-up"]
    if main_cases:
        lines += _table(main_cases, columns)
    if other_cases := [case for case in result.measured if case not in main_cases]:
        lines += ["", "For orientation, not the same work:", "", *_table(other_cases, columns)]
    about = [kind.remark(result)]
    if any(result.case(case.limit) for case in result.measured):
        about.append(_ABOUT_LIMIT)
    if any(result.case(case.limit) or kind.base_heading for case in result.measured):
        about.append(_ABOUT_SHARES)
    about.append(_ABOUT[kind.view])
    lines += ["", " ".join(filter(None, about)), ""]
    return "\n".join([*lines, *_notes(result)]) + "\n"


def _names(result: Result, kind: type[Scenario]) -> list[_Column]:
    varied = kind.varied
    servers = result.machine.get("servers", {})
    return [
        _Column("contestant", lambda case: case.label),
        *((_Column("server", lambda case: version(servers.get(case.server, ""))),) if len(result.servers) > 1 else ()),
        *((_Column(kind.variant_heading, lambda case: case.variant),) if kind.variant_heading else ()),
        *((_Column(varied.heading, lambda case: varied.text(case.parameter or 0)),) if varied else ()),
        _Column("tasks", lambda case: f"{case.tasks:,}" if kind.view in ("rates", "whole") else ""),
    ]


def _rates(result: Result, kind: type[Scenario]) -> list[_Column]:
    share = partial(_share, result)
    return [
        _Column("tasks/s: min · **median** · max", _rate),
        _Column("of the limit", share(CaseResult.ratio, "limit")),
        *((_Column(kind.base_heading, share(CaseResult.ratio, "base")),) if kind.base_heading else ()),
        _Column("MB/s", lambda case: f"{case.megabytes_per_second.median:.3g}"),
        _Column("tasks/s with start-up", lambda case: f"{case.process_rate.median:,.0f}"),
        _Column("of the limit with start-up", share(CaseResult.process_ratio, "limit")),
        _Column("client µs/task", lambda case: f"{case.client_us:.2f}"),
        _Column("of it, the gateway", lambda case: f"{case.gateway_us:.2f}" if case.gateway_us else ""),
        _Column("of it, sending requests", lambda case: f"{case.sender_us:.2f}" if case.sender_us else ""),
        _Column("server µs/task", lambda case: f"{case.server_us:.2f}"),
        *(_server_memory(result) if kind.shows_memory else ()),
        _Column("peak RSS, MB", lambda case: f"{case.peak_rss_bytes / 1e6:,.0f}"),
        _Column("runs", lambda case: f"{len(case.runs)}"),
    ]


def _server_memory(result: Result) -> list[_Column]:
    def of_base(case: CaseResult) -> str:
        base = result.case(case.base) if case.same_work else None
        # Another number of tasks fills the server's tables to another extent, so it takes other memory a task.
        if base is None or base.tasks != case.tasks or not base.server_memory:
            return ""
        return share_text(case.server_memory / base.server_memory)

    def memory(case: CaseResult) -> str:
        known = case.same_work and case.server_memory  # older files of results have no memory
        return f"{case.server_memory:,.0f}" if known else ""

    return [
        _Column("server bytes/task", memory),
        _Column("of HSET's", of_base),
    ]


def _share(
    result: Result, of: Callable[[CaseResult, CaseResult], Spread | None], key: str
) -> Callable[[CaseResult], str]:
    """The text of a ratio to the case that an attribute of a case names."""

    def text(case: CaseResult) -> str:
        other = result.case(getattr(case, key))
        ratio = of(case, other) if other else None
        return share_text(ratio.median) if ratio else ""

    return text


def _whole(result: Result, kind: type[Scenario]) -> list[_Column]:
    share = partial(_share, result)
    return [
        _Column("seconds: min · **median** · max", _seconds),
        _Column("tasks/s", lambda case: f"{case.process_rate.median:,.0f}"),
        _Column(f"tasks/s {kind.base_heading}", share(CaseResult.process_ratio, "base")),
        _Column("client µs/task", lambda case: f"{case.client_us:.2f}"),
        _Column(f"client CPU {kind.base_heading}", share(CaseResult.cpu_ratio, "base")),
        _Column("server µs/task", lambda case: f"{case.server_us:.2f}"),
        *_server_memory(result),
        _Column("peak RSS, MB", lambda case: f"{case.peak_rss_bytes / 1e6:,.0f}"),
        _Column("runs", lambda case: f"{len(case.runs)}"),
    ]


def _figures(result: Result, kind: type[Scenario]) -> list[_Column]:
    return [
        *(_Column(shown.heading, partial(_figure, result, shown)) for shown in kind.figures),
        _Column("runs", lambda case: f"{len(case.runs)}"),
    ]


def _figure(result: Result, shown: Shown, case: CaseResult) -> str:
    if shown.of_runs == "of base":
        base = result.case(case.base)
        ratio = case.figure_ratio(base, shown.name) if base is not None else None
        return shown.text(ratio.median) if ratio is not None else ""
    found = case.figure(shown.name)
    if found is None:
        return ""
    if shown.of_runs != "spread":
        return shown.text(found.median if shown.of_runs == "median" else found.high)
    return f"{shown.text(found.low)} · **{shown.text(found.median)}** · {shown.text(found.high)}"


def _times(result: Result, kind: type[Scenario]) -> list[_Column]:
    def beyond(case: CaseResult) -> str:
        base = result.case(case.base)
        return f"{(case.process_seconds.median - base.process_seconds.median) * 1000:+.0f}" if base else ""

    return [
        _Column("ms: min · **median** · max", _milliseconds),
        _Column("ms beyond Python's own", beyond),
        _Column("CPU, ms", lambda case: f"{case.client_us * case.tasks / 1000:.0f}"),
        _Column("peak RSS, MB", lambda case: f"{case.peak_rss_bytes / 1e6:,.0f}"),
        _Column("runs", lambda case: f"{len(case.runs)}"),
    ]


def _table(cases: list[CaseResult], columns: list[_Column]) -> list[str]:
    rows = [[column.text(case) for column in columns] for case in cases]
    shown = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    rule = ["---" if index == 0 else "---:" for index in range(len(columns))]
    return [
        "| " + " | ".join(row[index] for index in shown) + " |"
        for row in ([column.head for column in columns], rule, *rows)
    ]


def _rate(case: CaseResult) -> str:
    return f"{case.rate.low:,.0f} · **{case.rate.median:,.0f}** · {case.rate.high:,.0f}"


def _seconds(case: CaseResult) -> str:
    seconds = case.process_seconds
    return f"{seconds.low:.2f} · **{seconds.median:.2f}** · {seconds.high:.2f}"


def _milliseconds(case: CaseResult) -> str:
    low, middle, high = (
        seconds * 1000 for seconds in (case.process_seconds.low, case.process_seconds.median, case.process_seconds.high)
    )
    return f"{low:.0f} · **{middle:.0f}** · {high:.0f}"


def _notes(result: Result) -> list[str]:
    notes = [f"- {name}: not measured here: {reason}." for name, reason in result.left_out.items()]
    seen: set[str] = set()
    for case in result.cases:
        text = f"not measured here: {case.unavailable}" if case.unavailable else case.note
        if text and case.label not in seen:
            seen.add(case.label)
            notes.append(f"- {case.label}: {text}.")
        notes += [f"- **{case.key} FAILED**: {failure}" for failure in case.failures]
    return notes
