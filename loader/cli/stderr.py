"""Lines for the user on standard error, whose reader may go away while the command works."""

from __future__ import annotations

import os
import re
import sys
import textwrap

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Control characters but the line feed."""


def for_terminal(text: str) -> str:
    """A text without what a terminal would obey: control characters are written as escapes.

    Messages hold names of fields, files, queues and keys as inputs and servers have them.
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


_COMMAND = re.compile(r"(?:^|: |\s{2})runqy-loader \w")
"""A command to copy. Line feeds in it would end it where it is pasted."""
_COLUMNS = re.compile(r" +\S.{12,20}? +-?[\d,.]+  ")
"""The name and the count of a summary's line, before its text."""
_LEAST_TEXT = 30


def wrapped(text: str, width: int) -> str:
    """A text whose lines are broken between words. Words are never broken, and neither is a command to copy.

    Args:
        width: Of the terminal.
    """
    return "\n".join(part for line in text.split("\n") for part in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width or _COMMAND.search(line):
        return [line]
    columns = _COLUMNS.match(line)
    indent = columns.end() if columns is not None else len(line) - len(line.lstrip()) + 2
    if width - indent < _LEAST_TEXT:
        indent = 4
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        drop_whitespace=True,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int | None:
    """The columns of the terminal that standard error is; None if it is none."""
    try:
        return os.get_terminal_size(2).columns or None
    except OSError:
        return None


def tell(line: str) -> None:
    """Prints a line; on a terminal, a long one is broken between words.

    If nobody reads it any more (``2>&1 | head``), it is dropped, and the work goes on.
    """
    text, width = for_terminal(line), _width()
    try:
        print(text if width is None else wrapped(text, width), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # also for what is still in the buffer, and for later lines
        os.close(nothing)
