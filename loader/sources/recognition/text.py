"""Lines of text, and what they are."""

from __future__ import annotations

import orjson

JSON_SPACE = b" \t\r\n"

_MOST = 50


def complete_lines(text: bytes, *, ended: bool) -> list[bytes]:
    """The first complete lines that are not blank, at most 50.

    Args:
        ended: Whether the last line is complete.
    """
    lines = text.split(b"\n", 4 * _MOST)
    if not ended or len(lines) > 4 * _MOST:
        lines.pop()
    return [line for line in lines if line.strip(JSON_SPACE)][:_MOST]


def is_json(text: bytes) -> bool:
    """Whether a text is JSON by RFC 8259. orjson refuses a part of it, such as lone surrogates."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        from loader.tasks.json_grammar import check  # most inputs do without it

        try:
            check(text.decode())
        except ValueError:  # NotJsonError and UnicodeDecodeError
            return False
    return True


def is_utf_8(text: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
