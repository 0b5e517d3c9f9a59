"""The closing lines with the reasons of rejects."""

from __future__ import annotations

from loader.jobs.report import RunReport

_SHOWN = 5
_COLUMNS = 30
"""The column where counts end, in the closing lines of all commands."""


def rejected_lines(report: RunReport) -> list[str]:
    """One line for each code, the most frequent first; none if nothing was rejected."""
    counted = report.most_rejected()
    lines = [f"    {code} {count:>{_COLUMNS - 5 - len(code)},}  {code.meaning}" for code, count in counted[:_SHOWN]]
    if len(counted) > _SHOWN:
        lines.append(f"    … and {len(counted) - _SHOWN} more")
    return lines
