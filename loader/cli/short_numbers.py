"""Counts, rates and times in few characters, for tables and lines that people read."""

from __future__ import annotations

NOTHING = "-"
"""For what is not known."""

_ROUNDED = 1.01
"""Histograms round times to three digits."""

_BARS = "▁▂▃▄▅▆▇█"


def short_count(count: float, *, full: bool = False) -> str:
    """A count in at most six characters, such as ``99,999``, ``123k``, ``1.23M``; with ``full`` all its digits."""
    if full or abs(count) < 99_999.5:
        return f"{count:,.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if abs(count) < 999.5 * size:
            digits = 2 if abs(count) < 9.995 * size else 1 if abs(count) < 99.95 * size else 0
            return f"{count / size:.{digits}f}{unit}"
    return f"{count:.0e}"


def short_rate(rate: float | None, *, signed: bool = False) -> str:
    """A number per second."""
    if rate is None:
        return NOTHING
    sign = "+" if signed and rate >= 0.05 else ""
    return sign + (f"{rate:.1f}" if 0.05 <= abs(rate) < 9.95 else short_count(round(rate)))


def short_time(seconds: float | None) -> str:
    """A time in at most six characters, such as ``85ms``, ``3.2s``, ``4m05s``, ``12h30m``, ``3d04h``."""
    if seconds is None:
        return NOTHING
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    if whole < 100 * 86_400:
        return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"
    return f"{whole // 86_400}d"


def short_limit(seconds: float, resolution: float) -> str:
    """A time that is known to a resolution: one that is not longer is ``<1.0s``, as it may be anything below."""
    return f"<{short_time(resolution)}" if seconds <= resolution * _ROUNDED else short_time(seconds)


def sparkline(values: list[int]) -> str:
    """Small bars, one for each value; the largest one is full, and 0 is the lowest."""
    highest = max(values, default=0)
    return "".join(_BARS[value * (len(_BARS) - 1) // highest if highest else 0] for value in values)
