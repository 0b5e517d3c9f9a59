"""The folder of copies of remote input. This module is small, because every load imports it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class Spool:
    """A folder of copies, which only this user can read. It is made with the first copy, and deleted at the end, also
    after an error.

    Only a process that is killed leaves it: in the folder for temporary files, as ``runqy-loader-copies-…``.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def next_path(self) -> Path:
        """The path of another copy. Raises OSError if the folder cannot be made."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="runqy-loader-copies-")
        self._copies += 1
        return Path(self._folder.name) / str(self._copies)
