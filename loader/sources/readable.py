"""Finds, before a load begins, the files that cannot be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from loader.errors import SourceError
from loader.sources.codecs.content import Content
from loader.sources.codecs.registry import detect
from loader.sources.fingerprint import fingerprint, not_regular, unreadable
from loader.sources.format import InputFile
from loader.sources.problems import Problem, Problems

_HEAD = 16 * 1024
"""The number of bytes to look at. A compressed file up to this size is decompressed to its end."""

_MOST_CONTENT = 1024 * 1024
"""The number of bytes to decompress at most."""


def without_unreadable(files: Sequence[InputFile], problems: Problems) -> list[InputFile]:
    """The files that can be read, as far as their first bytes tell. The others become problems."""
    good: list[InputFile] = []
    for file in files:
        found = None if file.path is None else _problem(file, file.path)
        if found is None:
            good.append(file)
        else:
            problems.add(found)
    return good


def without_unfit(files: Sequence[InputFile], problems: Problems) -> list[InputFile]:
    """The files whose fingerprint can be read. The others become problems."""
    good: list[InputFile] = []
    for file in files:
        try:
            if file.path is not None:
                fingerprint(file.name, file.path)
            good.append(file)
        except SourceError as error:
            problems.add(Problem.of(file.name, error))
    return good


def _problem(file: InputFile, path: Path) -> Problem | None:
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                return Problem.of(file.name, not_regular(file.name, path))
            head = os.read(descriptor, _HEAD)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Problem.of(file.name, unreadable(file.name, error))
    if not head:
        if file.codec is None:
            return None  # an empty file has no records, which is no fault
        return Problem(file.name, f"is empty, which no {file.codec.name} file is", "Get it again, or leave it out")
    if file.codec is None and detect(head) is None:
        return None
    try:
        _decompress(file, head, whole=len(head) == state.st_size)
    except SourceError as error:
        return Problem.of(file.name, error)
    return None


def _decompress(file: InputFile, head: bytes, *, whole: bool) -> None:
    """Raises SourceError if the beginning of a compressed file is damaged, or the whole file if it is short."""
    content = Content(file.name, file.codec)
    length = 0
    for piece in content.feed(head):
        length += len(piece)
        if length > _MOST_CONTENT:
            return
    if whole:
        content.finish()
