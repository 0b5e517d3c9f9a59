"""What differs between loads beside their figures: input, options, machine, server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from loader.reports.figures import Report

_SAME_SIZE = 0.01
"""Sizes that differ by less than this share are the same."""


def differences(before: Sequence[Report], after: Sequence[Report]) -> list[str]:
    """What differs between two sets of runs, and within each, a line each."""
    lines = []
    for report in [*before, *after]:
        if report["status"] != "completed":
            lines.append(f"job {report['job']} is {report['status']}: its figures are those up to then")
        if report.get("already_loaded"):
            lines.append(f"job {report['job']} found {report['already_loaded']:,} records loaded already")
    for name, read in _READ.items():
        old, new = _each(read, before), _each(read, after)
        if old != new:
            lines.append(f"{name}: {_text(old)} → {_text(new)}")
    lines += _sizes(before, after)
    flags = {flag for report in [*before, *after] for flag in report.get("options", {})}
    for flag in sorted(flags - _NOT_COMPARED):
        old, new = (_each(partial(_option, flag), side) for side in (before, after))
        if old != new:
            lines.append(f"{flag}: {_text(old)} → {_text(new)}")
    return lines


_NOT_COMPARED = {"--job", "--again", "--redis", "--queue", "--layout", "--processes", "--series"}
"""Options whose effect is compared, and those that have none on figures."""


def _option(flag: str, report: Report) -> str:
    if "options" not in report:
        return "not known"
    return str(report["options"].get(flag, "not given"))


def _server(report: Report) -> str:
    server = report.get("server") or {}
    parts = [f"{server.get('make', '')} {server.get('version', '')}".strip(), server.get("persistence")]
    return ", ".join(str(part) for part in parts if part)


def _machine(report: Report) -> str:
    machine: dict[str, Any] = report.get("machine") or {}
    if not machine:
        return ""
    return f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, Python {machine['python']}"


_READ: dict[str, Callable[[Report], object]] = {
    "layout": lambda report: report["layout"],
    "queues": lambda report: ", ".join(sorted(report["queues"])),
    "processes": lambda report: report["processes"],
    "compact": lambda report: "compact" if report.get("compact") else "by HSET",
    "formats": lambda report: ", ".join(sorted({source["format"] for source in report["sources"]})),
    "profile of the rate": lambda report: (report.get("pace") or {}).get("profile") or "as fast as possible",
    "version": lambda report: report.get("version") or "",
    "machine": _machine,
    "server": _server,
}


def _sizes(before: Sequence[Report], after: Sequence[Report]) -> list[str]:
    lines = []
    for name, read in _SIZES.items():
        old, new = (sum(map(read, side)) / len(side) for side in (before, after))
        if abs(new - old) > _SAME_SIZE * max(old, new):
            lines.append(f"{name}: {old:,.0f} → {new:,.0f}")
    return lines


_SIZES: dict[str, Callable[[Report], float]] = {
    "records": lambda report: report["records_read"],
    "bytes a record": lambda report: report["bytes_read"] / report["records_read"] if report["records_read"] else 0,
}


def _each(read: Callable[[Report], object], reports: Sequence[Report]) -> set[str]:
    return {str(read(report)) for report in reports}


def _text(values: set[str]) -> str:
    return " and ".join(sorted(value or "not known" for value in values))
