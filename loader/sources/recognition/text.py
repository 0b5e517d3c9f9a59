"""Lines of text, and what they are."""

from __future__ import annotations

from loader.sources.json_text import JSON_SPACE

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


def is_utf_8(text: bytes) -> bool:
    """Whether bytes are text in UTF-8 (RFC 3629)."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
