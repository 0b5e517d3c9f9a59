"""What users order for a job from another terminal: to pause, to go on, another rate.

Orders are fields of the job's record: ``paused`` with the Unix time, and ``rate`` with tasks a second. An empty field,
or none, orders nothing. They stay when a run ends, and go when the job is finished, or with its record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

PAUSED, RATE = "paused", "rate"
"""The fields."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What is ordered.

    Attributes:
        paused: The Unix time since which the job is to pause; None if it is not.
        rate: Tasks a second; None: as the options of the load say.
    """

    paused: float | None = None
    rate: float | None = None

    def shared(self, processes: int) -> Orders:
        """The orders for each of several processes."""
        return self if self.rate is None else replace(self, rate=self.rate / processes)


def orders_of(paused: bytes | None, rate: bytes | None) -> Orders:
    """The orders in the fields of a record."""
    return Orders(_number(paused), _number(rate))


def _number(text: bytes | None) -> float | None:
    try:
        number = float(text or b"")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
