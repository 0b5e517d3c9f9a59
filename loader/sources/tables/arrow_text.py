"""Arrow values become JSON text, a column at a time. docs/tables.md has the table of types.

By Arrow type and with Arrow's own functions alone: what pyarrow makes of values in Python depends on the packages that
are there. With pandas, for example, nanoseconds of a time of day are cut off (pyarrow 26).
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loader.settings.tables import TableOptions
from loader.sources.tables.fault import FAULT, SPECIAL
from loader.sources.tables.members import UNSAFE

_NOT_UNSAFE = bytes(sorted({*range(256)} - {*UNSAFE}))
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_STRING = pa.string()

Array = Any
"""``pyarrow.Array``: pyarrow has no types for checkers."""


class ArrowText:
    """Makes JSON objects of the rows of record batches.

    Args:
        options: What NaN becomes, and whether nulls are left out.
    """

    def __init__(self, options: TableOptions) -> None:
        self._special = SPECIAL[options.nan]
        self._omits = options.nulls == "omit"

    def rows(self, names: Sequence[str], columns: Sequence[Array], length: int) -> list[bytes]:
        """The objects of rows. Values that JSON does not have are in them between two ``FAULT``; see ``fault``."""
        return self.lines(names, columns, length).split(b"\n")[:-1]

    def lines(self, names: Sequence[str], columns: Sequence[Array], length: int) -> bytes:
        """The same as JSON lines."""
        # Hot path: all is done by Arrow, 0.3 us a row of three columns.
        text = self._object(names, [self.text(column) for column in columns], length, end="}\n")
        _, offsets, data = text.buffers()
        return b"" if not length else bytes(data)[: memoryview(offsets).cast("i")[length]]

    def text(self, array: Array) -> Array:
        """The JSON text of each value; null for null."""
        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            return self._extension(array)
        for matches, convert in _CONVERTERS:
            if matches(kind):
                return convert(self, array)
        raise TypeError(str(kind))

    def _object(self, names: Sequence[str], texts: Sequence[Array], length: int, end: str = "}") -> Array:
        keys = [encode_basestring(name) for name in names]
        if not keys:
            return pa.array(["{" + end] * length, _STRING)
        if self._omits and any(text.null_count for text in texts):
            members = [
                pc.binary_join_element_wise(f",{key}:", text, "", null_handling="emit_null")
                for key, text in zip(keys, texts, strict=True)
            ]
            joined = _joined("{", *members, end, null="")
            return pc.replace_substring(joined, "{,", "{", max_replacements=1)
        parts: list[Any] = []
        for number, (key, text) in enumerate(zip(keys, texts, strict=True)):
            parts += [f"{',' if number else '{'}{key}:", text]
        return _joined(*parts, end, null="null")

    # --- values -------------------------------------------------------------------------------------------------

    def _plain(self, array: Array) -> Array:
        return array.cast(_STRING)

    def _null(self, array: Array) -> Array:
        return pa.nulls(len(array), _STRING)

    def _float(self, array: Array) -> Array:
        array = array.cast(pa.float64())  # each float32 is a double
        text = array.cast(_STRING)
        bare = pc.invert(pc.match_substring_regex(text, "[.en]"))
        if pc.any(bare).as_py():
            text = pc.if_else(bare, pc.binary_join_element_wise(text, ".0", ""), text)
        if not pc.all(pc.is_finite(array)).as_py():
            for name, special in self._special.items():
                text = pc.if_else(pc.equal(text, name), special, text)
            if not self._special:
                text = pc.if_else(pc.is_finite(array), text, None)
        return text

    def _decimal(self, array: Array) -> Array:
        text = array.cast(_STRING)
        scientific = pc.match_substring(text, "E")
        if pc.any(scientific).as_py():
            plain = [None if one is None else f"{Decimal(one):f}" for one in text.to_pylist()]
            return pa.array(plain, _STRING)
        return text

    def _string(self, array: Array) -> Array:
        return _quoted(_escaped(array.cast(_STRING)))

    def _binary(self, array: Array) -> Array:
        return _of_values(array, lambda value: f'"{base64.b64encode(value).decode()}"')

    def _date(self, array: Array) -> Array:
        return _dated(array.cast(_STRING))

    def _time(self, array: Array) -> Array:
        return _quoted(array.cast(_STRING))

    def _timestamp(self, array: Array) -> Array:
        text = array.cast(_STRING)
        if array.type.tz is not None:
            # Before there were time zones, offsets had seconds, which RFC 3339 cannot write: those are told in UTC.
            apart = pc.subtract(pc.local_timestamp(array).cast(pa.int64()), array.cast(pa.int64()))
            minute = 60 * 10 ** _DIGITS[array.type.unit]
            odd = pc.not_equal(pc.subtract(apart, pc.multiply(pc.divide(apart, minute), minute)), 0)
            if pc.any(odd).as_py():
                text = pc.if_else(odd, array.cast(pa.timestamp(array.type.unit, "UTC")).cast(_STRING), text)
            text = pc.replace_substring_regex(text, r"([+-]\d\d)(\d\d)$", r"\1:\2")
        return _dated(text)

    def _duration(self, array: Array) -> Array:
        digits = _DIGITS[array.type.unit]
        return _of_values(array.cast(pa.int64()), lambda value: f'"{_seconds(value, digits)}"')

    def _interval(self, array: Array) -> Array:
        return _of_values(array, lambda value: f'"P{value.months}M{value.days}DT{_seconds(value.nanoseconds, 9, "")}"')

    # --- values of values ---------------------------------------------------------------------------------------

    def _dictionary(self, array: Array) -> Array:
        return self.text(array.dictionary).take(array.indices)

    def _run_ends(self, array: Array) -> Array:
        return self.text(pc.run_end_decode(array))

    def _struct(self, array: Array) -> Array:
        names = [field.name for field in array.type]
        return _where_valid(array, self._object(names, [self.text(one) for one in array.flatten()], len(array)))

    def _list(self, array: Array) -> Array:
        lengths = pc.list_value_length(array)
        values = self.text(array.flatten()).fill_null("null")
        return _where_valid(array, _joined("[", _grouped(values, lengths), "]"))

    def _map(self, array: Array) -> Array:
        present = array.drop_null()
        offsets = present.offsets
        begin, end = offsets[0].as_py(), offsets[-1].as_py()
        keys, values = present.keys[begin:end], self.text(present.items[begin:end]).fill_null("null")
        lengths = pc.subtract(offsets[1:], offsets[:-1])
        if array.null_count:
            zeros = pa.array([0] * len(array), lengths.type)
            lengths = pc.replace_with_mask(zeros, array.is_valid(), lengths)
        if _is_string(keys.type):
            texts = self.text(keys)
            joined = _grouped(_joined(texts, ":", values), lengths)
            return _where_valid(array, _unless_repeated(_joined("{", joined, "}"), texts, lengths))
        entries = _joined('{"key":', self.text(keys), ',"value":', values, "}", null="null")
        return _where_valid(array, _joined("[", _grouped(entries, lengths), "]"))

    def _union(self, array: Array) -> Array:
        is_dense = array.type.mode == "dense"
        fields = [self.text(array.field(number)).to_pylist() for number in range(array.type.num_fields)]
        codes = {code: number for number, code in enumerate(array.type.type_codes)}
        places = array.offsets.to_pylist() if is_dense else range(len(array))
        found = [fields[codes[code]][at] for code, at in zip(array.type_codes.to_pylist(), places, strict=True)]
        return pa.array(found, _STRING)

    def _extension(self, array: Array) -> Array:
        name = getattr(array.type, "extension_name", "")
        if name == "arrow.uuid":
            return _of_values(array.storage, lambda value: f'"{uuid.UUID(bytes=value)}"')
        if name == "arrow.bool8":
            return self.text(array.storage.cast(pa.bool_()))
        return self.text(array.storage)


def _of_values(array: Array, text: Callable[[Any], str]) -> Array:
    """By Python, value by value: for types that are rare."""
    return pa.array([None if value is None else text(value) for value in array.to_pylist()], _STRING)


def _joined(*parts: Any, null: str | None = None) -> Array:
    """Texts after one another; null if one of them is null and nothing stands for it."""
    options = {"null_handling": "emit_null"} if null is None else {"null_handling": "replace", "null_replacement": null}
    return pc.binary_join_element_wise(*parts, "", **options)


def _quoted(text: Array) -> Array:
    return _joined('"', text, '"')


def _escaped(text: Array) -> Array:
    """Strings with the escapes that JSON needs: those of orjson."""
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return text
    ends = memoryview(offsets).cast("i")
    content = bytes(memoryview(data)[ends[text.offset] : ends[text.offset + len(text)]])
    unsafe = set(content.translate(None, _NOT_UNSAFE))
    for byte in sorted(unsafe, reverse=True):  # the backslash is the greatest, so it is doubled first
        character = chr(byte)
        text = pc.replace_substring(text, character, encode_basestring(character)[1:-1])
    return text


def _dated(text: Array) -> Array:
    """Dates and times in quotes, or as faults if their year does not have four digits (RFC 3339, section 5.6)."""
    usual = pc.match_substring_regex(text, r"^\d{4}-")
    quoted = _quoted(pc.replace_substring(text, " ", "T", max_replacements=1))
    return quoted if pc.all(usual).as_py() else pc.if_else(usual, quoted, _joined(FAULT, text, FAULT))


def _seconds(value: int, digits: int, prefix: str = "PT") -> str:
    """A duration of ISO 8601 in seconds, with all digits of its unit."""
    whole, rest = divmod(abs(value), 10**digits)
    sign = "-" if value < 0 else ""
    fraction = f".{rest:0{digits}d}" if digits else ""
    return f"{sign}{prefix}{whole}{fraction}S" if prefix else f"{sign}{whole}{fraction}S"


def _where_valid(array: Array, text: Array) -> Array:
    return pc.if_else(array.is_valid(), text, None) if array.null_count else text


def _grouped(values: Array, lengths: Array) -> Array:
    """Values with commas between them, so many in each group."""
    ends = pc.cumulative_sum(lengths.fill_null(0).cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pc.binary_join(pa.ListArray.from_arrays(offsets, values), ",")


def _unless_repeated(text: Array, keys: Array, lengths: Array) -> Array:
    """Objects, or faults where a key is there twice: consumers would not agree on its value."""
    keys, at, found = keys.to_pylist(), 0, []
    for length in lengths.to_pylist():
        found.append(len(set(keys[at : at + length])) == length)
        at += length
    return text if all(found) else pc.if_else(pa.array(found), text, _joined(FAULT, text, FAULT))


def _is_string(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    is_variable = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(is_variable or pa.types.is_fixed_size_binary(kind))


def _is_list(kind: Any) -> bool:
    kinds = (pa.ListType, pa.LargeListType, pa.FixedSizeListType, pa.ListViewType, pa.LargeListViewType)
    return isinstance(kind, kinds)


_types = pa.types
_CONVERTERS: tuple[tuple[Callable[[Any], bool], Callable[[ArrowText, Array], Array]], ...] = (
    (_is_string, ArrowText._string),
    (_types.is_integer, ArrowText._plain),
    (_types.is_boolean, ArrowText._plain),
    (_types.is_floating, ArrowText._float),
    (_types.is_decimal, ArrowText._decimal),
    (_types.is_timestamp, ArrowText._timestamp),
    (_types.is_date, ArrowText._date),
    (_types.is_time, ArrowText._time),
    (_types.is_duration, ArrowText._duration),
    (lambda kind: kind == pa.month_day_nano_interval(), ArrowText._interval),
    (_is_binary, ArrowText._binary),
    (_types.is_dictionary, ArrowText._dictionary),
    (_types.is_run_end_encoded, ArrowText._run_ends),
    (_types.is_struct, ArrowText._struct),
    (_types.is_map, ArrowText._map),
    (_is_list, ArrowText._list),
    (_types.is_union, ArrowText._union),
    (_types.is_null, ArrowText._null),
)
