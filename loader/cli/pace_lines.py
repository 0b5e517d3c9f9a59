"""What the user sees of a load's pace and of its latencies."""

from __future__ import annotations

import time

from loader.jobs.report import LoadReport


def pace_parts(report: LoadReport, rate: float, intended: float) -> list[str] | None:
    """Parts of the progress line of a paced load; None if it is not paced.

    Args:
        rate: Tasks a second that were loaded in the last seconds.
        intended: Tasks a second that were due in these seconds.
    """
    if report.pace is None:
        return None
    of_due = f" of {_rate(intended)}" if report.pace.profile is not None else ""
    parts = [f"{_rate(rate)}{of_due}/s"]
    if report.latency is not None and (found := report.latency.milliseconds(50, 99)) is not None:
        parts.append(f"p50 {_ms(found[0])} p99 {_ms(found[1])}")
    return parts


def pace_lines(report: LoadReport) -> list[str]:
    """Closing lines about the pace, the latencies and what held the load back; none if nothing did."""
    pace, latency = report.pace, report.latency
    lines = []
    if pace is not None and pace.profile is not None:
        lines.append(f"  {'due':<15}{pace.intended(time.monotonic()):>13,}  by {pace.profile}")
        worst = pace.worst_second_error
        if worst is not None and pace.lateness is not None:
            jitter = _ms(pace.lateness.milliseconds(99))
            lines.append(f"  {'off by':<15}{_percent(worst):>13}  in the worst second; jitter p99 {jitter}")
    if latency is not None and (found := latency.milliseconds(50, 99, 100)) is not None:
        p50, p99, longest = map(_ms, found)
        lines.append(f"  {'latency':<15}{p50:>13}  p50 from due to in; p99 {p99}, longest {longest}")
    knee = None if report.measured is None else report.measured.knee
    if knee is not None:
        at, offered = f"{knee.at:,.1f} s", f"{knee.offered:,.0f}/s"
        lines.append(f"  {'consumers':<15}{knee.capacity:>11,.0f}/s  fell behind at {at}, when {offered} were loaded")
    for name, seconds in sorted(report.holding.seconds.items()):
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
