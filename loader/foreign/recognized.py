"""Which queues of other systems are on a server, told by their keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from loader.foreign.registry import SYSTEMS
from loader.foreign.system import Where, count_waiting, types_of
from loader.servers.question import ask
from loader.servers.session import Session

_SIGNS = (
    ("arq", re.compile(rb"(arq):job:.*")),
    ("bee-queue", re.compile(rb"bq:(.+):jobs")),
    ("bullmq", re.compile(rb"bull:(.+):meta")),
    ("celery", re.compile(rb"_kombu\.binding\.((?!celeryev|reply\.|.*\.pidbox).+)")),
    ("dramatiq", re.compile(rb"dramatiq:((?!.*\.DQ\.msgs).+)\.msgs")),
    ("huey", re.compile(rb"huey\.redis\.(.+)")),
    ("saq", re.compile(rb"saq:(.+):incomplete")),
)
"""By the name in ``--from-system``: keys that only this system has, with the name of the queue."""

_LISTING = {"rq": (b"rq:queues", b"rq:queue:"), "sidekiq": (b"queues", b"queue:")}
"""Sets that list queues, and what comes before a queue's name in its key."""

_TASKIQ = b"taskiq"


@dataclass(frozen=True, slots=True)
class OtherQueue:
    """A queue of another system.

    Attributes:
        system: Its name in ``--from-system``.
        waiting: About how many jobs wait in it; None if its jobs cannot be read.
    """

    system: str
    queue: str
    waiting: int | None


def queue_of(key: bytes) -> tuple[str, bytes] | None:
    """The system and the queue that a key is a sign of."""
    for system, sign in _SIGNS:
        if match := sign.fullmatch(key):
            return system, match[1]
    return None


async def other_queues(session: Session, found: Iterable[tuple[str, bytes]]) -> list[OtherQueue]:
    """The queues of other systems, by system and name.

    Args:
        found: What ``queue_of`` has said of the server's keys.

    Raises:
        SinkError: The server cannot be reached.
    """
    named = {*found, *await _listed(session)}
    return [await _counted(session, system, queue) for system, queue in sorted(named)]


async def _listed(session: Session) -> list[tuple[str, bytes]]:
    """Queues whose system lists them in a set, or that have a key of a fixed name."""
    listing = list(_LISTING.items())
    members = await session.values([ask(b"SMEMBERS", key) for _, (key, _) in listing])
    listed = [
        (system, name.removeprefix(before))
        for (system, (_, before)), names in zip(listing, members, strict=True)
        for name in (names if isinstance(names, list) else [])  # otherwise an error: another type, or no right
    ]
    # Others may have a set of the name 'queues' too: what it lists must have the key that Sidekiq gives it.
    *kinds, kind = await types_of(session, [*(_LISTING[system][1] + name for system, name in listed), _TASKIQ])
    there = [one for one, found in zip(listed, kinds, strict=True) if found == "list"]
    return [*there, *([("taskiq", _TASKIQ)] if kind in ("list", "stream") else [])]


async def _counted(session: Session, system: str, queue: bytes) -> OtherQueue:
    name = queue.decode(errors="backslashreplace")
    if system not in SYSTEMS:
        return OtherQueue(system, name, None)
    where = Where(queue.decode(errors="surrogateescape"))
    return OtherQueue(system, name, await count_waiting(session, SYSTEMS[system](where)))
