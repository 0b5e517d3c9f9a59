"""What has changed in a queue between two looks, from the counts that workers keep."""

from __future__ import annotations

from dataclasses import dataclass

from loader.watch.queue_state import QueueState


@dataclass(frozen=True, slots=True)
class Rates:
    """Changes per second since the look before. None: workers leave nothing that would tell.

    Attributes:
        pending_change: The change of the number of pending tasks; below 0 if it has fallen.
        enqueued: Tasks that became pending: new ones, scheduled ones that were due, and retries.
        processed: Attempts that workers have ended, failed ones too.
        failed: Attempts that have failed.
    """

    pending_change: float | None = None
    enqueued: float | None = None
    processed: float | None = None
    failed: float | None = None


def entered(before: QueueState, now: QueueState) -> int | None:
    """How many tasks became pending between two looks; None if that cannot be told.

    An attempt that was taken from the pending list has ended since, or is active. So what has entered the list is its
    change, and the change of the other two. In the documented layout, nobody counts the attempts that have ended.
    """
    if now.layout != "asynq":
        return None
    ended = _ended(before.processed, now.processed)
    if ended is None:
        seen = (before.active, before.retry, before.completed, now.active, now.retry, now.completed)
        if any(seen):
            return None  # workers that keep no counts
        ended = 0
    count = now.pending - before.pending + now.active - before.active + ended
    return None if count < 0 and now.processed is None else max(0, count)


def rates(before: QueueState | None, now: QueueState, seconds: float) -> Rates:
    """The rates between two looks at a queue.

    Args:
        before: None for the first look.
        seconds: The time between the looks.
    """
    if before is None or seconds <= 0:
        return Rates()
    came = entered(before, now)
    return Rates(
        pending_change=(now.pending - before.pending) / seconds,
        enqueued=_divided(came, seconds),
        processed=_divided(_ended(before.processed, now.processed), seconds),
        # The counter of failed attempts begins with the first one.
        failed=_divided(_ended(before.failed or 0, now.failed or 0) if now.processed is not None else None, seconds),
    )


def _ended(before: int | None, now: int | None) -> int | None:
    """The difference of a counter. It begins at 0, and is smaller than before if the day or the server is another."""
    if now is None:
        return None if before is None else 0
    return now if now < (before or 0) else now - (before or 0)


def _divided(count: int | None, seconds: float) -> float | None:
    return None if count is None else count / seconds
