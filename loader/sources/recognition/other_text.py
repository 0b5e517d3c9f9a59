"""Says what content looks like that does not begin like JSON: other encodings, CSV, HTML and the like. No I/O."""

from __future__ import annotations

import re

from loader.sources.json_text import is_json
from loader.sources.recognition import looks
from loader.sources.recognition.looks import Look
from loader.sources.recognition.text import complete_lines, is_utf_8

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
_SHORT = 100


def encoding(head: bytes) -> Look | None:
    """UTF-16 or UTF-32 without a byte order mark: the first characters of JSON are ASCII."""
    for size, name, found in _ENCODINGS:
        beginning = head[: min(len(head), _CHARACTERS * size) // size * size]
        if b"\0" not in beginning:
            return None
        try:
            text = beginning.decode(name)
        except UnicodeDecodeError:
            continue
        if len(text) > 1 and text[:2].isascii() and "\0" not in text and (text[:2].strip().isprintable()):
            return found
    return None


def other_text(text: bytes, *, ended: bool) -> Look | None:
    if _HTML.match(text):
        return looks.HTML
    if _XML.match(text):
        return looks.XML
    beginning = text[:1024]
    if len(_CONTROL.findall(beginning)) > _MOST_CONTROLS * max(len(beginning), _SHORT):
        return looks.BINARY
    lines = complete_lines(text, ended=ended)
    if any(line.startswith((b"{", b"[")) for line in lines[:1]):
        return looks.LATIN_1 if _is_latin_1(lines) else None
    if text.startswith((b"---\n", b"---\r\n", b"%YAML ")):
        return looks.YAML
    return _separated(lines[:_ROWS])


def _is_latin_1(lines: list[bytes]) -> bool:
    """Whether most lines are JSON in Latin-1, and none of these is in UTF-8."""
    found = sum(is_json(line.decode("latin-1").encode()) for line in lines if not is_utf_8(line))
    return found * 2 > len(lines)


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
