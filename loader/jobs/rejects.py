"""The rejects file: rejected records as JSON lines. Lines are only appended, and each batch is flushed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import orjson

from loader.errors import LoaderError
from loader.jobs.fenced_file import FencedFile
from loader.jobs.proof import Proof
from loader.outputs.gzip import as_stored, open_stored
from loader.outputs.names import REJECTS_ENDING
from loader.outputs.room import way_out
from loader.sources.validate import Reject


def rejects_path(given: Path | None, job: str) -> Path:
    """The file of a job's rejects: the one that ``--rejects`` gives, or one in the current folder."""
    return given or Path(f"{job}{REJECTS_ENDING}")


def where_rejects_go(given: Path | str | None, job: str) -> Path | str:
    """As ``rejects_path``, where a place for one file a shard may be given; see ``loader.outputs.place``."""
    return given if isinstance(given, str) else rejects_path(given, job)


class Rejects(Protocol):
    """Where rejected records go."""

    @property
    def path(self) -> Path | None:
        """The file; None if none is kept."""
        ...

    @property
    def used(self) -> bool:
        """Whether there was any."""
        ...

    async def add(self, rejects: Sequence[Reject]) -> None:
        """Keeps rejects. Raises LoaderError if they cannot be kept."""
        ...

    def close(self) -> None: ...


class RejectsFile:
    """Writes rejects. The file is created for the first reject.

    Rejects that are in the file already are not written again. So each bad record is in the file once, even if the job
    was stopped several times, or after a dry run. Rejects are flushed before their batch is committed, so none is lost.

    A run that was suspended and taken over must not write: the next run has the same rejects.

    Args:
        path: The file, prepared by ``begin_file``; None to keep none.
        proof: That this run may write.
    """

    def __init__(self, path: Path | None, proof: Proof | None = None) -> None:
        self.path = path
        self._file = None if path is None else FencedFile(path, proof or Proof())
        self.used = False
        self._known: set[int] | None = None

    async def add(self, rejects: Sequence[Reject]) -> None:
        """Appends rejects and flushes.

        Raises:
            LoaderError: The file cannot be written, or another run has taken over.
        """
        if self._file is not None and rejects:
            await self.append([reject.to_json() for reject in rejects])

    async def append(self, lines: Sequence[bytes]) -> None:
        """As ``add``, for rejects as lines of JSON."""
        assert self.path is not None  # noqa: S101 - else none are kept
        assert self._file is not None  # noqa: S101
        self.used = True
        try:
            if self._known is None:
                self._known = _identities(self.path) if self.path.is_file() else set()
            if self._known:
                lines = [line for line in lines if _identity(orjson.loads(line)) not in self._known]
            if lines:
                await self._file.append(as_stored(self.path, b"".join(lines)))
        except OSError as error:
            raise LoaderError(
                f"the rejects file {self.path} cannot be written: {error.strerror}",
                way_out(error, "--rejects"),
            ) from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _identity(reject: dict[str, object]) -> int:
    return hash(tuple(reject.get(name) for name in ("id", "source", "line", "byte_offset", "reason", "record")))


def _identities(path: Path) -> set[int]:
    known: set[int] = set()
    # In gzip, EOFError: another process of this load is just writing its first rejects.
    with open_stored(path) as file, suppress(EOFError):
        for line in file:
            try:
                known.add(_identity(orjson.loads(line)))
            except (orjson.JSONDecodeError, AttributeError, TypeError):
                continue  # an incomplete line after a crash, or a line of another program
    return known
