"""Says what content looks like, from its first bytes. No I/O.

A file is JSON lines if its first line is one JSON value and more follows, whatever follows: bad lines are for the
rejects file. Anything else is said only if the content shows it; if not, the content looks like nothing known.
"""

from __future__ import annotations

import re

import orjson

from loader.sources import looks
from loader.sources.looks import Look
from loader.sources.magics import look_of_magic

HEAD = 64 * 1024
"""Bytes of content that are enough, with one exception: see ``is_enough``."""

MOST = 16 * 1024 * 1024
"""Bytes of content to read at most."""

_SPACE = b" \t\r\n"
_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")
_SAMPLE = 50
"""Lines after a first one that is not JSON."""

_ROWS = 5
_SEPARATED = ((b"\t", looks.TSV), (b",", looks.CSV), (b";", looks.CSV_SEMICOLONS))
_QUOTED = re.compile(rb'"[^"]*"')
_CHARACTERS = 32
_ENCODINGS = (
    (4, "utf-32-le", looks.UTF_32_LE),
    (4, "utf-32-be", looks.UTF_32_BE),
    (2, "utf-16-le", looks.UTF_16_LE),
    (2, "utf-16-be", looks.UTF_16_BE),
)
_HTML = re.compile(rb"<(!doctype html|html|head|body|title|script|style|div|p|h1)\b", re.IGNORECASE)
_XML = re.compile(rb"<[?!A-Za-z]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_CONTROLS = 0.05


def is_enough(head: bytes | bytearray) -> bool:
    """Whether more is of no use. A first line that begins an array is read to its end: it may be one of many."""
    if len(head) < HEAD:
        return False
    begin = _blank_end(head)
    return head[begin : begin + 1] != b"[" or head.find(b"\n", begin) >= 0 or len(head) >= MOST


def _blank_end(head: bytes | bytearray) -> int:
    blank = _BLANK.match(head)
    return 0 if blank is None else blank.end()


def first_line(head: bytes) -> bytes | None:
    """The first line that is not blank; None if it is not complete."""
    begin = _blank_end(head)
    end = head.find(b"\n", begin)
    return None if end < 0 else head[begin:end]


def is_json(text: bytes) -> bool:
    """Whether a text is one JSON value."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def recognize(head: bytes, *, ended: bool) -> Look:
    """Says what content looks like.

    Args:
        head: The first bytes of the content, without compression.
        ended: Whether these are all.
    """
    if (found := look_of_magic(head) or _encoding(head)) is not None:
        return found
    text = head[_blank_end(head) :]
    if not text:
        return looks.UNKNOWN
    first, has_end, rest = text.partition(b"\n")
    if (has_end or ended) and is_json(first):
        if not rest.lstrip(_SPACE):
            return _one_line(first) if ended else looks.LINES
        return looks.LINES
    if text.startswith(b"\x1e"):
        return looks.SEQUENCE
    return _json_over_lines(text, first, ended=ended) or _other_text(text, ended=ended) or looks.UNKNOWN


def _encoding(head: bytes) -> Look | None:
    """UTF-16 or UTF-32 without a byte order mark: the first characters of JSON are ASCII."""
    for size, encoding, found in _ENCODINGS:
        beginning = head[: min(len(head), _CHARACTERS * size) // size * size]
        if b"\0" not in beginning:
            return None
        try:
            text = beginning.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(text) > 1 and text[:2].isascii() and "\0" not in text and (text[:2].strip().isprintable()):
            return found
    return None


def _one_line(line: bytes) -> Look:
    if not line.startswith(b"["):
        return looks.ONE_LINE
    return looks.LINE_OF_OBJECTS if line[1:].lstrip(_SPACE).startswith(b"{") else looks.LINE_OF_VALUES


def _json_over_lines(text: bytes, first: bytes, *, ended: bool) -> Look | None:
    """JSON whose first line is not one JSON value."""
    is_array = text.startswith(b"[")
    several = looks.ARRAY if is_array else looks.DOCUMENT
    if ended and is_json(text):
        return several
    if b"\n" not in text and b"\r" in text.strip(_SPACE) and is_json(text.partition(b"\r")[0]):
        return looks.CR_LINES
    if _most_are_json(text, ended=ended):
        return looks.LINES  # only the first line is bad
    if first.rstrip(_SPACE) in (b"[", b"{"):
        # What follows the first value matters, if it ends in these bytes.
        return _values(text, ended=ended) or several
    if not text.startswith((b"{", b"[")) or not _is_utf_8(first):
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


def _lines(text: bytes, *, ended: bool) -> list[bytes]:
    """The first complete lines that are not blank."""
    lines = text.split(b"\n", 4 * _SAMPLE)
    if not ended or len(lines) > 4 * _SAMPLE:
        lines.pop()
    return [line for line in lines if line.strip(_SPACE)][:_SAMPLE]


def _most_are_json(text: bytes, *, ended: bool) -> bool:
    lines = _lines(text, ended=ended)
    return sum(map(is_json, lines)) * 2 > len(lines)


def _other_text(text: bytes, *, ended: bool) -> Look | None:
    if _HTML.match(text):
        return looks.HTML
    if _XML.match(text):
        return looks.XML
    beginning = text[:1024]
    if len(_CONTROL.findall(beginning)) > _MOST_CONTROLS * len(beginning):
        return looks.BINARY
    lines = _lines(text, ended=ended)
    if any(line.startswith((b"{", b"[")) for line in lines[:1]):
        return looks.LATIN_1 if _is_latin_1(lines) else None
    if text.startswith((b"---\n", b"---\r\n", b"%YAML ")):
        return looks.YAML
    return _separated(lines[:_ROWS])


def _is_latin_1(lines: list[bytes]) -> bool:
    """Whether most lines are JSON in Latin-1, and none of these is in UTF-8."""
    found = sum(is_json(line.decode("latin-1").encode()) for line in lines if not _is_utf_8(line))
    return found * 2 > len(lines)


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _separated(lines: list[bytes]) -> Look | None:
    """CSV or TSV: the first lines have the same number of separators."""
    if len(lines) < 2:
        return None
    bare = [_QUOTED.sub(b"", line) for line in lines]
    for separator, found in _SEPARATED:
        counts = {line.count(separator) for line in bare}
        if len(counts) == 1 and counts != {0}:
            return found
    return None
