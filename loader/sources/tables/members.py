"""Fields of a row of text become the members of a JSON object."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring

import orjson

from loader.settings.tables import CsvType, TableOptions
from loader.tasks.reasons import Reason, ReasonCode

UNSAFE = bytes((*range(0x20), *b'"\\'))
"""Bytes that cannot stand in a JSON string as they are (RFC 8259, section 7)."""

_UNSAFE_IN_LINES = UNSAFE.replace(b"\n", b"").replace(b'"', b"")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BOOLS = {"true": "true", "false": "false", "True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}

Row = Sequence[str]


class ObjectText:
    """Makes the JSON object of a row, of the JSON texts of its values.

    Args:
        names: The columns. Each is another.
        omits_nulls: Whether members that are null are left out.
    """

    def __init__(self, names: Sequence[str], *, omits_nulls: bool) -> None:
        self.keys = [encode_basestring(name) for name in names]
        fill = ("{" + ",".join(f"{key.replace('%', '%%')}:%s" for key in self.keys) + "}").__mod__
        self.of: Callable[[tuple[str, ...]], str] = self._without_nulls if omits_nulls else fill

    def _without_nulls(self, texts: tuple[str, ...]) -> str:
        pairs = zip(self.keys, texts, strict=True)  # PostgreSQL keeps the spaces around a value of type json
        return "{" + ",".join(f"{key}:{text}" for key, text in pairs if text.strip() != "null") + "}"


class Members:
    """Makes JSON objects of rows that have a field for each column.

    Args:
        names: The columns. Each is another.
        options: What is null, which columns are no text, and whether nulls are left out.
    """

    def __init__(self, names: Sequence[str], options: TableOptions) -> None:
        self._names = names
        self._object_text = ObjectText(names, omits_nulls=options.nulls == "omit")
        self._null = options.csv_null
        kinds = dict(options.csv_types)
        self._kinds: list[CsvType] = [kinds.get(name, "text") for name in names]
        self._is_plain = self._null is None and all(kind == "text" for kind in self._kinds)
        keys = [key.replace("%", "%%") for key in self._object_text.keys]
        self._of_texts = "{" + ",".join(f'{key}:"%s"' for key in keys) + "}"
        self._of_bytes = self._of_texts.replace("%s", "%b").encode(errors="surrogateescape")
        self._quotes = self._of_texts.count('"')

    @property
    def template(self) -> bytes | None:
        """An object with ``%b`` for each field, whose bytes need no escape; None if fields are no plain text."""
        return self._of_bytes if self._is_plain else None

    def objects(self, rows: Sequence[Row]) -> Sequence[bytes | Reason]:
        """The objects of rows, or the reasons why there is none."""
        return self.plain_objects(rows) if self._is_plain else [self._object(row) for row in rows]

    def plain_objects(self, rows: Sequence[Row]) -> list[bytes]:
        """The objects of rows if all columns are text (``template`` is not None)."""
        # Hot path of rows with quotes, 1 us a row. It takes for granted that nothing needs an escape, and sees by the
        # number of quotes and line feeds in the outcome whether that was right; if not, it looks at each row.
        fill, quotes = self._of_texts.__mod__, self._quotes
        texts = [fill(tuple(row)) for row in rows]
        data = "\n".join(texts).encode(errors="surrogateescape")
        is_safe = (
            len(data.translate(None, _UNSAFE_IN_LINES)) == len(data)
            and data.count(b'"') == quotes * len(rows)
            and data.count(b"\n") == len(rows) - 1
        )
        if is_safe:
            return data.split(b"\n")
        escaped = self._object_text.of
        return [
            (
                text
                if text.count('"') == quotes and "\\" not in text and text.isprintable()
                else escaped(tuple(map(encode_basestring, row)))
            ).encode(errors="surrogateescape")
            for text, row in zip(texts, rows, strict=True)
        ]

    def _object(self, row: Row) -> bytes | Reason:
        values: list[str] = []
        for name, kind, field in zip(self._names, self._kinds, row, strict=True):
            if field == self._null:
                values.append("null")
            elif (value := _VALUES[kind](field)) is not None:
                values.append(value)
            else:
                text = f"column {name!r}: {_shown(field)} is no {'JSON' if kind == 'json' else kind}"
                return Reason(ReasonCode.BAD_VALUE, text)
        return self._object_text.of(tuple(values)).encode(errors="surrogateescape")


def _shown(field: str) -> str:
    return repr(field if len(field) <= 40 else f"{field[:40]}…")


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda field: field if pattern.fullmatch(field) else None


def _json(field: str) -> str | None:
    try:
        orjson.loads(field)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    return field.strip(" \t\r\n")


_VALUES: dict[CsvType, Callable[[str], str | None]] = {
    "text": encode_basestring,
    "int": _matching(_INT),
    "number": _matching(_NUMBER),
    "bool": _BOOLS.get,
    "json": _json,
}
"""The JSON text of a field, or None if it has none of this type."""
