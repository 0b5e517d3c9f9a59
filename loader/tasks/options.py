"""The options that a task has besides its payload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loader.tasks.profiles import LayoutName

LIFECYCLE = ("ttl_completed", "ttl_archived", "pending_timeout", "active_timeout")
"""Fields of the task's hash that runqy-worker reads, in seconds; plain asynq does not know them.

A field that is missing leaves the choice to the worker's configuration (24 hours for a completed task). 0 is a value:
the task is kept for ever, or the limit is off (runqy-worker 06e5d9b, ``internal/redis/redis.go``).
"""

OWN_FIELDS: dict[LayoutName, frozenset[bytes]] = {
    "documented": frozenset({b"type", b"payload", b"retry", b"max_retry", b"queue"}),
    "asynq": frozenset({b"msg", b"state", b"pending_since", b"unique_key"}),
}
"""The fields of a task's hash that each layout writes itself. The lifecycle is not among them."""

_RECORDED = (
    "type",
    "max_retry",
    "timeout",
    "deadline",
    "retention",
    "headers",
    "unique_ttl",
    "process_at",
    "process_in",
    *LIFECYCLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What has happened to a task already, as asynq's message holds it.

    Attributes:
        retried: How often it has been retried.
        last_error: Why it last failed.
        last_failed_at: When it last failed, as Unix time; 0 for never.
        unknown: Encoded fields of the message that this version does not know.
    """

    retried: int = 0
    last_error: str = ""
    last_failed_at: int = 0
    unknown: bytes = b""


NEW = Past()
"""The past of a task that no worker has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """Options of a task. All durations are whole seconds.

    0 means none where asynq's message has no other way to say none: protobuf leaves zeros out. The lifecycle options
    are fields of their own, where 0 and a missing field are two things; None stands for the missing field.

    Attributes:
        type: Task type, by which a worker finds its handler; None for the queue's full name.
        max_retry: How often a worker may retry it.
        timeout: How long it may run; 0 for none.
        deadline: Until when it may run, as Unix time; 0 for none.
        retention: How long the task and its result are kept after it is done; 0 to delete it at once.
        headers: Names and values.
        unique_ttl: How long no other task of the same type, payload and queue may be enqueued; 0 for no such lock.
        process_at: The Unix time before which it must not run; 0 for none.
        process_in: How long, from now on, it must not run; 0 for none.
        ttl_completed: See ``LIFECYCLE``; so are the three options that follow.
        group: The group of tasks that a worker aggregates, in which it belongs; empty for none.
        waits_in_group: Whether it waits in its group; otherwise it is pending although its message names a group.
        past: See ``Past``.
        fields: Further fields of the task's hash, which neither the loader nor its layout knows: names and values.
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
    ttl_completed: int | None = None
    ttl_archived: int | None = None
    pending_timeout: int | None = None
    active_timeout: int | None = None
    group: str = ""
    waits_in_group: bool = False
    past: Past = NEW
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def starts_at(self, now: float) -> int:
        """The earliest time at which it may run, as Unix time in whole seconds; 0 for at once.

        A time in the past means at once, as in asynq.
        """
        start = max(self.process_at, int(now) + self.process_in if self.process_in else 0)
        return start if start > now else 0

    def recorded(self) -> dict[str, Any]:
        """The options that a load can set, as a job records them: JSON values, None for what is not given."""
        return {name: getattr(self, name) for name in _RECORDED}

    @property
    def lifecycle(self) -> list[tuple[str, int]]:
        """The lifecycle fields that are given, for the task's hash."""
        return [(name, value) for name in LIFECYCLE if (value := getattr(self, name)) is not None]

    @property
    def hash_fields(self) -> list[tuple[bytes, bytes]]:
        """The fields of its hash that a layout writes after its own: the lifecycle and further fields."""
        return [*((name.encode(), b"%d" % value) for name, value in self.lifecycle), *self.fields]
