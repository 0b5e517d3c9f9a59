"""The options of a load that keep it from disturbing others. docs/pace.md describes them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from typing import Annotated

from loader.settings.hours import Hours, hours_problem
from loader.settings.latency import latency_problem, latency_seconds
from loader.settings.load_tasks import REDIS_ONLY
from loader.settings.memory import Headroom, headroom_problem
from loader.settings.option import COUNT, Excludes, Option
from loader.settings.pace_fields import PACE, PaceFields

_LARGEST_BATCH = 100
"""With ``max_latency``: a server takes so many tasks in a fraction of a millisecond, in which others wait."""

_OF_A_SERVER = (REDIS_ONLY, Excludes("redis", "discard", hint="Nothing is written there"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFields(PaceFields):
    """Limits that hold a load back."""

    max_pending: Annotated[
        int | None,
        Option(
            help="Pause while the pending list of the queue that the next tasks go to has this many tasks or more.",
            group=PACE,
            unit=COUNT,
            at_least=1,
            default_text="no limit",
            goes_with=_OF_A_SERVER,
        ),
    ] = None
    max_latency: Annotated[
        str | None,
        Option(
            help="Slow down while Redis takes longer than this, such as 5ms, to answer a small command of another "
            "client.",
            group=PACE,
            unit="MS",
            default_text="no limit",
            rule=latency_problem,
            goes_with=_OF_A_SERVER,
        ),
    ] = None
    memory_headroom: Annotated[
        str | None,
        Option(
            help="Pause while the server has less free memory below its maxmemory than this: a size such as 500MB, or "
            "a share of maxmemory such as 20%.",
            group=PACE,
            unit="SIZE|PERCENT",
            default_text="no limit",
            rule=headroom_problem,
            goes_with=_OF_A_SERVER,
        ),
    ] = None
    only_between: Annotated[
        str | None,
        Option(
            help="Load at these hours of the day only, such as 22:00-06:00, by the clock of this machine, or with a "
            "time zone: '12:00-13:00,22:00-06:00 Europe/Berlin'. Outside of them, the load waits.",
            group=PACE,
            unit="HOURS",
            default_text="at any time",
            rule=hours_problem,
        ),
    ] = None

    @property
    def is_limited(self) -> bool:
        """Whether one of these limits is given."""
        limits = (self.max_pending, self.max_latency, self.memory_headroom, self.only_between)
        return any(limit is not None for limit in limits)

    @property
    def limited_batch(self) -> int | None:
        """The most records a batch should have for the limits; None without such a limit."""
        return None if self.max_latency is None else _LARGEST_BATCH

    @property
    def latency_limit(self) -> float | None:
        """``max_latency`` in seconds."""
        return None if self.max_latency is None else latency_seconds(self.max_latency)

    @property
    def headroom(self) -> Headroom | None:
        """``memory_headroom``."""
        return None if self.memory_headroom is None else Headroom.parse(self.memory_headroom)

    @property
    def hours(self) -> Hours | None:
        """``only_between``."""
        return None if self.only_between is None else Hours.parse(self.only_between)
