"""Looks at the beginning of each source before anything is written, and refuses what its format does not take."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loader.errors import SourceError, SourceFormatError, UsageError
from loader.sources.fingerprint import not_regular, unreadable
from loader.sources.format import InputFile
from loader.sources.formats import FORMATS, format_hint
from loader.sources.problems import Problem, Problems
from loader.sources.recognition.head import Head
from loader.sources.recognition.looks import UNKNOWN, Look
from loader.sources.recognition.recognize import HEAD, is_clear, recognize
from loader.sources.transports.stdin import StandardInput
from loader.sources.transports.transport import CHUNK

_FORCE = "--force-format loads it all the same"
_NO_ENDING = "its name has no known ending"
_WAIT_FOR_MORE = 1.0
"""Seconds to wait for more of a pipe whose first line does not say enough: that of a pretty-printed document."""


def without_bad_files(files: Sequence[InputFile], problems: Problems, *, given: bool, force: bool) -> list[InputFile]:
    """The files that can be loaded, as far as their beginnings tell. The others become problems. Call it in a thread.

    Args:
        given: Whether the format is from ``--format``, not from the names.
        force: Whether any content is taken.
    """
    good: list[InputFile] = []
    for file in files:
        found = file if file.path is None else _look_at_file(file, file.path, given=given, force=force)
        if isinstance(found, InputFile):
            good.append(found)
        else:
            problems.add(found)
    return good


async def check_stdin(file: InputFile, stdin: StandardInput, *, given: bool, force: bool) -> None:
    """Looks at standard input. Waits for its first line, or its end.

    Of a longer first line, 64 KiB are enough; if it begins with ``[``, 16 MiB. See ``is_enough``.

    Args:
        given: See ``without_bad_files``.
        force: Whether any content is taken. Then only the first bytes of a compressed input are looked at.

    Raises:
        SourceError: Standard input cannot be read or decompressed.
        SourceFormatError: Its content does not look like its format.
    """
    if force and file.codec is None:
        return
    head = Head("standard input", file.codec)
    deadline: float | None = None
    now = asyncio.get_running_loop().time
    while (stored := await stdin.read_ahead(None if deadline is None else max(0.0, deadline - now()))) is not None:
        head.feed(stored)
        if force or not stored or head.is_enough or (head.has_line and is_clear(head.content)):
            break
        if deadline is None and head.has_line:
            deadline = now() + _WAIT_FOR_MORE
    if not force and (found := judge(file, head, given=given)) is not None:
        raise SourceFormatError(f"standard input {found.what}", found.hint)


def _look_at_file(file: InputFile, path: Path, *, given: bool, force: bool) -> InputFile | Problem:
    """The file with the compression that it has, or its problem."""
    try:
        head = _head_of(file, path)
    except SourceError as error:
        return Problem.of(file.name, error)
    found = None if force else judge(file, head, given=given)
    return found or replace(file, codec=head.codec)


def unnamed(file: InputFile, path: Path) -> Problem:
    """The problem of a file whose name has no known ending: what its content looks like, if that is known.

    Args:
        file: The file, with the format that its content would most likely have.
    """
    try:
        head = _head_of(file, path)
    except SourceError as error:
        return Problem.of(file.name, error)
    look = recognize(head.content, ended=head.ended)
    if look is UNKNOWN:
        return Problem(file.name, _NO_ENDING, format_hint(), UsageError)
    hint = _hint(file, head, look)  # without a format, there is nothing to force
    if not look.formats:
        return Problem(file.name, _fault(file, head, look), hint, SourceFormatError, look.brief)
    return Problem(file.name, f"{_NO_ENDING}, and it {_seen(head, look)}", hint, UsageError, look.brief)


def judge(file: InputFile, head: Head, *, given: bool) -> Problem | None:
    """Compares the beginning of a source with its format."""
    form = FORMATS[file.format]
    if form.takes is None:
        return None
    look = recognize(head.content, ended=head.ended)
    if look is UNKNOWN or look in form.takes or (given and look in form.takes_if_given):
        return None
    hint = f"{_hint(file, head, look)}; {_FORCE}"
    return Problem(file.name, _fault(file, head, look), hint, SourceFormatError, look.brief)


def _seen(head: Head, look: Look) -> str:
    inside = "" if head.codec is None else f" inside {head.codec.name}"
    return f"looks like {look.title}{inside}"


def _fault(file: InputFile, head: Head, look: Look) -> str:
    form = FORMATS[file.format]
    return _seen(head, look) + ("" if look in form.takes_if_given else f", not {form.title}")


def _hint(file: InputFile, head: Head, look: Look) -> str:
    from loader.sources.remote.address import is_url  # few loads need it

    path = None if file.is_stdin else file.name
    hint = look.hint(file.format, path, head.codec, elsewhere=path is not None and is_url(path))
    return f"{hint[0].upper()}{hint[1:]}"


def _head_of(file: InputFile, path: Path) -> Head:
    """The beginning of a file's content.

    Raises:
        SourceError: The file is not a regular file, or cannot be opened, read or decompressed. A short compressed file
            is decompressed to its end. An empty file is none of a compression.
        UsageError: A package is not installed that its compression needs.
    """
    try:
        # Often called for thousands of small files, so these are system calls. A FIFO is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise not_regular(file.name, path)
            head, left, size = Head(file.name, file.codec), status.st_size, HEAD
            while not head.is_enough and not head.ended:
                stored = os.read(descriptor, size) if left > 0 else b""
                size = CHUNK
                left -= len(stored)
                head.feed(stored)
            return head
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(file.name, error) from error
