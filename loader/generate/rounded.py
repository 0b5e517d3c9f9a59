"""Numbers of a sample as templates show them: with two significant digits, so that larger ones are not as they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

_DIGITS = 2
_PARTS = 4


def quantile_texts(values: Sequence[float]) -> list[str]:
    """The quartiles of numbers: the least is rounded down, and the greatest up."""
    ordered = sorted(values)
    last = len(ordered) - 1
    found = [ordered[last * part // _PARTS] for part in range(_PARTS + 1)]
    ways = [ROUND_FLOOR, *[ROUND_HALF_EVEN] * (_PARTS - 1), ROUND_CEILING]
    return [rounded(value, way) for value, way in zip(found, ways, strict=True)]


def rounded(value: float, way: str) -> str:
    """A number with two significant digits, without an exponent."""
    exact = Decimal(repr(value))
    if not exact:
        return "0"
    unit = Decimal((0, (1,), exact.adjusted() - _DIGITS + 1))
    if isinstance(value, int):
        unit = max(unit, Decimal(1))
    found = exact.quantize(unit, way)
    if isinstance(value, float) and math.isinf(float(found)):
        found = exact.quantize(unit, ROUND_DOWN)
    text = format(found, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
