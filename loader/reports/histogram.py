"""The histogram of a load's latencies, for charts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

_BARS = 40
_PER_PERCENTILE = (0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 96, 97, 98, 99)
_MICROSECONDS_A_MS = 1000


def bins(counts: Counter[int]) -> tuple[list[float], list[int]]:
    """Bins of equal width on a logarithmic scale: their edges in milliseconds, and how many values each has.

    Args:
        counts: How often each value in microseconds occurs.
    """
    low, high = max(1, min(counts)), max(counts)
    ratio = max(1.01, (high / low) ** (1 / _BARS) * 1.0001)
    number = max(1, math.ceil(math.log(high / low) / math.log(ratio) + 1e-9)) if high > low else 1
    found = [0] * number
    for value, count in counts.items():
        found[min(number - 1, int(math.log(max(value, low) / low) / math.log(ratio)))] += count
    return [low * ratio**at / _MICROSECONDS_A_MS for at in range(number + 1)], found


def percentiles(counts: Counter[int]) -> tuple[list[float], list[float]]:
    """Percentiles, as far as there are values beyond them, and the values there, in milliseconds."""
    total = counts.total()
    wanted = [float(one) for one in _PER_PERCENTILE]
    share = 0.01
    while total * share >= 10:
        wanted += [100 * (1 - share * part) for part in (0.5, 0.25, 0.1)]
        share /= 10
    return wanted, [value / _MICROSECONDS_A_MS for value in _at(counts, total, wanted)]


def _at(counts: Counter[int], total: int, wanted: Sequence[float]) -> list[int]:
    found: list[int] = []
    seen = 0
    for value, count in sorted(counts.items()):
        seen += count
        while len(found) < len(wanted) and seen >= total * wanted[len(found)] / 100:
            found.append(value)
    return found + [max(counts)] * (len(wanted) - len(found))
