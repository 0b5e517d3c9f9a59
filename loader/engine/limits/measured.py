"""The messages between a load and the process that measures how fast its servers answer."""

from __future__ import annotations

from dataclasses import dataclass

from loader.wire.address import Place


@dataclass(frozen=True, slots=True)
class Measure:
    """From the parent: which servers to ask.

    Attributes:
        timeout: Seconds without an answer after which a connection counts as lost.
        every: Seconds between two commands.
        limit: Seconds from which on a missing answer is told.
    """

    place: Place
    timeout: float
    every: float
    limit: float


@dataclass(frozen=True, slots=True)
class Answered:
    """From the child: how long the slowest of the servers took to answer, in seconds, once for each command.

    A command without an answer is told again and again, with the time that has passed.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """From the child: a server cannot be asked, and why. It is tried again."""

    reason: str
