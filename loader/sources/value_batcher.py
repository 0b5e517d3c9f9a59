"""Batches of JSON values that need not be lines. The result does not depend on the chunk sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from loader.errors import SourceError
from loader.sources.batch import RawBatch
from loader.sources.lines import BOM
from loader.sources.runs import RunBatcher
from loader.sources.values import Grammar, Value

_STRETCH = 128 * 1024
"""Bytes to cut at once, so that values of single bytes do not take much memory."""


@dataclass(slots=True)
class _Run:
    """Consecutive values.

    Attributes:
        first: The number of its first record.
        offset: The byte at which it begins.
        line: The line on which it begins.
        values: What is before each value, and the value. A single value has no bytes here: the run begins with it.
    """

    first: int
    offset: int
    line: int
    values: list[tuple[bytes, bytes]]
    _places: list[tuple[int, int]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def count(self) -> int:
        return len(self.values)

    def place(self, number: int) -> tuple[int, int]:
        if self._places is None:  # computed once: a run may have many bad records
            self._places = list(self._each_place())
        return self._places[number - self.first]

    def _each_place(self) -> Iterator[tuple[int, int]]:
        line, offset = self.line, self.offset
        for before, value in self.values:
            line, offset = line + before.count(b"\n"), offset + len(before)
            yield line, offset
            line, offset = line + value.count(b"\n"), offset + len(value)


class ValueBatcher(RunBatcher[_Run]):
    """Makes batches of the values in a stream.

    Args:
        name: The source's name, for errors.
    """

    def __init__(self, grammar: Grammar, name: str, batch_size: int, max_record_bytes: int) -> None:
        super().__init__(batch_size, max_record_bytes)
        self._grammar = grammar
        self._name = name
        self._value: Value | None = None  # a value that is read piece by piece
        self._begin = (1, 0)  # its line and offset
        self._between = self._at_start  # reads on between values
        self._held = b""  # bytes that only the next ones explain
        self._offset = 0  # of ``_data``, in the source
        self._line = 1  # of the byte at ``_counted``
        self._counted = 0
        self._data = b""

    def feed(self, chunk: bytes) -> Iterator[RawBatch]:
        """Adds the next bytes. Yields the batches that they complete.

        Raises:
            SourceError: There is no array, or something after it.
        """
        data = self._data = self._held + chunk
        self._held = b""
        self._counted = pos = 0
        try:
            while pos < len(data):
                pos = self._between(pos) if self._value is None else self._read(self._value, pos)
                if self._held:
                    break
                if len(self._records) > self._batch_size:
                    yield from self._complete(final=False)
        except SourceError:
            yield from self._complete(final=True)
            raise
        self._line += data.count(b"\n", self._counted, len(data) - len(self._held))
        self._offset += len(data) - len(self._held)
        self._data = b""
        yield from self._complete(final=False)

    def finish(self) -> Iterator[RawBatch]:
        """Ends the source. Yields the remaining batches.

        Raises:
            SourceError: The content ends within a value or the array.
        """
        if self._held and self._value is None:  # a source of one or two bytes, like the beginning of a mark
            self._between = self._before_array if self._grammar.is_array else self._in_succession
            yield from self.feed(b"")
        value = self._value
        if value is not None and not self._grammar.is_array and not value.is_open:
            self._end_value(value)
        yield from self._complete(final=True)
        if self._value is not None:
            line, offset = self._begin
            where = f"within the value that begins in line {line} (byte {offset})"
        elif not self._grammar.is_array or self._between in (self._at_start, self._before_array, self._after_all):
            return
        else:
            where = "before the end of its array"
        raise SourceError(
            f"{self._name} ends {where}", "It is truncated: get a complete copy; all complete values are loaded"
        )

    # --- between values -----------------------------------------------------------------------------------------

    def _at_start(self, pos: int) -> int:
        """Reads the byte order mark."""
        data = self._data
        if len(data) < len(BOM) and BOM.startswith(data):
            self._held = data
            return pos
        self._between = self._before_array if self._grammar.is_array else self._in_succession
        return len(BOM) if data.startswith(BOM) else pos

    def _before_array(self, pos: int) -> int:
        pos = self._skip_blank(pos)
        if pos == len(self._data):
            return pos
        if self._data[pos : pos + 1] != b"[":
            line, offset = self._place(pos)
            raise SourceError(
                f"{self._name}:{line} (byte {offset}): this is not the beginning of an array",
                "Give the --format that it has",
            )
        self._between = self._at_first_element
        return pos + 1

    def _at_first_element(self, pos: int) -> int:
        pos = self._skip_blank(pos)
        if self._data[pos : pos + 1] == b"]":
            self._between = self._after_all
            return pos + 1
        return self._begin_value(pos)

    def _at_element(self, pos: int) -> int:
        return self._begin_value(self._skip_blank(pos))

    def _after_element(self, pos: int) -> int:
        """Reads the comma or bracket after an element, and the elements that follow in the data."""
        pos = self._following(pos)
        pos = self._skip_blank(pos)
        if pos == len(self._data):
            return pos
        self._between = self._at_element if self._data[pos : pos + 1] == b"," else self._after_all
        return pos + 1

    def _after_all(self, pos: int) -> int:
        pos = self._skip_blank(pos)
        if pos < len(self._data):
            line, offset = self._place(pos)
            raise SourceError(
                f"{self._name}:{line} (byte {offset}): there is more after the end of the array",
                "If these are several arrays, run: jq -c '.[]' FILE | runqy-loader load - …",
            )
        return pos

    def _in_succession(self, pos: int) -> int:
        return self._begin_value(self._skip_blank(self._following(pos)))

    def _skip_blank(self, pos: int) -> int:
        found = self._grammar.blank.match(self._data, pos)
        return pos if found is None else found.end()

    # --- values -------------------------------------------------------------------------------------------------

    def _following(self, pos: int) -> int:
        """Adds the values that are whole in the next stretch of data. Returns the end of the last of them."""
        # Hot path: one call of a regular expression for many values (about 2 us a value of 200 bytes), and one pair for
        # each. Their places are not computed.
        found = self._grammar.following.findall(self._data, pos, pos + _STRETCH)
        if found and not found[-1][1]:
            found.pop()
        if not found:
            return pos
        line, offset = self._place(pos)
        self._runs.append(_Run(self._next, offset, line, found))
        self._records += [value for _, value in found]
        return pos + sum([len(before) + len(value) for before, value in found])

    def _begin_value(self, pos: int) -> int:
        if pos < len(self._data):
            self._value = Value(self._grammar, self._max_record_bytes, self._shown)
            self._begin = self._place(pos)
        return pos

    def _read(self, value: Value, pos: int) -> int:
        pos, ended = value.read(self._data, pos)
        if ended:
            self._end_value(value)
        elif pos < len(self._data):
            self._held = self._data[pos:]
        return pos

    def _end_value(self, value: Value) -> None:
        number = len(self._records)
        if value.length > self._max_record_bytes:
            self._long[number] = value.length
        line, offset = self._begin
        self._runs.append(_Run(self._next, offset, line, [(b"", b"")]))
        self._records.append(value.text())
        self._value = None
        self._between = self._after_element if self._grammar.is_array else self._in_succession

    def _place(self, pos: int) -> tuple[int, int]:
        """Line and offset of a position in the data."""
        self._line += self._data.count(b"\n", self._counted, pos)
        self._counted = pos
        return self._line, self._offset + pos
