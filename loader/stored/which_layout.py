"""Tells by the keys of a queue which layout holds its tasks, for commands that read them."""

from __future__ import annotations

from collections.abc import Mapping

import hiredis

from loader.errors import LayoutMismatchError
from loader.queues.asynq_keys import PROCESSED, WITH_TASKS
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.queue_reader import stored_queue
from loader.tasks.profiles import LayoutName
from loader.tasks.sizes import counted

_OTHER_KINDS = [kind.encode() for kind in (*WITH_TASKS, PROCESSED) if kind != "pending"]
"""asynq's keys of a queue beside the pending list."""


async def layout_with_tasks(
    session: Session, names: Mapping[LayoutName, str], option: str
) -> tuple[LayoutName, str] | None:
    """The layout that holds the pending tasks of a queue, and the reason as text; None if no key tells.

    If no task is pending, a queue that is otherwise used in the asynq layout counts as one of that layout.

    Args:
        names: The queue's full name in each layout.
        option: The option that names the layout, for errors.

    Raises:
        LayoutMismatchError: Tasks are pending in both layouts, or the user may not read the keys.
        LoaderError: The server cannot be reached, or refuses.
    """
    documented, asynq = stored_queue("documented", names["documented"]), stored_queue("asynq", names["asynq"])
    base = asynq.pending_key.removesuffix(b"pending")
    questions = [
        ask(b"LLEN", documented.pending_key),
        ask(b"LLEN", asynq.pending_key),
        ask(b"EXISTS", *(base + kind for kind in _OTHER_KINDS)),
        ask(b"EXISTS", documented.pending_key.removesuffix(b"pending") + b"active"),
        ask(b"SISMEMBER", b"asynq:queues", asynq.name.encode()),
    ]
    replies = await session.values(questions)
    if any(isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOPERM") for reply in replies):
        raise LayoutMismatchError(
            f"{session.address}: the layout cannot be chosen: the user may not read the queue's keys in both layouts",
            f"Give {option} documented or {option} asynq",
        )
    # An error in the place of a number: the key is of another type, so it is no list of tasks.
    in_documented, in_asynq, others, active, listed = (reply if isinstance(reply, int) else 0 for reply in replies)
    if in_documented and in_asynq:
        raise LayoutMismatchError(
            f"{session.address}: tasks are pending in both layouts: {in_documented:,} in queue {documented.name} of "
            f"layout documented, {in_asynq:,} in queue {asynq.name} of layout asynq",
            f"Give {option} documented or {option} asynq",
        )
    if in_documented:
        return "documented", f"it holds {_tasks(in_documented)} of queue {documented.name}"
    if in_asynq:
        return "asynq", f"it holds {_tasks(in_asynq)} of queue {asynq.name}"
    if others or listed:
        what = f"keys asynq:{{{asynq.name}}}:…" if others else f"asynq:queues names {asynq.name}"
        return "asynq", f"{what}, though no task is pending"
    if active:
        return "documented", f"queue {documented.name} has active tasks in it, though none is pending"
    return None


def _tasks(count: int) -> str:
    return f"{counted(count, 'pending task')}"
