"""A stored task, in either layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loader.tasks.options import TaskOptions


class UnreadableTaskError(ValueError):
    """A stored task cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task read from its hash.

    Attributes:
        queue: Full name of the queue whose worker is to run it.
        options: All that it has besides payload and queue; durations in seconds. ``unique_ttl`` is the time that its
            lock has left.
        state: ``pending`` and so on; in the documented layout, which has no states, empty.
        lock: The key of the lock that keeps out other tasks of its type and payload; empty for none.
        fields: The whole hash.
    """

    id: bytes
    queue: str
    payload: bytes
    options: TaskOptions
    state: str
    lock: str
    fields: Mapping[bytes, bytes]
