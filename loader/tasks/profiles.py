"""Profiles: the kind of workers that tasks are for, and the defaults of their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["runqy", "asynq"]
LayoutName = Literal["documented", "asynq"]
LayoutChoice = Literal["auto", "documented", "asynq"]
"""The value of an option: a layout, or ``auto`` if the server's signs of use choose it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Defaults that a kind of producer uses.

    Attributes:
        sub_queues: Whether ``NAME`` means ``NAME.default``.
        type: Task type; None for the queue's full name.
        needs_type: Whether the user must give the type.
        max_retry: How often a worker may retry a task.
        timeout: Seconds that a task may run, where neither timeout nor deadline is given.
        retention: Seconds that a completed task is kept.
        reverse_lookup: Whether the key ``asynq:t:<id>`` holds the queue of a task.
    """

    sub_queues: bool
    type: str | None
    needs_type: bool
    max_retry: int
    timeout: int
    retention: int
    reverse_lookup: bool


_GUIDE = Profile(
    sub_queues=True, type="task", needs_type=False, max_retry=3, timeout=0, retention=0, reverse_lookup=False
)
# The values that the runqy server (2026-03) and the client of asynq 0.26 write.
_ASYNQ_LAYOUT: dict[ProfileName, Profile] = {
    "runqy": Profile(
        sub_queues=True, type=None, needs_type=False, max_retry=3, timeout=30, retention=86_400, reverse_lookup=True
    ),
    "asynq": Profile(
        sub_queues=False, type=None, needs_type=True, max_retry=25, timeout=1800, retention=0, reverse_lookup=False
    ),
}


def profile_of(layout: LayoutName, name: ProfileName | None) -> Profile:
    """The defaults for a layout; without a name, runqy's."""
    return _GUIDE if layout == "documented" else _ASYNQ_LAYOUT[name or "runqy"]
