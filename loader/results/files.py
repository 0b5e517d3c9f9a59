"""The files that a wait writes: the results as they come, and at the end the tasks that are not done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import aiofiles
import orjson
from aiofiles.threadpool.binary import AsyncFileIO

from loader.errors import LoaderError, UsageError
from loader.outputs.gzip import as_stored, cut_incomplete_member, open_stored
from loader.outputs.names import is_gzip
from loader.outputs.whole import WholeFile
from loader.results.result import TaskResult

_STDOUT = 1
_FINAL = ("completed", "failed", "expired")


class ResultsFile:
    """Appends results to a file, each chunk in one write. Results that are in the file already stay.

    Args:
        path: The file; '-' for standard output.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: AsyncFileIO | None = None

    @property
    def is_stdout(self) -> bool:
        return str(self._path) == "-"

    def ids(self) -> Iterator[str]:
        """The ids whose results are in the file, from an earlier run. A last line that a crash cut short is removed.

        Raises:
            UsageError: The file holds something other than results.
            LoaderError: The file cannot be read or written.
        """
        if self.is_stdout:
            return
        try:
            if self._path.exists() and not self._path.is_file():  # a pipe or a device keeps nothing
                return
            yield from self._ids_in_gzip() if is_gzip(self._path) else self._ids_in_lines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unwritable(error) from error

    def _ids_in_lines(self) -> Iterator[str]:
        with self._path.open("rb+") as file:
            complete_bytes = 0
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") and (complete_bytes or line.startswith(b'{"id":')):
                    file.truncate(complete_bytes)
                    return
                yield from self._id_of(line, number)
                complete_bytes += len(line)

    def _ids_in_gzip(self) -> Iterator[str]:
        cut_incomplete_member(self._path)
        with open_stored(self._path) as file:
            for number, line in enumerate(file, 1):
                yield from self._id_of(line, number)

    def _id_of(self, line: bytes, number: int) -> Iterator[str]:
        try:
            value = orjson.loads(line)
            task_id, status = value["id"], value["status"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise UsageError(
                f"--out {self._path}:{number}: this is no result of a task",
                "Name a new file, or the output of an earlier wait",
            ) from None
        if status in _FINAL:
            yield str(task_id)

    async def add(self, results: Sequence[TaskResult]) -> None:
        """Appends results. Raises LoaderError if the file cannot be written."""
        try:
            if self._file is None:
                target = _STDOUT if self.is_stdout else self._path
                self._file = await aiofiles.open(target, "ab", buffering=0, closefd=not self.is_stdout)
            rest = memoryview(as_stored(self._path, b"".join(result.to_json() for result in results)))
            while rest:
                rest = rest[await self._file.write(rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._unwritable(error) from error

    async def close(self) -> None:
        if self._file is not None:
            await self._file.close()

    def _unwritable(self, error: OSError) -> LoaderError:
        return LoaderError(
            f"--out {self._path} cannot be written: {error.strerror}", "Run the same command again to go on from there"
        )


class MissingFile:
    """The tasks that were not done when the wait ended, as lines that ``--ids`` reads. Each run replaces the file.

    Args:
        path: The file. It is removed if all tasks are done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def replace(self, results: Iterator[Sequence[TaskResult]]) -> None:
        """Writes the file anew. Raises LoaderError if it cannot be written."""
        written = 0
        with WholeFile(self._path, "--missing") as file:
            for chunk in results:
                lines = b"".join(result.to_json() for result in chunk)
                file.write(lines)
                written += len(lines)
            if written or (self._path.exists() and not self._path.is_file()):  # a pipe or a device stays
                file.keep()
                return
        self._path.unlink(missing_ok=True)
