"""Distributions of numbers: each turns a word of 64 bits into a number by the inverse of its distribution function.

Limits cut a distribution off (no values pile up at them). One word is one value, so nothing is drawn again.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import NormalDist

from loader.sources.generated.draws import WORD

_STANDARD = NormalDist()
_CLOSE = 1e-12
"""How close to 0 and 1 a share may come: normal values end at seven standard deviations."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution.

    Attributes:
        least: No value is below this.
        most: No value is above this; infinity if there is no limit.
        numbers: Makes values of words. They are whole if ``is_whole``.
    """

    least: float
    most: float
    numbers: Callable[[Sequence[int]], Sequence[float]]
    is_whole: bool = False

    def whole(self, words: Sequence[int]) -> Sequence[int]:
        """The values as whole numbers, rounded to the nearest, and to the even one of two."""
        found = self.numbers(words)
        return found if self.is_whole else [round(value) for value in found]  # type: ignore[return-value]


def fixed(value: float) -> Distribution:
    """Always this value."""
    return Distribution(value, value, lambda words: [value] * len(words), is_whole=isinstance(value, int))


def uniform_whole(least: int, most: int) -> Distribution:
    """Each whole number from ``least`` to ``most`` with the same probability, up to 2^-64 of rounding."""
    count = most - least + 1
    return Distribution(least, most, lambda words: [least + (word * count >> 64) for word in words], is_whole=True)


def uniform(least: float, most: float) -> Distribution:
    """Any number from ``least`` to ``most``."""
    width = most / WORD - least / WORD
    return Distribution(least, most, lambda words: [least + word * width for word in words])


def normal(mean: float, deviation: float, least: float = -math.inf, most: float = math.inf) -> Distribution:
    """The normal distribution."""
    low = _STANDARD.cdf((least - mean) / deviation)
    share = _share(low, _STANDARD.cdf((most - mean) / deviation))
    inverse = _STANDARD.inv_cdf

    def numbers(words: Sequence[int]) -> Sequence[float]:
        return [min(max(mean + deviation * inverse(share(word)), least), most) for word in words]

    return Distribution(least, most, numbers)


def lognormal(median: float, sigma: float, least: float = 0.0, most: float = math.inf) -> Distribution:
    """Numbers whose logarithms are normal, with deviation ``sigma``: half of all are below ``median``."""
    low = _log(least)
    inner = normal(math.log(median), sigma, low, _log(most))

    def numbers(words: Sequence[int]) -> Sequence[float]:
        return [min(max(math.exp(value), least), most) for value in inner.numbers(words)]

    return Distribution(least, most, numbers)


def exponential(mean: float, least: float = 0.0, most: float = math.inf) -> Distribution:
    """The exponential distribution."""
    share = _share(-math.expm1(-least / mean), -math.expm1(-most / mean))

    def numbers(words: Sequence[int]) -> Sequence[float]:
        return [min(max(-mean * math.log1p(-share(word)), least), most) for word in words]

    return Distribution(least, most, numbers)


def zipf(count: int, exponent: float) -> Distribution:
    """Ranks from 1 to ``count``: rank r is as likely as r to the power of minus ``exponent``."""
    sums = list(accumulate(rank**-exponent for rank in range(1, count + 1)))
    scale = sums[-1] / WORD
    last = count - 1

    def numbers(words: Sequence[int]) -> Sequence[float]:
        return [min(bisect_left(sums, word * scale), last) + 1 for word in words]

    return Distribution(1, count, numbers, is_whole=True)


def quantiles(points: Sequence[float]) -> Distribution:
    """Points with the same share of all values between each two neighbours, where values are spread evenly."""
    parts = len(points) - 1
    steps = [(point, after / WORD - point / WORD) for point, after in pairwise(points)]

    def numbers(words: Sequence[int]) -> Sequence[float]:
        found = []
        for word in words:
            scaled = word * parts
            base, width = steps[scaled >> 64]
            found.append(base + (scaled & (WORD - 1)) * width)
        return found

    return Distribution(points[0], points[-1], numbers)


def _share(low: float, high: float) -> Callable[[int], float]:
    """Makes a share between two shares of a word, inside 0 and 1."""
    low, high = max(low, _CLOSE), min(high, 1 - _CLOSE)
    width = (high - low) / WORD
    return lambda word: low + word * width


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
