"""A job of another system, as it is found, and what a task keeps of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from loader.tasks.reasons import Reason, ReasonCode

T = TypeVar("T")

_SHOWN = 60
"""Bytes of an element that are shown in the place of an id."""


class UnreadableJobError(ValueError):
    """A job cannot be read; the message says why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignJob:
    """A job that waits in another system.

    Attributes:
        id: Its id there.
        name: Of its function or class; '' if there is none.
        arguments: What its function gets, as JSON text.
        document: All that the system keeps of it, as the text of one JSON object.
        start_at: Unix time before which it must not run; 0 for none.
        max_retry: How often it may be retried; None if only the system's code knows.
        retried: How often it was retried.
        timeout: Seconds that it may run; 0 for none.
        deadline: Unix time until which it may run; 0 for none.
        lost: What it has and a task cannot hold, such as ``priority``.
    """

    id: str
    name: str
    arguments: bytes
    document: bytes
    start_at: float = 0
    max_retry: int | None = None
    retried: int = 0
    timeout: int = 0
    deadline: float = 0
    lost: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """The result of reading some jobs.

    Attributes:
        missing: Ids whose job is gone.
        refused: What cannot become a task: an id (or the beginning of the job, if it has none), and why.
    """

    jobs: list[ForeignJob] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    refused: list[tuple[bytes, Reason]] = field(default_factory=list)

    def refuse(self, name: bytes, error: Exception) -> None:
        """Adds a job that cannot become a task."""
        self.refused.append((name, Reason(ReasonCode.UNREADABLE_JOB, str(error))))


def found_in(elements: Iterable[T], read: Callable[[T], ForeignJob], name: Callable[[T], bytes]) -> Found:
    """What elements are as jobs.

    Args:
        read: Makes a job of an element, or raises UnreadableJobError.
        name: What tells an element for people. It is only asked for those that cannot be read.
    """
    found = Found()
    for element in elements:
        try:
            found.jobs.append(read(element))
        except UnreadableJobError as error:
            found.refuse(name(element), error)
    return found


def beginning(element: bytes) -> bytes:
    """How an element begins, where it has no other name."""
    return element[:_SHOWN]


Jobs = AsyncIterator[Found]
"""Jobs in pieces of a few MiB, the next to be run first."""


def json_object(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The text of a JSON object.

    Args:
        members: Names, and the JSON text of each value, which is kept as it is.
    """
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members) + b"}"


def json_text(value: bytes) -> bytes:
    """The JSON text of a text in UTF-8. Raises UnreadableJobError if it is not UTF-8."""
    try:
        return msgspec.json.encode(value.decode())
    except UnicodeDecodeError:
        raise UnreadableJobError("it holds text that is not UTF-8") from None


def called_with(args: bytes, kwargs: bytes) -> bytes:
    """The JSON text of the arguments of a call that has some by position and some by name."""
    return json_object((("args", args), ("kwargs", kwargs)))
