"""Rates and profiles as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from loader.pace.profile import Sine, Stretch, Stretches
from loader.pace.schedule import Constant, Schedule
from loader.tasks.times import fractional_seconds

_RATE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([kM]?)(?:/(s|min|h))?")
_SECONDS = {None: 1, "s": 1, "min": 60, "h": 3600}
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
_PROFILE = re.compile(r"([a-z]+)\s*\((.*)\)")
_HIGHEST = 1e9
"""Tasks a second. Beyond it, due times of neighbours cannot be told apart by the clock."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Rates over time.

    Attributes:
        text: For people.
        lowest: The lowest rate, in tasks a second.
        highest: The highest one.
    """

    text: str
    schedule: Schedule
    lowest: float
    highest: float


def rate(text: str) -> float:
    """Tasks a second of a text such as ``5000/s``, ``20k/s``, ``300/min``, ``10/h`` or ``5000``.

    Raises:
        ValueError: The text is no rate.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text.strip()!r} is no rate: write such as 5000/s, 300/min or 10/h")
    number, times, unit = found.groups()
    per_second = float(number) * _TIMES[times] / _SECONDS[unit]
    if per_second > _HIGHEST:
        raise ValueError(f"{text.strip()!r} is above {_HIGHEST:.0e} tasks a second")
    return per_second


def duration(text: str) -> float:
    """Seconds of a duration above 0: a number of them, or a text such as ``90s``, ``5m``, ``1h30m``.

    Raises:
        ValueError: The text is no such duration.
    """
    found = fractional_seconds(text)
    if not found:
        raise ValueError(f"{text.strip()!r} must be above 0")
    return found


def stretches(text: str, parts: Sequence[Stretch], *, repeated: bool = False) -> Profile:
    """The profile of some stretches.

    Raises:
        ValueError: No task would be due any more at its end.
    """
    rates = [rate for part in parts for rate in (part.begin, part.end)]
    if (max(rates) if repeated else rates[-1]) <= 0:
        raise ValueError("the last rate must be above 0, because it stays" if not repeated else "all rates are 0")
    return Profile(text, Stretches(parts, repeated=repeated), min(rates), max(rates))


def constant(per_second: float) -> Profile:
    """The profile of one rate.

    Raises:
        ValueError: It is not above 0.
    """
    if not 0 < per_second <= _HIGHEST:
        raise ValueError(f"a rate must be above 0, and at most {_HIGHEST:.0e} tasks a second")
    return Profile(f"{per_second:.10g}/s", Constant(per_second), per_second, per_second)


@lru_cache(maxsize=16)
def profile(text: str) -> Profile:
    """The profile of a text: a rate, or one of the functions of docs/pace.md.

    Raises:
        ValueError: The text is neither.
    """
    written = text.strip()
    found = _PROFILE.fullmatch(written)
    if found is None:
        found_rate = constant(rate(written))
        return found_rate if "/" not in written else replace(found_rate, text=written)
    name, inner = found.groups()
    if name not in _FUNCTIONS:
        raise ValueError(f"{name} is none of {', '.join(_FUNCTIONS)}")
    usage, least, make = _FUNCTIONS[name]
    arguments = inner.split(",")
    if len(arguments) < least or (len(arguments) > least and name != "steps"):
        raise ValueError(f"write {usage}")
    try:
        return make(written, arguments)
    except ValueError as error:
        raise ValueError(f"{error}; {name} is written {usage}") from None


def _ramp(text: str, arguments: Sequence[str]) -> Profile:
    begin, end, length = rate(arguments[0]), rate(arguments[1]), duration(arguments[2])
    return stretches(text, [Stretch(length, begin, end), Stretch(math.inf, end, end)])


def _steps(text: str, arguments: Sequence[str]) -> Profile:
    rates, length = [rate(argument) for argument in arguments[:-1]], duration(arguments[-1])
    lengths = [length] * (len(rates) - 1) + [math.inf]
    return stretches(text, [Stretch(seconds, level, level) for seconds, level in zip(lengths, rates, strict=True)])


def _spikes(text: str, arguments: Sequence[str]) -> Profile:
    base, peak = rate(arguments[0]), rate(arguments[1])
    length, every = duration(arguments[2]), duration(arguments[3])
    if length >= every:
        raise ValueError("a spike must be shorter than the time from one to the next")
    return stretches(text, [Stretch(every - length, base, base), Stretch(length, peak, peak)], repeated=True)


def _sine(text: str, arguments: Sequence[str]) -> Profile:
    lowest, highest, period = rate(arguments[0]), rate(arguments[1]), duration(arguments[2])
    if lowest >= highest:
        raise ValueError("the first rate must be below the second")
    return Profile(text, Sine(lowest, highest, period), lowest, highest)


_FUNCTIONS: Mapping[str, tuple[str, int, Callable[[str, Sequence[str]], Profile]]] = {
    "ramp": ("ramp(FROM, TO, DURATION)", 3, _ramp),
    "steps": ("steps(RATE, RATE, …, DURATION OF EACH)", 3, _steps),
    "spikes": ("spikes(RATE, PEAK, DURATION, EVERY)", 4, _spikes),
    "sine": ("sine(LOWEST, HIGHEST, PERIOD)", 3, _sine),
}
"""How each is written, the number of its arguments, and what makes the profile; ``steps`` takes more arguments."""


def through(text: str, points: Sequence[tuple[float, float]]) -> Profile:
    """The profile that goes evenly from point to point, and stays at the last rate.

    Args:
        points: Seconds and tasks a second, in the order of time; at least one. The first one is the start. Two with
            the same time are a jump.

    Raises:
        ValueError: The last rate is 0.
    """
    last = points[-1][1]
    parts = [
        Stretch(after - before, begin, end) for (before, begin), (after, end) in pairwise(points) if after > before
    ]
    return stretches(text, [*parts, Stretch(math.inf, last, last)])
