"""What the user sees of a load's pace and of its latencies."""

from __future__ import annotations

import time

from loader.jobs.report import LoadReport


def pace_parts(report: LoadReport, rate: float) -> list[str] | None:
    """Parts of the progress line of a paced load; None if it is not paced.

    Args:
        rate: Tasks a second, as loaded in the last seconds.
    """
    if report.pace is None:
        return None
    intended = report.pace.rate(time.monotonic())
    parts = [f"{_rate(rate)}/s" if intended is None else f"{_rate(rate)} of {_rate(intended)}/s"]
    if report.latency is not None and (found := report.latency.milliseconds(50, 99)) is not None:
        parts.append(f"p50 {_ms(found[0])} p99 {_ms(found[1])}")
    return parts


def pace_lines(report: LoadReport) -> list[str]:
    """Closing lines about the pace and the latencies; none if the load was not paced."""
    pace, latency = report.pace, report.latency
    if pace is None:
        return []
    lines = []
    if pace.profile is not None:
        due = pace.intended(time.monotonic())
        worst = pace.worst_second_error
        error = "" if worst is None else f"; a second was off by {_percent(worst)} at most"
        lines.append(f"  {'due':<15}{due:>13,}  by {pace.profile}{error}")
    if latency is not None and (found := latency.milliseconds(50, 99, 100)) is not None:
        p50, p99, longest = map(_ms, found)
        lines.append(f"  {'latency':<15}{p50:>13}  p50 from due to in; p99 {p99}, longest {longest}")
    for name, seconds in sorted(pace.held_seconds.items()):
        lines.append(f"  {'held back':<15}{_seconds(seconds):>13}  by {name}")
    return lines


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _ms(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 10 else f"{100 * share:,.0f} %"
