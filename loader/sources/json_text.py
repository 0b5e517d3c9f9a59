"""What is JSON by RFC 8259, of which orjson refuses a part, such as lone surrogates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from loader.tasks.json_grammar import Findings

JSON_SPACE = b" \t\r\n"
"""White space of RFC 8259. ``bytes.strip()`` would also remove form feeds, which are not white space in JSON."""


def rfc_8259(record: bytes) -> Findings | None:
    """What a record holds that consumers do not read alike, if it is JSON by RFC 8259; None if it is not."""
    from loader.tasks.json_grammar import check  # most inputs do without it

    try:
        return check(record.decode())
    except ValueError:  # NotJsonError and UnicodeDecodeError
        return None


def is_json(text: bytes) -> bool:
    """Whether a text is JSON by RFC 8259. It is checked by the grammar only if orjson refuses it."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return rfc_8259(text) is not None
    return True
