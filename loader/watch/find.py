"""Which queues to watch: those that the user names, or those that the server lists. No key is searched for."""

from __future__ import annotations

from collections.abc import Sequence

from loader.queues.asynq_keys import PAUSED, PROCESSED, WITH_TASKS, base_of
from loader.queues.existing import QUEUES_KEY
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue, stored_queue
from loader.tasks.profiles import LayoutName
from loader.watch.asking import values
from loader.wire.connection import Reply

MOST_QUEUES = 100
"""How many queues are looked at. It bounds the commands of a look."""

_KINDS = [kind.encode() for kind in (*WITH_TASKS, PAUSED, PROCESSED)]


class Finder:
    """Finds the queues to watch. A queue that was found once is watched from then on, also when it is empty.

    Args:
        names: From the user: NAME stands for itself and for NAME.default, in either layout, as in ``inspect``. Empty
            for all queues that ``asynq:queues`` lists.

    Attributes:
        found: The queues, by name.
        missing: The given names of which no key exists.
        left_out: How many queues are listed beyond ``MOST_QUEUES``.
    """

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        self.found: list[StoredQueue] = []
        self.missing: list[str] = list(names)
        self.left_out = 0
        self._session = session
        self._names = list(dict.fromkeys(names))

    @property
    def is_done(self) -> bool:
        """Whether everything that the user wants to watch is found. More may be there later."""
        return bool(self.found) and not self.missing

    async def find(self) -> None:
        """Looks for queues that are not found yet.

        Raises:
            SinkError: The server refuses, or cannot be reached.
        """
        self.left_out = 0
        names = {given: [given, f"{given}.default"] for given in self._names} if self._names else await self._listed()
        known = {(queue.layout, queue.name) for queue in self.found}
        candidates = list(dict.fromkeys(full for fulls in names.values() for full in fulls))
        replies = await values(self._session, [question for full in candidates for question in _questions(full)])
        for at, full in enumerate(candidates):
            documented, keys, listed = replies[3 * at : 3 * at + 3]
            there: dict[LayoutName, bool] = {
                "documented": _is_there(documented),
                "asynq": _is_there(keys) or listed == 1,
            }
            known |= {(layout, full) for layout, is_there in there.items() if is_there}
        kept = sorted(known, key=lambda one: (one[1], one[0]))
        self.left_out += max(0, len(kept) - MOST_QUEUES)
        self.found = [stored_queue(layout, name) for layout, name in kept[:MOST_QUEUES]]
        full_names = {name for _, name in known}
        self.missing = [given for given in self._names if full_names.isdisjoint(names[given])]

    async def _listed(self) -> dict[str, list[str]]:
        (members,) = await values(self._session, [ask(b"SMEMBERS", QUEUES_KEY.encode())])
        names = sorted(name.decode(errors="replace") for name in members) if isinstance(members, list) else []
        self.left_out = max(0, len(names) - MOST_QUEUES)
        return {name: [name] for name in names[:MOST_QUEUES]}


def _questions(full: str) -> list[Question]:
    return [
        ask(b"LLEN", b"asynq:%b:pending" % full.encode()),
        ask(b"EXISTS", *(base_of(full) + kind for kind in _KINDS)),
        ask(b"SISMEMBER", QUEUES_KEY.encode(), full.encode()),
    ]


def _is_there(reply: Reply) -> bool:
    return isinstance(reply, int) and reply > 0
