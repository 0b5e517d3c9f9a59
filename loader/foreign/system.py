"""What is said of each other system, and what reads its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from loader.foreign.job import Jobs
from loader.foreign.listed import Frozen
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of


@dataclass(frozen=True, slots=True)
class Where:
    """Where the jobs of one queue are.

    Attributes:
        queue: The queue's name, as the system has it.
        prefix: What its keys begin with; None for the system's own default.
        unacked: Whether jobs that workers hold, and have not confirmed, are read too.
    """

    queue: str
    prefix: str | None = None
    unacked: bool = False

    def key(self, text: str) -> bytes:
        """A key. The queue's name may hold bytes that are not UTF-8, as surrogates."""
        return text.encode(errors="surrogateescape")

    def prefix_or(self, default: str) -> str:
        """What keys begin with, for a system with this default."""
        return default if self.prefix is None else self.prefix


_SIZES = {"list": b"LLEN", "zset": b"ZCARD", "stream": b"XLEN"}


class System(Protocol):
    """One queue of another system.

    Attributes:
        title: The system's name, for people.
    """

    title: ClassVar[str]

    def __init__(self, where: Where) -> None: ...

    def keys(self) -> Sequence[bytes]:
        """Keys of which one exists if there is such a queue."""
        ...

    async def jobs(self, frozen: Frozen) -> Jobs:
        """Freezes all that waits, and returns its jobs.

        Raises:
            SinkError: The server refuses, or cannot be reached; or the keys are not those of this system.
        """
        ...

    async def staying(self, session: Session) -> dict[str, int]:
        """The number of jobs that are not read, by why: ``running``, ``waiting for others`` and so on."""
        ...

    async def workers(self, session: Session) -> str:
        """A sign of workers of this queue that run now, such as ``3 workers in rq:workers:mail``; '' for none."""
        ...


async def types_of(session: Session, keys: Sequence[bytes]) -> list[str]:
    """The types of keys, such as ``list``; ``none`` for a key that is not there, '' for one that may not be read."""
    replies = await session.values([ask(b"TYPE", key) for key in keys])
    return [reply.decode() if isinstance(reply, bytes) else "" for reply in replies]


async def count_waiting(session: Session, system: System) -> int:
    """About how many jobs wait in a queue: a stream also counts those that are done.

    Raises:
        SinkError: The server cannot be reached.
    """
    keys = system.keys()
    kinds = await types_of(session, keys)
    sizes = [ask(_SIZES[kind], key) for key, kind in zip(keys, kinds, strict=True) if kind in _SIZES]
    return sum(map(count_of, await session.values(sizes))) if sizes else 0
