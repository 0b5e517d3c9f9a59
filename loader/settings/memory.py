"""The values of ``--stop-at-memory`` and ``--memory-headroom``: a share of the server's limit, or a size."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loader.settings.share import percent_of
from loader.settings.sizes import size_of

_LEAST_BYTES = 1_000_000
"""A smaller headroom without a unit is most likely meant as megabytes, or as a percentage."""


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


@dataclass(frozen=True, slots=True)
class Headroom:
    """The memory that is to stay free below ``maxmemory``.

    Attributes:
        share: Share of ``maxmemory``, above 0 and below 1; None if ``size`` is given.
        size: Bytes.
    """

    share: float | None = None
    size: int = 0

    @classmethod
    def parse(cls, text: str) -> Headroom:
        """The headroom in text form: ``500MB``, ``20%``.

        Raises:
            ValueError: The text is neither.
        """
        if (percent := percent_of(text)) is not None:
            if not 0 < percent < 100:
                raise ValueError("must be above 0% and below 100%")
            return cls(share=percent / 100)
        if not (size := size_of(text)):
            raise ValueError("must be a size such as 500MB, or a share of maxmemory such as 20%")
        if size < _LEAST_BYTES and text.strip()[-1].isdigit():
            raise ValueError("must have a unit, such as 500MB or 5%: it would be a number of bytes")
        return cls(size=size)

    def of(self, limit: int) -> int:
        """The bytes that are to stay free below a ``maxmemory`` of so many bytes."""
        return self.size if self.share is None else round(self.share * limit)


def headroom_problem(text: str) -> str | None:
    """What is wrong with a headroom; None if nothing is. A ``Rule`` of the option."""
    try:
        Headroom.parse(text)
    except ValueError as error:
        return str(error)
    return None
