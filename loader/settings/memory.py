"""The value of ``--stop-at-memory``: a share of the server's limit, or a number of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loader.settings.share import percent_of


@dataclass(frozen=True, slots=True)
class MemoryThreshold:
    """Where to stop.

    Attributes:
        share: Share of ``maxmemory``, above 0 and at most 1; None if ``size`` is given.
        size: Bytes of ``used_memory``.
    """

    share: float | None = None
    size: int = 0

    @classmethod
    def parse(cls, text: str) -> MemoryThreshold:
        """The threshold in text form: ``90%``, or a whole number of bytes.

        Raises:
            ValueError: The text is neither.
        """
        if (percent := percent_of(text)) is not None:
            if not 0 < percent <= 100:
                raise ValueError("must be above 0% and at most 100%")
            return cls(share=percent / 100)
        if re.fullmatch("[0-9]+", text, re.ASCII) is None or not int(text):
            raise ValueError("must be a share of maxmemory such as 90%, or a number of bytes")
        return cls(size=int(text))


def threshold_problem(text: str) -> str | None:
    """The problem with a threshold; None if there is none."""
    try:
        MemoryThreshold.parse(text)
    except ValueError as error:
        return str(error)
    return None
