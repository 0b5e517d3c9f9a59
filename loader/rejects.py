"""The rejects file: JSON lines of records set aside, flushed as they come, only ever appended to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aiofiles
import orjson
from aiofiles.threadpool.binary import AsyncFileIO

from loader.errors import LoaderError
from loader.validate import Reject


class RejectsFile:
    """Writes rejects. The file is made with the first one.

    On a resume, what the file holds already is not written again: so each bad record is in it once, however often the
    job was stopped. Rejects are flushed before their batch is committed, so none is lost either.

    Args:
        path: The file; None to keep none.
        resumed: Whether earlier runs of the job may have written to it.
    """

    def __init__(self, path: Path | None, *, resumed: bool) -> None:
        self.path = path
        self.used = False
        self._resumed = resumed
        self._known: set[int] | None = None
        self._file: AsyncFileIO | None = None

    async def add(self, rejects: Sequence[Reject]) -> None:
        """Appends rejects and flushes.

        Raises:
            LoaderError: The file cannot be written.
        """
        if self.path is None or not rejects:
            return
        self.used = True
        try:
            if self._known is None:
                self._known = _identities(self.path) if self._resumed and self.path.exists() else set()
            lines = [reject.to_json() for reject in rejects]
            if self._known:
                lines = [line for line in lines if _identity(orjson.loads(line)) not in self._known]
            if not lines:
                return
            if self._file is None:
                torn = _ends_without_newline(self.path)
                # Unbuffered and appending: several processes may write here, each batch of lines in one write.
                self._file = await aiofiles.open(self.path, "ab", buffering=0)
                if torn:
                    await self._file.write(b"\n")
            await self._file.write(b"".join(lines))
        except OSError as error:
            raise LoaderError(
                f"the rejects file {self.path} cannot be written: {error.strerror}",
                "Name a writable one with --rejects",
            ) from error

    async def close(self) -> None:
        if self._file is not None:
            await self._file.close()


def _identity(reject: dict[str, object]) -> int:
    return hash((reject.get("source"), reject.get("line"), reject.get("byte_offset"), reject.get("record")))


def _identities(path: Path) -> set[int]:
    known: set[int] = set()
    with path.open("rb") as file:
        for line in file:
            try:
                known.add(_identity(orjson.loads(line)))
            except (orjson.JSONDecodeError, AttributeError, TypeError):
                continue  # a line torn by a crash, or not ours
    return known


def _ends_without_newline(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"
