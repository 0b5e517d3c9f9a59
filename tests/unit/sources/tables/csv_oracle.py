"""A reader of CSV that goes character by character, by the rules of docs/tables.md, and shares nothing with ours."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A row that is not blank.

    Attributes:
        offset: Where it begins.
        fields: None if it is malformed.
        text: As it is, without its line end.
    """

    offset: int
    fields: list[bytes] | None
    text: bytes


def rows_of(content: bytes, delimiter: bytes = b",", quote: bytes = b'"') -> list[Row]:
    """All rows, of which the first is the header.

    Args:
        quote: Empty for none.
    """
    rows: list[Row] = []
    pos = 0
    while pos < len(content):
        fields, end = _row(content, pos, delimiter, quote)
        if fields != []:
            rows.append(Row(pos, fields, content[pos:end].rstrip(b"\r\n")))
        pos = end
    return rows


def _row(content: bytes, pos: int, delimiter: bytes, quote: bytes) -> tuple[list[bytes] | None, int]:
    fields: list[bytes] = []
    if _line_end(content, pos):
        return [], _line_end(content, pos)
    while True:
        if quote and content[pos : pos + 1] == quote:
            field, pos = _quoted(content, pos + 1, quote)
            if field is None:
                return None, len(content)
        else:
            end = pos
            while end < len(content) and content[end : end + 1] not in (delimiter, b"\r", b"\n"):
                end += 1
            field, pos = content[pos:end], end
        fields.append(field)
        if content[pos : pos + 1] == delimiter:
            pos += 1
            continue
        if pos == len(content) or (end := _line_end(content, pos)):
            return fields, max(pos, _line_end(content, pos))
        line_feed = content.find(b"\n", pos)
        return None, len(content) if line_feed < 0 else line_feed + 1


def _quoted(content: bytes, pos: int, quote: bytes) -> tuple[bytes | None, int]:
    """What is between quotes, and where it ends; None if nothing closes them."""
    field = b""
    while pos < len(content):
        if content[pos : pos + 1] != quote:
            field += content[pos : pos + 1]
        elif content[pos + 1 : pos + 2] == quote:
            field += quote
            pos += 1
        else:
            return field, pos + 1
        pos += 1
    return None, pos


def _line_end(content: bytes, pos: int) -> int:
    """The end of a line end that begins here: line feed, or carriage returns before it or the end; 0 if none does."""
    end = pos
    while content[end : end + 1] == b"\r":
        end += 1
    if content[end : end + 1] == b"\n":
        return end + 1
    return end if end == len(content) and end > pos else 0
