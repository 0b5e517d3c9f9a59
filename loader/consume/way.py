"""How tasks are taken and ended: what each layout's consumer does, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from loader.errors import LoaderError
from loader.tasks.profiles import LayoutName

EndingKind = Literal["done", "retry", "archive"]
HEARTBEAT_SECONDS = 5
"""How often a consumer says that it runs, in both layouts (asynq 0.26, ``server.go``; runqy-worker,
``heartbeat.go``)."""


MOST_AT_ONCE = 1000
"""How many active tasks one round trip asks about, or puts back, when this consumer leaves."""


@dataclass(slots=True, eq=False)
class Taken:
    """A task that this consumer has taken.

    Attributes:
        retried: How often it has been retried before.
        max_retry: How often it may be.
        pending_since: Unix time since which it was pending; None if nothing says so.
        deadline: Unix time at which asynq's server would end it as failed; None for none.
        data: Its message; empty in the documented layout.
        lock: The key of its uniqueness lock; empty for none.
        retention: Seconds that it says it is to be kept once it is done.
        started: Unix time at which its service began.
        taken_at: The same by ``time.monotonic``.
        number: How many tasks this consumer had taken before it.
    """

    id: bytes
    retried: int
    max_retry: int
    pending_since: float | None = None
    deadline: float | None = None
    data: bytes = b""
    lock: bytes = b""
    retention: int = 0
    started: float = 0.0
    taken_at: float = 0.0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How the execution of a task ends.

    Attributes:
        error: Why it has failed; '' if it has not.
        counts: Whether a failure is one of the task's own.
    """

    task: Taken
    kind: EndingKind
    error: str = ""


def failure(task: Taken, error: str) -> Ending:
    """The ending of a failed execution: a retry, or the archive if it has been retried often enough (asynq 0.26,
    ``processor.go``, ``handleFailedMessage``; runqy-worker, ``processor.go``, ``handleError``)."""
    return Ending(task, "archive" if task.retried >= task.max_retry else "retry", error)


@dataclass(slots=True)
class Turn:
    """The outcome of one round trip.

    Attributes:
        ended: For each ending, whether the task was still this consumer's; None if the server refused it.
        taken: The tasks that were taken, in their order in the queue.
        unreadable: How many ids were taken that have no task that can be read.
        found: How many ids were taken; fewer than asked for if the queue has no more.
        error: The first refusal of the server among the replies; the others count all the same.
    """

    ended: list[bool | None] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    unreadable: int = 0
    found: int = 0
    error: LoaderError | None = None


class Way(Protocol):
    """Takes and ends the tasks of one queue. Every method raises LoaderError if the server refuses or is gone.

    Attributes:
        queue: Its full name.
    """

    layout: LayoutName
    queue: str

    @property
    def name(self) -> str:
        """The name under which this consumer registers."""
        ...

    @property
    def repeats(self) -> int:
        """How often a call was repeated so far. What a repeated call has done, its replies do not tell for certain."""
        ...

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        """Ends tasks, then takes up to ``wanted`` tasks."""
        ...

    async def put_back(self, ids: Sequence[bytes]) -> Turn:
        """Makes active tasks pending again, as the next ones to be taken. ``ended`` tells for each whether it was
        active."""
        ...

    async def beat(self, active: Sequence[Taken], *, stopping: bool) -> None:
        """Registers this consumer, or says that it still runs; extends the leases of the tasks in service."""
        ...

    async def leave(self) -> None:
        """Ends the registration."""
        ...

    async def forward(self) -> int:
        """Makes tasks pending whose time has come. Returns how many."""
        ...

    async def clean(self) -> int:
        """Deletes completed tasks whose retention is over. Returns how many."""
        ...

    async def expired(self) -> list[Taken]:
        """Active tasks of any consumer whose lease has ended, which asynq's recoverer ends as failed."""
        ...

    async def pending(self) -> int:
        """How many tasks are pending."""
        ...

    async def paused(self) -> bool:
        """Whether the queue is paused, so that none of its tasks are taken."""
        ...

    async def mine(self) -> list[bytes]:
        """The ids of the active tasks that this consumer has taken, by a mark that it leaves; the last one first."""
        ...
