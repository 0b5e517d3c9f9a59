"""The state of one queue at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from loader.tasks.profiles import LayoutName


@dataclass(frozen=True, slots=True)
class QueueState:
    """The number of tasks of a queue in each state, at one moment.

    Attributes:
        queue: Its full name.
        oldest_pending_seconds: The age of the task that workers take next, in seconds: the time since it became
            pending. None if no task is pending, or if it has no time: some producers leave none, asynq's servers leave
            none when they end and put a task back, and there is none in the documented layout.
        paused: Whether workers take no tasks (asynq's ``paused`` key).
        processed: How many attempts workers have ended so far, failed ones too. None if they keep no count. Only the
            difference of two states means something: it is the count of one day where workers keep no other.
        failed: How many of these attempts have failed.
    """

    queue: str
    pending: int
    active: int
    scheduled: int
    retry: int
    archived: int
    completed: int
    oldest_pending_seconds: float | None
    layout: LayoutName = "asynq"
    paused: bool = False
    processed: int | None = None
    failed: int | None = None
