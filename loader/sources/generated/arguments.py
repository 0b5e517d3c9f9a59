"""The arguments of placeholders: checked, and turned into what builders take."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from fractions import Fraction
from typing import TypeVar

from loader.errors import UsageError
from loader.sources.generated import distribution as distributions
from loader.sources.generated.call import Argument, Call, Literal
from loader.sources.generated.distribution import Distribution

Made = TypeVar("Made")
_ONE = Literal("1")
SEE = "See docs/generate.md"


def build(call: Call, builders: Mapping[str, Callable[..., Made]], what: str, *given: object) -> Made:
    """Calls the builder of a name with the arguments of a call, after those that are ``given``.

    Raises:
        ValueError: There is no such name, or an argument is wrong: the problem, for people.
    """
    builder = builders.get(call.name)
    if builder is None:
        close = get_close_matches(call.name, builders, 1)
        meant = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(builders))}"
        raise ValueError(f"{call.name} is no {what}{meant}")
    try:
        bound = inspect.signature(builder).bind(*given, *call.positional, **(call.named or {}))
    except TypeError as error:
        raise ValueError(f"{call.name}: {error}") from None
    try:
        return builder(*bound.args, **bound.kwargs)
    except UsageError:
        raise
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"{call.name}: {error}") from None


def _literal(argument: Argument, what: str) -> object:
    if isinstance(argument, Literal):
        return argument.value
    raise ValueError(f"{argument.name} stands where {what} must be")


def number(argument: Argument, name: str, *, above: float = -math.inf) -> float:
    """A number."""
    value = _literal(argument, f"the number {name}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if value <= above:
        raise ValueError(f"{name} must be above {above:g}, not {value}")
    return value


def whole(argument: Argument, name: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number."""
    value = _literal(argument, f"the whole number {name}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if (least is not None and value < least) or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {limits}, not {value}")
    return value


def share(argument: Argument, name: str) -> float:
    """A number from 0 to 1."""
    value = number(argument, name)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value}")
    return value


def text(argument: Argument, name: str) -> str:
    """A text."""
    value = _literal(argument, f"the text {name}")
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text, not {value!r}")
    return value


def truth(argument: Argument, name: str) -> bool:
    """true or false."""
    value = _literal(argument, f"true or false for {name}")
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")
    return value


def moment(argument: Argument, name: str) -> datetime:
    """A date or a time, RFC 3339; UTC if it has no offset."""
    value = text(argument, name)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{name} must be a date such as '2026-11-28', or with a time, not {value!r}") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def weights(arguments: Sequence[Argument] | Argument, count: int) -> list[Fraction]:
    """Weights for so many choices."""
    if isinstance(arguments, Sequence):
        values = [number(one, "a weight") for one in arguments]
    else:
        found = _literal(arguments, "weights")
        if not isinstance(found, list):
            raise ValueError("weights must be a list of numbers, such as [3, 1]")
        values = [number(Literal(json.dumps(one)), "a weight") for one in found]
    if len(values) != count:
        raise ValueError(f"there are {len(values)} weights for {count} choices")
    if min(values) < 0 or not any(values):
        raise ValueError("weights must not be negative, and not all 0")
    return [Fraction(value) for value in values]


def distribution(argument: Argument, least: float = -math.inf) -> Distribution:
    """A distribution, or a number, which is a value that is always the same.

    Args:
        least: No value may be below this.
    """
    if isinstance(argument, Literal):
        found = distributions.fixed(number(argument, "the number"))
    else:
        found = build(argument, _DISTRIBUTIONS, "distribution")
    if found.least < least:
        raise ValueError(f"values could be below {least:g}: give min={least:g}")
    return found


def _limits(least: Argument | None, most: Argument | None, lowest: float = -math.inf) -> tuple[float, float]:
    low = lowest if least is None else number(least, "min")
    high = math.inf if most is None else number(most, "max")
    if low >= high:
        raise ValueError(f"min must be below max, not {low:g} and {high:g}")
    return max(low, lowest), high


# The names of parameters are the names that templates use.
def _uniform(min: Argument, max: Argument) -> Distribution:
    low, high = number(min, "min"), number(max, "max")
    if low > high:
        raise ValueError(f"min must not be above max, not {low:g} and {high:g}")
    if isinstance(low, int) and isinstance(high, int):
        return distributions.uniform_whole(low, high)
    return distributions.uniform(low, high)


def _normal(
    mean: Argument,
    sd: Argument,
    *,
    min: Argument | None = None,
    max: Argument | None = None,
) -> Distribution:
    return distributions.normal(number(mean, "mean"), number(sd, "sd", above=0), *_limits(min, max))


def _lognormal(
    median: Argument,
    sigma: Argument,
    *,
    min: Argument | None = None,
    max: Argument | None = None,
) -> Distribution:
    limits = _limits(min, max, 0.0)
    return distributions.lognormal(number(median, "median", above=0), number(sigma, "sigma", above=0), *limits)


def _exponential(mean: Argument, *, min: Argument | None = None, max: Argument | None = None) -> Distribution:
    return distributions.exponential(number(mean, "mean", above=0), *_limits(min, max, 0.0))


def _zipf(n: Argument, s: Argument = _ONE) -> Distribution:
    return distributions.zipf(whole(n, "n", 1, 1_000_000), number(s, "s", above=0))


def _quantiles(*points: Argument) -> Distribution:
    values = [number(point, "a quantile") for point in points]
    if len(values) < 2 or values != sorted(values):
        raise ValueError("quantiles are two or more numbers, each not below the one before")
    return distributions.quantiles(values)


_DISTRIBUTIONS: Mapping[str, Callable[..., Distribution]] = {
    "uniform": _uniform,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
    "zipf": _zipf,
    "quantiles": _quantiles,
}
