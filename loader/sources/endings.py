"""What a file's name says: its format, its compression, and its place in the order of its folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping

from loader.sources.base import one_line
from loader.sources.codecs.registry import CODECS
from loader.sources.format import Format
from loader.sources.formats import Kind, by_ending, plain_endings

_ROTATION = re.compile(r"[.-]\d+(?:[-_.:t]\d+)*z?$")
"""What a rotation adds to a name: ``.1``, ``-20261128``, ``.2026-11-28``, ``-20261128-17``, ``.2026-11-28_17-00-00``.

logrotate(8) numbers files, or appends ``dateformat``. Python's logging handlers append ``.1`` or ``.2026-11-28``.
"""

_PLAUSIBLE = (".txt", ".log", ".data", ".dat")
"""Endings of text that may be of any format. With ``--format``, such files of a directory are input."""

_PART = re.compile(r"part-[^.]+|[^._][^.]*[-_]\d{2,}|\d+(?:_\d+)*")
"""Names without an ending that Hadoop, Spark, Hive and exports of databases give to the parts of their output:
``part-00000``, ``000000_0``, ``export-000000000000``."""

_STRAY = re.compile(
    r"_.*|.*~|.*\.(?:crc|md5|sha1|sha256|sha512|asc|sig|tmp|bak|swp|lock|md)|(?:md5|sha1|sha256|sha512|check)sums?"
)
"""Names of files that lie beside data: marks of Hadoop and Spark, checksums, signatures, and unfinished files."""

_LONGEST_LABEL = 16

Order = tuple[str, tuple[int, ...], str]


class Endings:
    """The known endings, prepared to look at many names."""

    def __init__(self) -> None:
        self._kinds: Mapping[str, Kind] = by_ending()
        self._codecs = tuple(ending for codec in CODECS.values() for ending in codec.endings)

    @property
    def known(self) -> str:
        """The known endings of file names, for people."""
        return f"{', '.join(plain_endings())} (each also with {', '.join(self._codecs)} after it)"

    def kind(self, name: str) -> Kind | None:
        """The format and compression that a name says, also that of a rotated file; None if it says none."""
        lower = name.lower()
        at = lower.find(".")
        while at >= 0:  # the longest ending first
            if (found := self._kinds.get(lower[at:])) is not None:
                return found
            at = lower.find(".", at + 1)
        base, _, codec = self._rotation(lower)
        found = self._kinds.get(f".{base.rpartition('.')[2]}{codec}") if "." in base else None
        return found if found is not None and found[0].rotates else None

    def is_plausible(self, name: str, form: Format) -> bool:
        """Whether a file of a directory is input of a format that ``--format`` gives."""
        if (kind := self.kind(name)) is not None:
            return kind[0].family == form.family
        stem, _ = self._without_codec(name.lower())
        return _ROTATION.sub("", stem).endswith(_PLAUSIBLE) or _PART.fullmatch(stem) is not None

    def kind_in_glob(self, name: str, pattern: str, forced: Kind | None) -> Kind | None:
        """The kind of a file that a pattern matches. ``part-*`` chooses files; ``*`` is the whole folder.

        Args:
            pattern: The last part of the pattern.
            forced: The kind of ``--format``; None if there is none.
        """
        kind = self.kind(name)
        if forced is None:
            return kind
        is_plausible = self.is_plausible(name, forced[0])
        if (kind is not None and is_plausible) or not pattern.strip("*"):
            return forced if is_plausible else None
        _, dot, ending = pattern.rpartition(".")
        names_ending = bool(dot) and not glob.has_magic(ending)
        return forced if names_ending or not is_stray(name) else None

    def order(self, path: str) -> Order:
        """The key to sort paths by: by name, but the rotations of a file together and by their numbers."""
        if path[-1:].isdigit() or path.lower().endswith(self._codecs):
            base, rotation, _ = self._rotation(path)
            if rotation and self.kind(base.rpartition("/")[2]) is not None:
                return base, tuple(map(int, re.findall(r"\d+", rotation))), path
        return path, (), path

    def _rotation(self, name: str) -> tuple[str, str, str]:
        """A name as three parts: the name before its rotation, what the rotation added, the compression's ending."""
        stem, codec = self._without_codec(name)
        found = _ROTATION.search(stem)
        return (stem, "", codec) if found is None else (stem[: found.start()], found[0], codec)

    def _without_codec(self, name: str) -> tuple[str, str]:
        lower = name.lower()
        ending = next((ending for ending in self._codecs if lower.endswith(ending)), "")
        return name[: len(name) - len(ending)], ending


def is_stray(name: str) -> bool:
    """Whether a file lies beside data and is none itself, as far as its name says."""
    return _STRAY.fullmatch(name.lower()) is not None


def label(name: str) -> str:
    """The ending of a name, to count files by it: ``.zst``, ``.jsonl.1``, or ``without an ending``."""
    stem, dot, last = name.rpartition(".")
    if not dot or not stem:
        return "without an ending"
    ending = f".{last}"
    if last.isdigit():
        before = stem.rpartition(".")
        ending = f".{before[2]}{ending}" if before[0] else ending
    return one_line(ending) if len(ending) <= _LONGEST_LABEL and " " not in ending else "other"
