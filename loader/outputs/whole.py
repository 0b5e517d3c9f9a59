"""A file that gets its name only when it is complete, so that a part of it cannot be taken for the whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from loader.errors import LoaderError
from loader.outputs.gzip import open_stream
from loader.outputs.room import way_out


class WholeFile:
    """A file to write, compressed if its name ends in .gz. Until ``keep``, it is called ``<name>.part``.

    A pipe or a device is written as it is. So is an existing file in a folder where none can be created.

    Args:
        path: '-' for standard output. A link is followed.
        option: Names the file, for errors.
        mode: Permissions of a file that is new; None: those that the process gives to files.

    Raises:
        LoaderError: From each method: it cannot be written.
        BrokenPipeError: From each method: nobody reads from the pipe.
    """

    def __init__(self, path: Path, option: str, *, mode: int | None = None) -> None:
        self._path, self._option, self._mode = path, option, mode
        self._target = Path(os.path.realpath(path))
        self._part: Path | None = None
        try:
            self._file = self._opened()
        except OSError as error:
            raise self._unwritable(error) from error
        self._stream = open_stream(path, self._file)

    def _opened(self) -> BinaryIO:
        if str(self._path) == "-":
            return open(1, "wb", closefd=False)
        if self._target.exists() and not self._target.is_file():
            return self._target.open("wb")
        part = self._target.with_name(f"{self._target.name}.part")
        try:
            file = part.open("wb")
        except PermissionError:
            return self._target.open("wb")
        self._part = part
        if self._mode is not None:
            part.chmod(self._mode)
        with suppress(OSError):  # a file that is replaced keeps its permissions
            part.chmod(stat.S_IMODE(self._target.stat().st_mode))
        return file

    def write(self, data: bytes) -> None:
        """Appends data."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def keep(self) -> None:
        """Completes the file, and gives it its name."""
        try:
            if self._stream is not self._file:
                self._stream.close()
            self._file.flush()
            if self._part is not None:
                self._file.close()
                self._part.replace(self._target)
                self._part = None
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After ``keep``, nothing is left to write. Without it, what cannot be written is not wanted.
        for one in (self._stream, self._file):
            with suppress(OSError, ValueError):
                one.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> Exception:
        return error if isinstance(error, BrokenPipeError) else self._unwritable(error)

    def _unwritable(self, error: OSError) -> LoaderError:
        return LoaderError(
            f"{self._option} {self._path} cannot be written: {error.strerror}", way_out(error, self._option)
        )
