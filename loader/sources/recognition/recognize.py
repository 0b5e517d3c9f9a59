"""Says what content looks like, from its first bytes. No I/O.

A file is JSON lines if its first line is one JSON value and more follows, whatever follows: bad lines are for the
rejects file. Anything else is said only if the content shows it; if not, the content looks like nothing known.
"""

from __future__ import annotations

import re

from loader.sources.json_text import JSON_SPACE, is_json
from loader.sources.recognition import looks
from loader.sources.recognition.looks import Look
from loader.sources.recognition.text import complete_lines, is_utf_8

HEAD = 64 * 1024
"""Bytes of content that are enough, with one exception: see ``is_enough``."""

MOST = 16 * 1024 * 1024
"""Bytes of content to read at most."""

_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")


def is_enough(head: bytes | bytearray, searched: int = 0) -> bool:
    """Whether more is of no use. A first line that begins an array is read to its end: it may be one of many.

    Args:
        searched: See ``has_line``.
    """
    if len(head) < HEAD:
        return False
    begin = _blank_end(head)
    return head[begin : begin + 1] != b"[" or len(head) >= MOST or has_line(head, searched)


def _blank_end(head: bytes | bytearray) -> int:
    blank = _BLANK.match(head)
    return 0 if blank is None else blank.end()


def has_line(head: bytes | bytearray, searched: int = 0) -> bool:
    """Whether there is a complete line that is not blank.

    Args:
        searched: So many of the first bytes are known to have none.
    """
    return head.find(b"\n", max(searched, _blank_end(head))) >= 0


def is_clear(head: bytes) -> bool:
    """Whether the first line shows that these are JSON lines. An array may be one of many lines, or all there is."""
    begin = _blank_end(head)
    end = head.find(b"\n", begin)
    if end < 0 or not is_json(first := head[begin:end]):
        return False
    return not first.startswith(b"[") or bool(head[end:].strip(JSON_SPACE))


def recognize(head: bytes, *, ended: bool) -> Look:
    """Says what content looks like.

    Args:
        head: The first bytes of the content, without compression.
        ended: Whether these are all.
    """
    text = head[_blank_end(head) :]
    if not text:
        return looks.UNKNOWN
    first, has_end, rest = text.partition(b"\n")
    if (has_end or ended) and is_json(first):
        if rest.lstrip(JSON_SPACE):
            return looks.LINES
        if ended:
            return _one_line(first)
        return looks.FIRST_ARRAY if first.startswith(b"[") else looks.LINES
    # Imported here, because most inputs are JSON lines.
    from loader.sources.recognition.magics import look_of_magic
    from loader.sources.recognition.other_text import encoding, other_text

    return (
        look_of_magic(head)
        or encoding(head)
        or _json_overcomplete_lines(text, first, ended=ended)
        or other_text(text, ended=ended)
        or looks.UNKNOWN
    )


def _one_line(line: bytes) -> Look:
    if not line.startswith(b"["):
        return looks.ONE_LINE
    return looks.LINE_OF_OBJECTS if line[1:].lstrip(JSON_SPACE).startswith(b"{") else looks.LINE_OF_VALUES


def _json_overcomplete_lines(text: bytes, first: bytes, *, ended: bool) -> Look | None:
    """JSON whose first line is not one JSON value."""
    if text.startswith(b"\x1e"):
        return looks.SEQUENCE
    is_array = text.startswith(b"[")
    several = looks.ARRAY if is_array else looks.DOCUMENT
    if ended and is_json(text):
        return several
    if b"\n" not in text and b"\r" in text.strip(JSON_SPACE) and is_json(text.partition(b"\r")[0]):
        return looks.CR_LINES
    if _most_are_json(text, ended=ended):
        return looks.LINES  # only the first line is bad
    is_cut_off = ended and b"\n" not in text  # one line without its end: the producer of a pipe has died
    if first.rstrip(JSON_SPACE) in (b"[", b"{") and not is_cut_off:
        # What follows the first value matters, if it ends in these bytes.
        return _values(text, ended=ended) or several
    if not text.startswith((b"{", b"[")) or not is_utf_8(first):
        return None
    if b"\n" not in text and not ended:
        return _values(text, ended=ended) or (looks.LONG_ARRAY if is_array else None)
    return _values(text, ended=ended)


def _values(text: bytes, *, ended: bool) -> Look | None:
    """Text that begins with an object or an array: whether another follows, or the text is a part of the first."""
    from json import JSONDecodeError, JSONDecoder  # few files need it

    # A line feed is always between two tokens, so a part that ends with it is whole tokens.
    part = text if ended else text[: text.rfind(b"\n") + 1] or text
    characters = part.decode(errors="replace").rstrip()
    several = None
    if "\n" in characters:
        several = looks.ARRAY if text.startswith(b"[") else looks.DOCUMENT
    try:
        end = JSONDecoder().raw_decode(characters)[1]
    except JSONDecodeError as error:
        return several if error.pos >= len(characters) else None
    except RecursionError:
        return None
    following = characters[end:].lstrip()
    if not following:
        return None if ended else several
    return looks.VALUES if following.startswith(("{", "[", "\x1e")) else None


def _most_are_json(text: bytes, *, ended: bool) -> bool:
    lines = complete_lines(text, ended=ended)
    return sum(map(is_json, lines)) * 2 > len(lines)
