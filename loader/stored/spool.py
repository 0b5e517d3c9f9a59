"""Keeps ids in a temporary file, so that a queue of any length needs little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from loader.outputs.set_aside import set_aside

_PARTS = 256
_PART_IDS = 512


class Spool:
    """Blocks of ids, written once, then read from the last to the first.

    Memory holds one number a block. Writes use no thread: a block is about 40 KB, which the kernel buffers.
    """

    def __init__(self) -> None:
        with set_aside():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._offsets: list[int] = []
        self._end = 0
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):  # nobody reads what is still to be written
            self._file.close()

    def add(self, ids: Sequence[bytes]) -> int:
        """Appends a block and returns its number.

        Raises:
            LoaderError: There is no room for temporary files.
        """
        block = msgspec.msgpack.encode(ids)
        with set_aside():
            self._file.write(block)
        self._offsets.append(self._end)
        self._end += len(block)
        self.count += len(ids)
        return len(self._offsets) - 1

    def block(self, number: int) -> list[bytes]:
        """The ids of a block. Raises LoaderError as ``add``: the last blocks are written now."""
        start = self._offsets[number]
        stop = self._offsets[number + 1] if number + 1 < len(self._offsets) else self._end
        with set_aside():
            self._file.seek(start)
            return msgspec.msgpack.decode(self._file.read(stop - start), type=list[bytes])

    def backwards(self) -> Iterator[list[bytes]]:
        """Blocks from the last id to the first."""
        for number in reversed(range(len(self._offsets))):
            ids = self.block(number)
            ids.reverse()
            yield ids


class DistinctSpool:
    """Ids in no order; an id that is added more than once is returned once. For SCAN, which may repeat keys.

    Ids are divided into 256 parts by their hash. Repetitions are removed in one part at a time, so memory holds a
    256th of the ids.
    """

    def __init__(self) -> None:
        self._spool = Spool()
        self._buffers: list[list[bytes]] = [[] for _ in range(_PARTS)]
        self._blocks: list[list[int]] = [[] for _ in range(_PARTS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spool.__exit__(kind, error, traceback)

    @property
    def count(self) -> int:
        """Ids added, repetitions included."""
        return self._spool.count + sum(map(len, self._buffers))

    def add(self, ids: Sequence[bytes]) -> None:
        """Raises LoaderError where there is no room for temporary files."""
        for task_id in ids:
            part = hash(task_id) % _PARTS
            buffer = self._buffers[part]
            buffer.append(task_id)
            if len(buffer) == _PART_IDS:
                self._blocks[part].append(self._spool.add(buffer))
                buffer.clear()

    def blocks(self) -> Iterator[list[bytes]]:
        """All ids, each once."""
        for part, buffer in enumerate(self._buffers):
            distinct = dict.fromkeys(buffer)
            for number in self._blocks[part]:
                distinct.update(dict.fromkeys(self._spool.block(number)))
            if distinct:
                yield list(distinct)
