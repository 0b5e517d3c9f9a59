"""Lines for the user on standard error, whose reader may go away while the command works."""

from __future__ import annotations

import os
import re
import select
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
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


_waits = True
_left_out = 0
"""Lines that were left out since the last one that was written."""

_is_cut = False
"""Whether the last line that was written has no end."""

_PIECE = 4096
"""Bytes that a pipe takes at once if it is writable (pipe(7), PIPE_BUF)."""

_LONGEST_WAIT = 1.0
"""Seconds for which the end of a line waits that is longer than a piece."""


def never_wait() -> None:
    """From now on, a line is left out if the reader of standard error is so far behind that to write would wait.

    For a server: it must answer requests and signals, whoever does not read its log.
    """
    global _waits
    _waits = False


def tell(line: str, *, level: str = "info", **fields: Any) -> None:
    """Prints a line; on a terminal, a long one is broken between words.

    If nobody reads it any more (``2>&1 | head``), or its disk is full, it is dropped, and the work goes on.

    Args:
        level: debug, info, warning, error or critical.
        fields: What a JSON line holds beside the message.
    """
    global _left_out
    if not _waits and not _has_room(0):
        _left_out += 1
        return
    try:
        if _left_out:
            count, _left_out = _left_out, 0
            told = f"runqy-loader: lines of this log that were left out, as it was not read: {count:,}"
            _print(_shown(told, "warning", {"left_out": count}))
        _print(_shown(line, level, fields))
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # also for what is still in the buffer, and for later lines
        os.close(nothing)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def _shown(line: str, level: str, fields: Mapping[str, Any]) -> str:
    if _json is not None:
        return _json.line(line, level, fields)
    text, width = for_terminal(line), _width()
    return text if width is None else wrapped(text, width)


def _print(text: str) -> None:
    if _waits:
        print(text, file=sys.stderr, flush=True)
        return
    global _left_out, _is_cut
    data = f"{text}\n".encode(errors="backslashreplace")
    if _is_cut:
        data, _is_cut = b"\n" + data, False
    for start in range(0, len(data), _PIECE):
        if start and not _has_room(_LONGEST_WAIT):
            _left_out += 1
            _is_cut = True
            return
        os.write(2, data[start : start + _PIECE])


def _has_room(seconds: float) -> bool:
    """Whether standard error takes a piece now, or within some seconds."""
    try:
        return bool(select.select([], [2], [], seconds)[1])
    except (OSError, ValueError):  # it is closed
        return True


def tell_end(lines: Iterable[str], report: Callable[[], Mapping[str, Any]]) -> None:
    """Prints the closing lines of a command; as JSON, one line with the first of them and the figures of the report.

    Args:
        lines: For people. If there are none, nothing is printed.
        report: Makes the JSON report; it is called only if lines are JSON.
    """
    if _json is None:
        for line in lines:
            tell(line)
        return
    from loader.cli.json_lines import figures

    for first in lines:
        tell(first, event="end", **figures(report()))
        return
