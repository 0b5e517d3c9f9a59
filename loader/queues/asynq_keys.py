"""asynq's keys of a queue, ``asynq:{<queue>}:<kind>`` (asynq 0.26, ``internal/base``): their kinds.

The key of a kind exists only while it holds something, so none of them alone tells whether a queue is used.
"""

from __future__ import annotations

SETS = ("scheduled", "retry", "archived", "completed")
"""States whose tasks are in a sorted set of that name."""

WITH_TASKS = ("pending", "active", *SETS, "groups")
"""The kinds that exist while the queue has tasks. ``groups`` holds the names of the groups in which tasks wait."""


def base_of(queue: str) -> bytes:
    """The beginning of all keys of a queue (its full name)."""
    return b"asynq:{%b}:" % queue.encode()


PROCESSED = "processed"
"""The number of processed tasks. It never expires, so it exists for a queue that is empty now."""

PAUSED = "paused"
"""It exists while the queue is paused. A queue that nobody uses can be paused, too."""
