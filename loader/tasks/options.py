"""The options that a task has besides its payload."""

from __future__ import annotations

from dataclasses import dataclass

LIFECYCLE = ("ttl_completed", "ttl_archived", "pending_timeout", "active_timeout")
"""Fields of the task's hash that runqy-worker reads, in seconds; plain asynq does not know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """Options of a task. All durations are whole seconds; 0 means none.

    Attributes:
        type: Task type, by which a worker finds its handler; None for the queue's full name.
        max_retry: How often a worker may retry it.
        timeout: How long it may run.
        deadline: Until when it may run, as Unix time.
        retention: How long the task and its result are kept after it is done.
        headers: Names and values.
        unique_ttl: How long no other task of the same type, payload and queue may be enqueued.
        process_at: The Unix time before which it must not run.
        process_in: How long, from now on, it must not run.
        ttl_completed: See ``LIFECYCLE``; so are the three options that follow.
    """

    type: str | None = "task"
    max_retry: int = 3
    timeout: int = 0
    deadline: int = 0
    retention: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    unique_ttl: int = 0
    process_at: int = 0
    process_in: int = 0
    ttl_completed: int = 0
    ttl_archived: int = 0
    pending_timeout: int = 0
    active_timeout: int = 0

    def starts_at(self, now: float) -> int:
        """The earliest time at which it may run, as Unix time in whole seconds; 0 for at once.

        A time in the past means at once, as in asynq.
        """
        start = max(self.process_at, int(now) + self.process_in if self.process_in else 0)
        return start if start > now else 0

    @property
    def lifecycle(self) -> list[tuple[str, int]]:
        """The lifecycle fields that are set, for the task's hash."""
        return [(name, value) for name in LIFECYCLE if (value := getattr(self, name))]
