"""Looks at the beginning of each source before anything is written, and refuses what its format does not take."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loader.errors import SourceError, SourceFormatError
from loader.sources.fingerprint import unreadable
from loader.sources.format import InputFile
from loader.sources.formats import FORMATS
from loader.sources.recognition.head import Head
from loader.sources.recognition.looks import UNKNOWN
from loader.sources.recognition.recognize import HEAD, has_line, is_clear, recognize
from loader.sources.transports.stdin import StandardInput
from loader.sources.transports.transport import CHUNK

if TYPE_CHECKING:
    from loader.sources.bad_files import BadFile

_FORCE = "--force-format loads it all the same"
_WAIT_FOR_MORE = 1.0
"""Seconds to wait for more of a pipe whose first line does not say enough: that of a pretty-printed document."""


def bad_files(files: Iterable[InputFile], *, given: bool) -> list[BadFile]:
    """Looks at files. Call it in a thread.

    Args:
        given: Whether the format is from ``--format``, not from the names.
    """
    return [bad for file in files if (bad := _look_at_file(file, given=given)) is not None]


async def bad_stdin(file: InputFile, stdin: StandardInput, *, given: bool) -> BadFile | None:
    """Looks at standard input. Waits for its first line (64 KiB of it, if it is longer), or its end.

    Raises:
        SourceError: Standard input cannot be read or decompressed.
    """
    head = Head("standard input", file.codec)
    deadline: float | None = None
    now = asyncio.get_running_loop().time
    while (stored := await stdin.read_ahead(None if deadline is None else max(0.0, deadline - now()))) is not None:
        head.feed(stored)
        if not stored or head.is_enough or is_clear(head.content):
            break
        if deadline is None and has_line(head.content):
            deadline = now() + _WAIT_FOR_MORE
    return judge(file, head, given=given)


def _look_at_file(file: InputFile, *, given: bool) -> BadFile | None:
    try:
        head = _head_of(file)
    except SourceError as error:
        from loader.sources.bad_files import BadFile  # few loads have one

        return BadFile(file, str(error.args[0]).removeprefix(file.name).lstrip(": "), error)
    return None if head is None else judge(file, head, given=given)


def judge(file: InputFile, head: Head, *, given: bool) -> BadFile | None:
    """Compares the beginning of a source with its format."""
    form = FORMATS[file.format]
    if form.takes is None:
        return None
    look = recognize(head.content, ended=head.ended)
    if look is UNKNOWN or look in form.takes or (given and look in form.takes_if_given):
        return None
    inside = "" if head.codec is None else f" inside {head.codec.name}"
    fault = f"looks like {look.title}{inside}" + ("" if look in form.takes_if_given else f", not {form.title}")
    hint = look.hint(form.name, None if file.path is None else file.name, head.codec)
    name = "standard input" if file.path is None else file.name
    from loader.sources.bad_files import BadFile

    error = SourceFormatError(f"{name} {fault}", f"{hint[0].upper()}{hint[1:]}; {_FORCE}")
    return BadFile(file, fault, error, look.brief)


def _head_of(file: InputFile) -> Head | None:
    """The beginning of a file's content; None for what is not a regular file, which its fingerprint refuses.

    Raises:
        SourceError: The file cannot be opened, read or decompressed.
    """
    assert file.path is not None  # noqa: S101 - for the type checker
    try:
        # Often called for thousands of small files, so these are system calls. A FIFO is not waited for.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            head, left = Head(file.name, file.codec), status.st_size
            while not head.is_enough and not head.ended:
                size = CHUNK if head.content else HEAD
                stored = os.read(descriptor, size) if left > 0 else b""
                left -= len(stored)
                head.feed(stored)
            return head
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(file.name, error) from error
