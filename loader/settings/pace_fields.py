"""The options of a load that say when its tasks are due. docs/pace.md describes them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from loader.settings.generate_fields import GenerateFields
from loader.settings.option import Excludes, Needs, Option, flag_of

if TYPE_CHECKING:
    from loader.pace.course import Course
    from loader.pace.rates import Profile

PACE = "Pace (docs/pace.md)"

_BATCHES_A_SECOND = 1000
"""One process sends so many batches a second with ease; benchmarks/scenarios/pace.py measures it."""

_LARGEST_BATCH = 100
"""Larger batches make a load hardly faster: docs/benchmarks/batch-size.md."""


def _rate_problem(value: Any) -> str | None:
    from loader.pace.rates import constant, profile  # only for loads with this option

    try:
        if isinstance(value, str):
            profile(value)
        else:
            constant(value)
    except ValueError as error:
        return (
            f"must be a rate or a profile ({error})" if isinstance(value, str) else str(error).removeprefix("a rate ")
        )
    return None


def _speed_problem(value: str) -> str | None:
    from loader.pace.replay import speed

    try:
        speed(value)
    except ValueError:
        return "must be a number above 0, such as 2x"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceFields(GenerateFields):
    """Options of the pace."""

    rate: Annotated[
        float | str | None,
        Option(
            help="Send tasks at this rate, such as 5000/s, 300/min or 10/h, or with a profile: 'ramp(100/s, 20000/s, "
            "10m)', 'steps(100/s, 200/s, 400/s, 1m)', 'spikes(100/s, 5000/s, 10s, 5m)' or 'sine(100/s, 2000/s, 1h)'. "
            "Due times do not wait for slow answers. One process.",
            group=PACE,
            unit="RATE|PROFILE",
            rule=_rate_problem,
            goes_with=(Excludes("rate_file"), Excludes("replay")),
            default_text="as fast as possible",
        ),
    ] = None
    rate_file: Annotated[
        Path | None,
        Option(
            help="Send tasks at the rates in this CSV file, whose lines are a time and a rate, such as 1m,500/s. "
            "Between them the rate changes evenly; the last one stays.",
            group=PACE,
            unit="FILE",
            goes_with=(Excludes("replay"),),
        ),
    ] = None
    replay: Annotated[
        str | None,
        Option(
            help="Send each task when its record says: keep the gaps between the times in this field (RFC 3339, or a "
            "number of s, ms, µs or ns since 1970; nested: a.b).",
            group=PACE,
            unit="FIELD",
        ),
    ] = None
    speed: Annotated[
        str,
        Option(
            help="Replay so many times as fast as recorded.",
            group=PACE,
            unit="FACTOR",
            rule=_speed_problem,
            goes_with=(Needs("replay"),),
        ),
    ] = "1x"

    @property
    def scheduled_by(self) -> str | None:
        """The option that says when tasks are due, as a flag; None if they are due at once."""
        return next(
            (flag_of(name) for name in ("rate", "rate_file", "replay") if getattr(self, name) is not None), None
        )

    @property
    def is_paced(self) -> bool:
        """Whether deliveries may have to wait before they are sent. Then one process loads them all."""
        return self.scheduled_by is not None

    @property
    def rates(self) -> "Profile | None":
        """The rates over time; None if no option gives any.

        Raises:
            UsageError: The rate file cannot be read, or has something else.
        """
        if self.rate is None and self.rate_file is None:
            return None
        from loader.pace.rate_file import read_rate_file
        from loader.pace.rates import constant, profile

        if self.rate_file is not None:
            return read_rate_file(self.rate_file)
        return profile(self.rate) if isinstance(self.rate, str) else constant(self.rate or 0)

    @property
    def paced_by(self) -> str | None:
        """The pace, for people; None if tasks are due at once."""
        if self.replay is not None:
            return f"times in {self.replay} at {self.speed.removesuffix('x')}x"
        rates = self.rates
        return None if rates is None else rates.text

    def course(self) -> "Course | None":
        """A new course for the tasks of a run; None if they are due at once."""
        if self.scheduled_by is None:
            return None
        from loader.pace.course import ByRate
        from loader.pace.replay import Replay, speed

        if self.replay is not None:
            return Replay(self.replay, speed(self.speed))
        rates = self.rates
        return None if rates is None else ByRate(rates.schedule)

    @property
    def paced_batch(self) -> int | None:
        """The most records a batch should have for its tasks to be sent when they are due; None without a pace.

        A batch is sent when its last task is due. At the highest rate, it has the tasks of a millisecond.
        """
        if self.replay is not None:
            return 1
        rates = self.rates
        return None if rates is None else max(1, min(_LARGEST_BATCH, int(rates.highest / _BATCHES_A_SECOND)))
