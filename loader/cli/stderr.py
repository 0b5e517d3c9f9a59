"""Lines for the user on standard error, whose reader may go away while the command works."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from loader.outputs.room import NO_ROOM

if TYPE_CHECKING:
    from loader.cli.json_lines import JsonLines

LogFormat = Literal["text", "json"]

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


_json: JsonLines | None = None
"""Makes the lines of this run, if they are JSON."""


def log_as(form: LogFormat, command: str) -> None:
    """Sets the form of all lines from now on.

    Args:
        command: The name of the command, which JSON lines hold.
    """
    global _json
    if form == "text":
        _json = None
        return
    from loader.cli.json_lines import JsonLines

    _json = JsonLines(command)


def is_json() -> bool:
    """Whether lines are JSON now. Programs read them then, so nothing may be drawn between them."""
    return _json is not None


def is_live() -> bool:
    """Whether progress can be drawn: standard error is a terminal, and its lines are for people."""
    return _json is None and sys.stderr.isatty()


def tell(line: str, *, level: str = "info", **fields: Any) -> None:
    """Prints a line; on a terminal, a long one is broken between words.

    If nobody reads it any more (``2>&1 | head``), or its disk is full, it is dropped, and the work goes on.

    Args:
        level: debug, info, warning, error or critical.
        fields: What a JSON line holds beside the message.
    """
    if _json is not None:
        text, width = _json.line(line, level, fields), None
    else:
        text, width = for_terminal(line), _width()
    try:
        print(text if width is None else wrapped(text, width), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # also for what is still in the buffer, and for later lines
        os.close(nothing)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def tell_end(lines: Iterable[str], report: Mapping[str, Any]) -> None:
    """Prints the closing lines of a command; as JSON, one line with the first of them and the figures of the report.

    Args:
        lines: For people. If there are none, nothing is printed.
        report: The JSON report.
    """
    if _json is None:
        for line in lines:
            tell(line)
        return
    from loader.cli.json_lines import figures

    for first in lines:
        tell(first, event="end", **figures(report))
        return
