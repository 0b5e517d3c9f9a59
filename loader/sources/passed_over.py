"""What a directory or a glob has besides input: counted, and told in one line."""

from __future__ import annotations

from collections import Counter

REACHED_TWICE = "reached twice"
"""The kind of a file or a folder that is input already, by another path."""

_MOST_KINDS = 6
"""The maximum number of kinds of files in the line."""


class PassedOver:
    """The files and folders of one directory or glob that are not loaded.

    Args:
        where: The directory or glob, for people.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._files: Counter[str] = Counter()
        self._folders: Counter[str] = Counter()
        self._paths: set[str] = set()

    def add(self, kind: str, path: str, *, is_folder: bool = False) -> None:
        """Counts a file, or a folder that is not entered, by its kind: an ending, or words such as ``hidden``.

        Args:
            path: Its path without links. Each counts once, by however many paths it is reached.
        """
        if path not in self._paths:
            self._paths.add(path)
            counts = self._folders if is_folder else self._files
            counts[kind] += 1

    def __bool__(self) -> bool:
        return bool(self._files or self._folders)

    @property
    def summary(self) -> str:
        """The counts: ``4 files (2 .zst, 1 .md, 1 hidden), 1 folder (hidden)``."""
        parts = [_counted(self._files, "file", "files"), _counted(self._folders, "folder", "folders")]
        return ", ".join(part for part in parts if part)

    @property
    def has_input(self) -> bool:
        """Whether some of it is input, by another path."""
        return bool(self._files[REACHED_TWICE] or self._folders[REACHED_TWICE])

    @property
    def line(self) -> str:
        return f"passed over in {self._where}: {self.summary}"


def _counted(counts: Counter[str], one: str, many: str) -> str:
    total = counts.total()
    if not total:
        return ""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kinds = [f"{count:,} {kind}" for kind, count in ordered[:_MOST_KINDS]]
    if rest := sum(count for _, count in ordered[_MOST_KINDS:]):
        kinds.append(f"{rest:,} other")
    return f"{total:,} {one if total == 1 else many} ({', '.join(kinds)})"
