"""Freezes lists, sorted sets, hashes and streams of a server whose clients go on, and hands out what was in them.

What is frozen is kept in temporary files, so memory stays flat. Nothing is locked or written on the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

from loader.errors import SinkError
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.spool import Spool

MOST = 1000
"""Elements read at a time, if they are small."""

_PIECE = 2 * 1024 * 1024
_TRIES = 5

Side = Literal["head", "tail"]


class Frozen:
    """Parts of a queue as they were when they were read.

    Args:
        stack: Closes the temporary files.
    """

    def __init__(self, session: Session, stack: ExitStack) -> None:
        self.session = session
        self._stack = stack

    async def listed(self, key: bytes, pushed_at: Side) -> Callable[[], Iterator[list[bytes]]]:
        """Freezes a list of distinct elements. Returns a function that hands them out, the next to be taken first.

        Workers take at the other side. Every element that is in the list during the whole reading is found once.

        Args:
            pushed_at: The side at which producers push.

        Raises:
            SinkError: The key holds another type; or elements are taken out of the middle all the time.
        """
        for _ in range(_TRIES):
            spool = self._stack.enter_context(Spool())
            if await self._read_list(key, pushed_at, spool):
                return spool.backwards
        raise SinkError(
            f"{self.session.address}: key {key.decode(errors='backslashreplace')} changes too quickly to be read",
            "Stop the workers of this queue for the time of the migration",
        )

    async def _read_list(self, key: bytes, pushed_at: Side, spool: Spool) -> bool:
        """Reads a list from the side at which it grows. Returns whether nothing was taken out of its middle.

        What is pushed meanwhile moves what is behind it. So each piece begins with the last element of the piece
        before, and that element shows how far the list has moved.
        """
        position, last, size, read = 0, b"", 64, list[bytes]()
        where = f"key {key.decode(errors='backslashreplace')}"
        while True:
            start = max(position - 1, 0)
            first, end = (start, start + size) if pushed_at == "head" else (-start - size - 1, -start - 1)
            (elements,) = await self.session.call([ask(b"LRANGE", key, b"%d" % first, b"%d" % end)], where)
            more = len(elements) > size
            if pushed_at == "tail":
                elements.reverse()
            if last:
                if last not in elements:
                    # Either it was taken, and all that was behind it before, or something else moved the list.
                    return not more and set(elements) <= set(read)
                behind = elements.index(last) + 1
                position, elements = start + behind, elements[behind:]
            if elements:
                spool.add(elements)
                position, last, read = position + len(elements), elements[-1], elements
                size = _step(elements)
            if not more:
                return True

    async def sorted_set(self, key: bytes) -> Callable[[], Iterator[list[tuple[bytes, float]]]]:
        """Freezes a sorted set. Returns a function that hands out members and scores, the lowest score first.

        Workers take from the low end, so it is read from the high end, where nothing moves.
        """
        spool, position, where = self._stack.enter_context(Spool()), 0, f"key {key.decode(errors='backslashreplace')}"
        last, size = b"", 64
        while True:
            start = max(position - 1, 0)
            question = ask(b"ZREVRANGE", key, b"%d" % start, b"%d" % (start + size), b"WITHSCORES")
            (reply,) = await self.session.call([question], where)
            more = len(reply) > 2 * size
            if last in reply[::2]:
                behind = reply[::2].index(last) + 1
                position, reply = start + behind, reply[2 * behind :]
            if reply:
                spool.add(reply)
                position, last, size = position + len(reply) // 2, reply[-2], _step(reply[::2])
            if not more:
                break

        def each() -> Iterator[list[tuple[bytes, float]]]:
            for block in spool.backwards():  # now each pair is turned round as well
                yield [(member, float(score)) for score, member in zip(block[::2], block[1::2], strict=True)]

        return each

    async def hash(self, key: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """Fields and values of a hash, in no order. A field that is there all the time is found at least once."""
        cursor = b"0"
        while True:
            question = ask(b"HSCAN", key, cursor, b"COUNT", b"100")
            where = f"key {key.decode(errors='backslashreplace')}"
            ((cursor, pairs),) = await self.session.call([question], where)
            if pairs:
                yield list(zip(pairs[::2], pairs[1::2], strict=True))
            if cursor == b"0":
                return


class Stepped:
    """Cuts keys into steps, so that what is read for a step is a few MiB."""

    def __init__(self) -> None:
        self._size = 64

    def each(self, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """The steps. Call ``was`` with what was read for a step before the next."""
        position = 0
        while position < len(keys):
            step = keys[position : position + self._size]
            position += len(step)
            yield step

    def was(self, values: Sequence[bytes]) -> None:
        """Says what was read for the last step."""
        if values:
            self._size = _step(values)


def _step(elements: Sequence[bytes]) -> int:
    """How many elements like these are a piece."""
    return max(1, min(MOST, _PIECE * len(elements) // (sum(map(len, elements)) + 1)))
