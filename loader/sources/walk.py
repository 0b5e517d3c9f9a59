"""The files of a directory, recursively and in an order that is always the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from loader.sources.endings import Endings
from loader.sources.passed_over import REACHED_TWICE, PassedOver

What = Literal["file", "dangling link", "special file"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a directory has.

    Attributes:
        path: The path by which it was reached.
        real: The path without links, which is the same for each way to reach the file.
        what: ``special file`` for a FIFO, a socket or a device.
    """

    path: str
    real: str
    name: str
    what: What


class Walk:
    """Walks through directories. Links are followed, but each real folder is entered only once.

    Args:
        endings: For the order of files.
        passed_over: Counts the folders that are not entered.
        failed: Called for each folder that cannot be listed.
    """

    def __init__(self, endings: Endings, passed_over: PassedOver, failed: Callable[[str, OSError], None]) -> None:
        self._order = endings.order
        self._passed_over = passed_over
        self._failed = failed
        self._entered: dict[tuple[int, int], str] = {}  # device and inode -> path

    def entries(self, root: str) -> Iterator[Entry]:
        """The files of a directory, then those of its folders. Hidden folders are not entered."""
        waiting = [root]  # no recursion: folders may be nested more deeply than Python's stack
        while waiting:
            folder = waiting.pop()
            try:
                state = os.stat(folder)
                before = self._entered.setdefault((state.st_dev, state.st_ino), folder)
                if before is not folder:
                    if before != folder:  # through a link, perhaps in a loop; otherwise, a pattern matched it too
                        self._passed_over.add(REACHED_TWICE, os.path.realpath(folder), is_folder=True)
                    continue
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: self._order(entry.name))
            except OSError as error:
                self._failed(folder, error)
                continue
            folders: list[str] = []
            real = os.path.realpath(folder)
            for entry in entries:
                path = entry.name if folder == "." else os.path.join(folder, entry.name)
                # Hot path for large directories: for most files, the calls below need no system call.
                try:
                    is_file, is_folder = entry.is_file(), entry.is_dir()
                except OSError:
                    is_file = is_folder = False  # a link to itself, or into a folder without permission
                if is_file:
                    where = os.path.realpath(path) if entry.is_symlink() else f"{real.rstrip('/')}/{entry.name}"
                    yield Entry(path, where, entry.name, "file")
                elif not is_folder:
                    dangling = entry.is_symlink() and not os.path.exists(path)
                    yield Entry(path, path, entry.name, "dangling link" if dangling else "special file")
                elif entry.name.startswith("."):
                    self._passed_over.add("hidden", f"{real}/{entry.name}", is_folder=True)
                else:
                    folders.append(path)
            waiting += reversed(folders)
