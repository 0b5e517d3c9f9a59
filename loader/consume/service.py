"""How long a task takes, and whether it fails: drawn for each execution from the seed and the task alone."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import shake_128

from loader.errors import UsageError
from loader.sources.generated.arguments import distribution
from loader.sources.generated.call import Argument, Call, Literal, parse_call
from loader.sources.generated.distribution import Distribution, fixed
from loader.sources.generated.draws import WORD
from loader.tasks.times import FRACTIONS, fractional_seconds

_DURATION = re.compile(rf"(?<![\w.])({FRACTIONS})\b", re.ASCII)
_EXAMPLES = "a duration such as 50ms, or a distribution of durations such as lognormal(50ms, 0.5)"
_LONGEST = 365 * 86_400.0
"""Seconds that no execution exceeds: a distribution may draw numbers that no clock can wait for."""

_WORDS = struct.Struct("<2Q")


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execution of a task would be.

    Attributes:
        seconds: How long it takes.
        fails: Whether it fails at its end.
    """

    seconds: float
    fails: bool


class Service:
    """Draws executions. The same task has the same ones in each run with the same seed, in whatever order it comes.

    Args:
        times: Distribution of seconds.
        fail_rate: Share of the executions that fail, from 0 to 1.
    """

    def __init__(self, times: Distribution, fail_rate: float, seed: int) -> None:
        self._numbers = times.numbers
        always = times.least == times.most and fail_rate in (0.0, 1.0)
        self._always = Execution(min(times.least, _LONGEST), fail_rate == 1.0) if always else None
        self._fails_below = round(fail_rate * WORD)
        self._seed = b"%d" % seed

    def draw(self, task_id: bytes, retried: int) -> Execution:
        """The execution of a task.

        Args:
            retried: How often it has been retried before: a retry is another execution.
        """
        if self._always is not None:  # a queue is emptied as fast as Redis gives: nothing to draw
            return self._always
        key = b"%b\0consume\0%d\0%b" % (self._seed, retried, task_id)
        time_word, fail_word = _WORDS.unpack(shake_128(key).digest(_WORDS.size))
        try:
            (drawn,) = self._numbers((time_word,))
        except OverflowError:
            drawn = _LONGEST
        return Execution(min(drawn, _LONGEST), fail_word < self._fails_below)


def service_time(text: str) -> Distribution:
    """The distribution that an option names: seconds.

    The names are those of templates (docs/generate.md). Durations stand where numbers do: ``normal(50ms, 10ms)``. A
    normal distribution ends at 0.

    Raises:
        ValueError: The text is neither a duration nor a distribution; the message says what it must be.
    """
    with suppress(ValueError):  # 1m30s, as in other options
        return fixed(fractional_seconds(text))
    in_seconds = _DURATION.sub(lambda found: repr(fractional_seconds(found[1])), text)
    try:
        return distribution(_not_negative(parse_call(in_seconds, "")), least=0.0)
    except UsageError:
        raise ValueError(f"must be {_EXAMPLES}") from None
    except ValueError as error:
        raise ValueError(f"must be {_EXAMPLES}: {error}") from None


def _not_negative(call: Argument) -> Argument:
    if isinstance(call, Call) and call.name == "normal" and "min" not in (call.named or {}):
        return replace(call, named={**(call.named or {}), "min": Literal("0")})
    return call


def service_time_problem(text: str) -> str | None:
    """What is wrong with a service time; None if it is one. A ``Rule`` of the option."""
    try:
        service_time(text)
    except ValueError as error:
        return str(error)
    return None
