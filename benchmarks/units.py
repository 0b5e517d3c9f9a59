"""Sizes and rates in a form for people, with powers of ten."""

from __future__ import annotations

import re

from benchmarks.errors import BenchmarkError

_FACTORS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_size(text: str) -> int:
    """Bytes of ``10MB``, ``1.5GB`` and the like.

    Raises:
        BenchmarkError: The text has another form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMG]?B)", text.strip().upper())
    if match is None:
        raise BenchmarkError(f"{text!r} is no size; write 100MB or 1.5GB")
    return int(float(match[1]) * _FACTORS[match[2]])


def size_text(size: float) -> str:
    """``110 B``, ``1 KB``, ``2.5 GB``."""
    for unit, factor in reversed(_FACTORS.items()):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"


def rate_text(rate: float) -> str:
    """``1.34M``, ``312k``, ``4.1k``, ``870``."""
    if rate >= 1_000_000:
        return f"{rate / 1e6:.3g}M"
    if rate >= 10_000:
        return f"{rate / 1000:.0f}k"
    return f"{rate / 1000:.1f}k" if rate >= 1000 else f"{rate:.0f}"


def share_text(share: float) -> str:
    """``0.97``; small shares have two significant digits: ``0.0041``."""
    return f"{share:.2f}" if share >= 0.095 else f"{share:.2g}"
