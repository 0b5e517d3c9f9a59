"""A task as it is stored, whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loader.layouts.task_message import TaskMessage
from loader.tasks.options import TaskOptions


class UnreadableTaskError(ValueError):
    """A stored task that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task read from its hash.

    Attributes:
        queue: Full name of the queue whose worker is to run it.
        options: Its own, the type included; durations in seconds. ``unique_ttl`` is what its lock has left.
        state: ``pending`` and so on; in the documented layout, which has no states, empty.
        lock: The key that keeps others of its type and payload out; empty for none.
        retried: How often it has been retried.
        message: What its hash holds in the asynq layout.
        fields: The whole hash.
    """

    id: bytes
    queue: str
    payload: bytes
    options: TaskOptions
    state: str
    lock: str
    retried: int
    message: TaskMessage | None
    fields: Mapping[bytes, bytes]
