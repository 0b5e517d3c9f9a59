"""Checks whether tasks with a start time would run when they are due.

Such a task waits in ``asynq:{<queue>}:scheduled`` until a process moves it to the pending list. asynq's servers do this
for the queues that they serve. runqy's workers and the runqy server do not: see ``consumers.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.preflight.checks import Finding
from loader.preflight.consumers import Consumer
from loader.preflight.intended import IntendedLoad
from loader.preflight.layout import named
from loader.preflight.usage import Usage
from loader.settings import LoadOptions

_NAME = "schedule"
_NEVER = (
    "tasks with a start time would never run: runqy's workers do not move scheduled tasks to the pending list, and no "
    "asynq server that does is seen to serve"
)
_HINT = (
    "Load the tasks when they are due, or start an asynq server for the queue, or give --force-schedule if something "
    "else moves them; see docs/layouts.md"
)


def schedule_finding(load: IntendedLoad, usage: Usage, now: float) -> Finding | None:
    """The finding for a load whose options give a start time; None if they give none, or asynq's servers are to come.

    Args:
        load: A load with settled options.
        usage: The usage of its queues.
        now: Unix time.
    """
    options, living = load.options, usage.living
    if options.layout_name != "asynq" or not options.task_options.starts_at(now):
        return None
    own, queues = options.own_queues, [queue.name for queue in usage.queues]
    waiting = [queue for queue in queues if _would_wait(options, living, queue)]
    of_own = [queue for queue in own if queue in waiting]
    refused = bool(of_own)
    if not own:
        refused = len(waiting) == len(queues) if queues else _would_wait(options, living, None)
    if refused:
        where = f"queue {of_own[0]}" if of_own else "a queue here"
        found = Finding(_NAME, "error", f"{_NEVER} {where}", _HINT)
        return found.ignored_by("--force-schedule") if options.force_schedule else found
    forwarders = [one for one in living if one.forwards]
    moves = f"{named(forwarders)} moves scheduled tasks to the pending list" if forwarders else ""
    if waiting or (load.open_ended and options.profile != "asynq"):
        others = f", but not those of queue {waiting[0]}" if waiting else " of the queues that it serves"
        return Finding(_NAME, "warning", f"{moves}{others}", "Other tasks with a start time would never run")
    return Finding(_NAME, "ok", moves) if moves else None


def forwarded_queues(load: IntendedLoad, usage: Usage) -> frozenset[str] | None:
    """The queues in which tasks run whose envelopes give a start time. See ``Cleared.forwarded``."""
    options = load.options
    if not options.envelope or options.layout_name != "asynq" or options.profile == "asynq" or options.force_schedule:
        return None
    served = [one.queues for one in usage.living if one.forwards]
    known = [queues for queues in served if queues is not None]
    return frozenset().union(*known) if len(known) == len(served) else None


def _would_wait(options: LoadOptions, living: Sequence[Consumer], queue: str | None) -> bool:
    """Whether scheduled tasks of a queue would never become pending.

    With asynq's profile, servers that do this are expected, unless others serve the queue.

    Args:
        queue: Full name; None for any queue of the server.
    """
    serving = [one for one in living if queue is None or one.serves(queue)]
    return not any(one.forwards for one in serving) and (options.profile != "asynq" or bool(serving))
