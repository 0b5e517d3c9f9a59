"""Whether a queue exists that is to be read and in which nothing was found; if not, which name may be meant."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from difflib import get_close_matches

from loader.errors import LoaderError, TransientError, UnknownQueueError
from loader.queues.asynq_keys import PAUSED, PROCESSED, WITH_TASKS
from loader.queues.existing import QUEUES_KEY
from loader.queues.names import DEFAULT_SUB_QUEUE
from loader.servers.question import ask
from loader.servers.scan import scan_all
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue
from loader.stored.snapshot import count_in_other_layout

_ASYNQ_KINDS = (*WITH_TASKS, PAUSED, PROCESSED)
_SCANNED = 500
"""Keys that the server looks at in one step: less than a millisecond."""

log = logging.getLogger("runqy_loader")

_PENDING = re.compile(r"asynq:(?:\{(?P<asynq>[^{}]+)\}|(?P<documented>[^{}:]+)):pending")


async def require_queue(session: Session, queue: StoredQueue, *, name_option: str, layout_option: str) -> None:
    """Raises an error if a queue without pending tasks does not exist: most likely, its name is misspelt.

    A queue exists if it has a key in its layout, if ``asynq:queues`` lists it, or if a job of this loader has loaded it
    or moves its tasks. Redis keeps no key of an empty list. So if the other signs are missing, all keys are looked
    through once, in small steps.

    Args:
        name_option: The option that names the queue, for the error.
        layout_option: The option that names its layout.

    Raises:
        UnknownQueueError: It does not exist. If the user has no right to look, it is taken to exist.
    """
    keys = [queue.pending_key, queue.slot_tag + b":runqy-loader:moves"]
    if queue.layout == "asynq":
        keys += [b"asynq:{%b}:%b" % (queue.name.encode(), kind.encode()) for kind in _ASYNQ_KINDS if kind != "pending"]
    existing, listed = await session.values([ask(b"EXISTS", *keys), ask(b"SMEMBERS", QUEUES_KEY.encode())])
    if existing or not isinstance(listed, list):  # an error reply, too: then nothing can be told
        return
    elsewhere = await _elsewhere(session, queue, layout_option)
    names = {bytes(name).decode(errors="replace") for name in listed}
    # Clients of layout asynq maintain the list. So in the other layout it may stand for the queue of this name there.
    if queue.name in names and not (elsewhere and queue.layout == "documented"):
        return
    if elsewhere:
        raise _unknown(session, queue, names, name_option, elsewhere)
    found = await _queues_by_keys(session, queue)
    if found is not None:
        raise _unknown(session, queue, names | found, name_option, "")


async def _queues_by_keys(session: Session, queue: StoredQueue) -> set[str] | None:
    """The queues of either layout that have pending tasks; None if the queue exists, or nothing can be told."""
    names: set[str] = set()
    try:
        async for keys in scan_all(session.servers, session.repeat, b"*asynq:*:pending*", step=_SCANNED):
            for key in keys:
                if key.startswith(queue.slot_tag + b":"):  # a ledger
                    return None
                if found := _PENDING.fullmatch(key.decode(errors="replace")):
                    names.add(found["asynq"] or found["documented"])
    except TransientError:
        raise
    except LoaderError as error:
        log.debug("queues are not searched for: %s", error)
        return None
    return names


async def _elsewhere(session: Session, queue: StoredQueue, option: str) -> str:
    """What to do about a queue that has pending tasks in the other layout; '' if it has none there."""
    count = await count_in_other_layout(session, queue)
    if not count:
        return ""
    other = "asynq" if queue.layout == "documented" else "documented"
    return f"In the other layout it has {count:,} pending tasks: give {option} {other}"


def _compared(name: str) -> str:
    """A name as it is compared: the end that most names share must not make them similar."""
    return name.lower().removesuffix(f".{DEFAULT_SUB_QUEUE}")


def _unknown(
    session: Session, queue: StoredQueue, names: Iterable[str], option: str, elsewhere: str
) -> UnknownQueueError:
    message = f"{option}: there is no queue {queue.name} in layout {queue.layout} on {session.address}"
    if elsewhere:
        return UnknownQueueError(message, elsewhere)
    lower = {_compared(name): name for name in sorted(names) if name != queue.name}
    near = [lower[name] for name in get_close_matches(_compared(queue.name), lower, n=3)]
    if near:
        return UnknownQueueError(message, f"Did you mean {' or '.join(near)}?")
    if not lower:
        return UnknownQueueError(message, "There are no queues at all: check the server's address and database")
    listed = ", ".join(sorted(lower.values())[:8]) + (", …" if len(lower) > 8 else "")
    return UnknownQueueError(message, f"Queues there: {listed}")
