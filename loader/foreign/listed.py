"""Freezes lists, sorted sets, hashes and streams of a server whose clients go on, and hands out what was in them.

What is frozen is kept in temporary files, so memory stays flat. Nothing is locked or written on the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

from loader.errors import SinkError
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.stored.spool import Spool

MOST = 1000
"""Elements read at a time, if they are small."""

_FIRST = 64
"""Elements read at first, when it is not known how large they are."""

_PIECE = 2 * 1024 * 1024
_TRIES = 5

Side = Literal["head", "tail"]
Blocks = Callable[[], Iterator[list[bytes]]]
"""Hands out what was frozen, block by block."""

Scored = Callable[[], Iterator[list[tuple[bytes, float]]]]
"""The same of a sorted set: members and scores."""

Row = tuple[bytes, ...]
"""An element of a list, or a member and its score."""


class Frozen:
    """Parts of a queue as they were when they were read.

    Args:
        stack: Closes the temporary files.
    """

    def __init__(self, session: Session, stack: ExitStack) -> None:
        self.session = session
        self._stack = stack

    async def listed(self, key: bytes, pushed_at: Side) -> Blocks:
        """Freezes a list of distinct elements. Returns a function that hands them out, the next to be taken first.

        Workers take at the other side. Every element that is in the list during the whole reading is found once.

        Args:
            pushed_at: The side at which producers push.

        Raises:
            SinkError: The key holds another type; or elements are taken out of the middle all the time.
        """

        def question(first: int, last: int) -> Question:
            if pushed_at == "tail":
                first, last = -last - 1, -first - 1
            return ask(b"LRANGE", key, b"%d" % first, b"%d" % last)

        def rows(reply: list[bytes]) -> list[Row]:
            return [(one,) for one in (reply if pushed_at == "head" else reversed(reply))]

        return (await self._read(key, question, rows)).backwards

    async def sorted_set(self, key: bytes) -> Scored:
        """Freezes a sorted set. Returns a function that hands out members and scores, the lowest score first.

        Workers take from the low end, so it is read from the high end. Otherwise as ``listed``.
        """

        def question(first: int, last: int) -> Question:
            return ask(b"ZREVRANGE", key, b"%d" % first, b"%d" % last, b"WITHSCORES")

        spool = await self._read(key, question, lambda reply: list(zip(reply[::2], reply[1::2], strict=True)))

        def each() -> Iterator[list[tuple[bytes, float]]]:
            for block in spool.backwards():  # now each pair is turned round as well
                yield [(member, float(score)) for score, member in zip(block[::2], block[1::2], strict=True)]

        return each

    async def _read(
        self, key: bytes, question: Callable[[int, int], Question], rows: Callable[[list[bytes]], list[Row]]
    ) -> Spool:
        """The rows of a key, from the side at which it grows.

        Args:
            question: Asks for the rows from one number to another.
            rows: Makes rows of the reply. The first part of each tells it from all others.
        """
        where = _named(key)
        for _ in range(_TRIES):
            spool = self._stack.enter_context(Spool())
            if await self._read_once(question, rows, where, spool):
                return spool
        raise SinkError(
            f"{self.session.address}: {where} changes too quickly to be read",
            "Stop the workers of this queue for the time of the migration",
        )

    async def _read_once(
        self,
        question: Callable[[int, int], Question],
        rows: Callable[[list[bytes]], list[Row]],
        where: str,
        spool: Spool,
    ) -> bool:
        """Returns whether nothing was taken out of the middle.

        What is pushed meanwhile moves what is behind it. So each piece begins with the last row of the piece before,
        and that row shows how far all have moved.
        """
        position, size, read = 0, _FIRST, list[bytes]()
        while True:
            start = max(position - 1, 0)
            (reply,) = await self.session.call([question(start, start + size)], where)
            found = rows(reply)
            more = len(found) > size
            if read:
                names = [row[0] for row in found]
                if read[-1] not in names:
                    # Either it was taken, and all that was behind it before, or something else has moved the rows.
                    return not more and set(names) <= set(read)
                behind = names.index(read[-1]) + 1
                position, found = start + behind, found[behind:]
            if found:
                spool.add([part for row in found for part in row])
                position, read = position + len(found), [row[0] for row in found]
                size = _step(len(read), sum(map(len, read)))
            if not more:
                return True

    async def values(self, key: bytes) -> Blocks:
        """Freezes the values of a hash. Returns a function that hands them out, in no order; some may come twice."""
        spool = self._stack.enter_context(Spool())
        async for pairs in self.hash(key):
            spool.add([value for _, value in pairs])
        return spool.backwards

    async def hash(self, key: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """Fields and values of a hash, in no order. A field that is there all the time is found at least once."""
        cursor = b"0"
        while True:
            question = ask(b"HSCAN", key, cursor, b"COUNT", b"100")
            ((cursor, pairs),) = await self.session.call([question], _named(key))
            if pairs:
                yield list(zip(pairs[::2], pairs[1::2], strict=True))
            if cursor == b"0":
                return


class Stepped:
    """Cuts keys into steps, so that what is read for a step is a few MiB."""

    def __init__(self) -> None:
        self._size = _FIRST

    def each(self, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """The steps. Call ``was`` with what was read for a step before the next."""
        position = 0
        while position < len(keys):
            step = keys[position : position + self._size]
            position += len(step)
            yield step

    def was(self, count: int, size: int) -> None:
        """Says how many keys the last step had, and how many bytes were read for them."""
        self._size = _step(count, size)


def _named(key: bytes) -> str:
    """A key, for messages."""
    return f"key {key.decode(errors='backslashreplace')}"


def _step(count: int, size: int) -> int:
    """How many are a piece, if so many have so many bytes."""
    return max(1, min(MOST, _PIECE * count // (size + 1)))
