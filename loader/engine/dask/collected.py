"""Rejects and ids of one run of a shard, which the driver writes to the files of the load.

Those of a run that ends early are written only if no other run of the shard follows in this load, and then only the
rejects: the next run of the shard finds the same again, and passes over what is in with its ids.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loader.jobs.ids_file import id_lines
from loader.sources.validate import Reject


class CollectedRejects:
    """A ``Rejects`` that keeps the lines.

    Args:
        wanted: Whether they are wanted; otherwise none is kept.
    """

    path = None
    used = False

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self.lines: list[bytes] = []

    async def add(self, rejects: Sequence[Reject]) -> None:
        if self._wanted:
            self.lines += [reject.to_json() for reject in rejects]

    def close(self) -> None:
        pass


class CollectedIds:
    """An ``Ids`` that keeps the lines."""

    passed_over = True

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def lines(self) -> bytes:
        return b"".join(self._parts)

    async def open(self) -> None:
        pass

    def add(self, queue: str, id_prefix: bytes, ids: Sequence[bytes], skipped: Collection[int]) -> None:
        self._parts.append(id_lines(queue, id_prefix, ids, skipped))

    async def settle(self) -> None:
        pass

    async def close(self) -> None:
        pass
