"""Cuts a stream of CSV into rows, and makes batches of them. The result does not depend on the chunk sizes.

Python's csv module decides what a row is. Rows without quotes and escapes are split without it, which gives the same.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from loader.errors import SourceError, SourceFormatError
from loader.settings.tables import TableOptions
from loader.sources.base import one_line
from loader.sources.batch import RawBatch
from loader.sources.lines import BOM
from loader.sources.runs import RunBatcher
from loader.sources.tables.dialect import NAMES, blank_end, delimiter_of, long_fields, reader_of, sep_line
from loader.sources.tables.members import UNSAFE, Members
from loader.tasks.reasons import Reason, ReasonCode

_LONGEST_ROW = 16 * 1024 * 1024
"""Bytes. A row that goes on for longer, and longer than a record may be, has a quote that nothing closes."""

log = logging.getLogger("runqy_loader")


@dataclass(slots=True)
class _Rows:
    """Consecutive rows.

    Attributes:
        first: The number of its first record.
        count: The number of records.
        line: The line of the source with which ``text`` begins.
        offset: The offset of ``text`` in the source.
        text: The rows as they are.
        starts: For each record, the index of the line in ``text`` on which it begins; None if each line is one.
    """

    first: int
    count: int
    line: int
    offset: int
    text: bytes
    starts: Sequence[int] | None
    _offsets: list[int] | None = field(default=None, init=False, repr=False, compare=False)

    def place(self, number: int) -> tuple[int, int]:
        if self._offsets is None:  # computed once: a run may have many bad records
            lines = self.text.split(b"\n")
            self._offsets = list(accumulate((len(line) + 1 for line in lines), initial=self.offset))
        index = number - self.first if self.starts is None else self.starts[number - self.first]
        return self.line + index, self._offsets[index]


class CsvBatcher(RunBatcher[_Rows]):
    """Makes batches of the rows of a stream. Blank lines are no rows.

    Args:
        name: The source's name, for errors.
        delimiter: The delimiter of the format; '' to tell it from the first line.
        told: Names of sources of which the dialect was told already.
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        max_record_bytes: int,
        options: TableOptions,
        delimiter: str = "",
        told: set[str] | None = None,
    ) -> None:
        super().__init__(batch_size, max_record_bytes)
        self._name = name
        self._options = options
        self._delimiter = options.delimiter or delimiter
        self._told = set() if told is None else told
        self._longest = max(_LONGEST_ROW, max_record_bytes)
        self._width = 0
        self._members: Members | None = None  # when the header is read
        self._at_start = True
        self._held = b""  # bytes whose row is not complete
        self._offset = 0  # of the held bytes
        self._line = 1
        self._special = [mark.encode() for mark in (options.quote, options.escape) if mark]

    def feed(self, chunk: bytes) -> Iterator[RawBatch]:
        """Adds the next bytes. Yields the batches that they complete.

        Raises:
            SourceError: The header cannot be used, or a row has no end. The rows before are yielded first.
        """
        return self._go_on(self._held + chunk, final=False)

    def finish(self) -> Iterator[RawBatch]:
        """Ends the source. Yields the remaining batches. The last line feed is optional.

        Raises:
            SourceError: See ``feed``.
        """
        is_unended = bool(self._held) and not self._held.endswith(b"\n")
        batches = list(self._go_on(self._held, final=True))
        if batches and is_unended:
            batches[-1].unended = True
        return iter(batches)

    def _go_on(self, data: bytes, *, final: bool) -> Iterator[RawBatch]:
        try:
            end = len(data) if final else data.rfind(b"\n") + 1
            done = self._read(data[:end], final=final) if end else 0
            self._held = data[done:]
            if len(self._held) > self._longest:
                raise self._endless()
        except SourceError:
            yield from self._complete(final=True)
            raise
        yield from self._complete(final=final)

    def _read(self, data: bytes, *, final: bool) -> int:
        """Reads complete lines. Returns the number of bytes that need no further ones."""
        done = 0
        if self._at_start:
            self._at_start = False
            done = len(BOM) if data.startswith(BOM) else 0
            self._offset = done
        if self._members is None:
            length = self._read_header(data[done:], final=final)
            self._pass(data[done : done + length])
            done += length
        if self._members is None or done == len(data):
            return done
        rows = data[done:]
        return done + (self._split(rows) or self._parse(rows, final=final))

    def _pass(self, data: bytes) -> None:
        self._offset += len(data)
        self._line += data.count(b"\n")

    # --- the header ---------------------------------------------------------------------------------------------

    def _read_header(self, data: bytes, *, final: bool) -> int:
        """Reads the names of the columns. Returns the number of bytes before the first row of data."""
        text = data.decode(errors="surrogateescape")
        begin = 0
        if self._line == 1:
            begin, said = sep_line(text, self._options)
            self._delimiter = self._options.delimiter or said or self._delimiter
        begin = blank_end(text, begin)
        if begin == len(text):
            return len(data) if final or self._line > 1 else 0
        first = text[begin:].partition("\n")[0]
        if not self._delimiter:
            self._delimiter = delimiter_of(first, self._options.quote)
            self._tell(f"its fields are separated by {_shown(self._delimiter)}", self._delimiter != ",")
        if self._options.no_header:
            self._use(self._options.columns)
            return len(text[:begin].encode())
        if first.startswith(("{", "[")) and not self._options.columns:
            raise SourceFormatError(
                f"{self._name}: its first row begins like JSON, and not like names of columns",
                "Give --format jsonl, or the names with --columns",
            )
        names, lines = self._first_row(text[begin:], final=final)
        if not lines:
            return 0  # the row goes on
        if self._options.columns:
            if len(self._options.columns) != len(names):
                count, wanted = len(names), len(self._options.columns)
                raise self._wrong(f"its header has {count} columns, and --columns {wanted}", "Correct --columns")
            self._tell(f"its first row is taken as the header ({', '.join(names)}), and replaced by --columns", True)
            names = self._options.columns
        self._use(names)
        return len("".join([text[:begin], *lines]).encode(errors="surrogateescape"))

    def _first_row(self, text: str, *, final: bool) -> tuple[Sequence[str], list[str]]:
        """The fields of the first row, and its lines; none if it goes on after the text."""
        lines = _lines(text)
        reader = reader_of(lines, self._delimiter, self._options)
        try:
            with long_fields():
                row: list[str] = next(reader)
        except csv.Error as error:
            if reader.line_num == len(lines) and not final:
                return (), []
            raise self._wrong(f"its header is no row: {_words(error)}", _hint(error)) from error
        return row, lines[: reader.line_num]

    def _use(self, names: Sequence[str]) -> None:
        for name in names:
            if any("\udc80" <= character <= "\udcff" for character in name):
                hint = f"Convert it: iconv -f WINDOWS-1252 -t UTF-8 {one_line(self._name)}"
                raise self._wrong("its header is not UTF-8", hint)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._wrong(f"two columns are called {twice!r}", "Give --columns with a name for each")
        if absent := [name for name, _ in self._options.csv_types if name not in names]:
            has = ", ".join(map(repr, names))
            raise self._wrong(f"it has no column {absent[0]!r}, which --csv-types names", f"Its columns are {has}")
        self._width = len(names)
        self._members = Members(names, self._options)
        self._makes_json = self._members.template is not None

    def _wrong(self, what: str, hint: str) -> SourceError:
        return SourceError(f"{self._name}: {what}", hint)

    def _tell(self, what: str, is_worth_it: bool) -> None:
        if is_worth_it and (key := f"{self._name}: {what}") not in self._told:
            self._told.add(key)
            log.info("%s", key)

    # --- rows ---------------------------------------------------------------------------------------------------

    def _split(self, data: bytes) -> int:
        """Reads rows without quotes, or with quotes around every field, and with no other use of them.

        Returns 0 if there are other rows, or some that are not as wide as the header.
        """
        assert self._members is not None  # noqa: S101 - for the type checker
        template = self._members.template
        if template is None or len(data) > self._longest:
            return 0
        # Hot path, 0.4 us a row of 110 bytes. The template raises TypeError unless it gets a field for each column.
        text = data.replace(b"\r\n", b"\n") if b"\r" in data else data
        text = text.removesuffix(b"\n")
        delimiter, end, quotes = self._delimiter.encode(), b"\n", 0
        if any(mark in data for mark in self._special):
            # If quotes stand at both sides of each line feed, the quotes are those at both ends of each field, and
            # there are none within: they would be counted.
            rows = text.count(b"\n") + 1
            quotes = 2 * self._width * rows
            if self._special != [b'"'] or text.count(b'"') != quotes or text[:1] + text[-1:] != b'""':
                return 0
            text, delimiter, end = text[1:-1], b'"%b"' % delimiter, b'"\n"'
            quotes -= 2
            if text.count(end) != rows - 1:
                return 0
        elif not text or text.startswith(b"\n") or text.endswith(b"\n") or b"\n\n" in text:
            return 0
        tabs = (self._width - 1) * (text.count(b"\n") + 1) if self._delimiter.encode() in UNSAFE else 0
        if len(text.translate(None, UNSAFE)) != len(text) - text.count(b"\n") - quotes - tabs:
            return 0
        fill = template.__mod__
        try:
            records = [fill(tuple(row.split(delimiter))) for row in text.split(end)]
        except TypeError:
            return 0
        self._add(data, records, None)
        return len(data)

    def _parse(self, data: bytes, *, final: bool) -> int:
        """Reads rows of any kind. Returns the number of bytes of complete ones."""
        assert self._members is not None  # noqa: S101 - for the type checker
        lines = _lines(data.decode(errors="surrogateescape"))
        rows: list[list[str]] = []
        starts: list[int] = []
        refused: list[tuple[int, Reason]] = []  # index of the record
        reader = reader_of(lines, self._delimiter, self._options)
        width, start, end = self._width, 0, len(lines)
        with long_fields():
            while True:
                try:
                    for row in reader:
                        if len(row) == width:
                            rows.append(row)
                            starts.append(start)
                        elif row:
                            refused.append((len(starts), self._ragged(row)))
                            starts.append(start)
                        start = reader.line_num
                    break
                except csv.Error as error:
                    if reader.line_num == end and not final:
                        end = start  # its row may go on
                        break
                    refused.append((len(starts), Reason(ReasonCode.BAD_ROW, _words(error), _hint(error))))
                    starts.append(start)
                    start = reader.line_num
        endless = None if len(data) <= self._longest else self._first_endless(lines, [*starts, end])
        if endless is not None:
            starts, end = starts[:endless], starts[endless]
            refused = [(index, why) for index, why in refused if index < endless]
            rows = rows[: endless - len(refused)]
        lines = lines[:end]
        used = "".join(lines).encode(errors="surrogateescape")
        if not starts:
            self._pass(used)
        elif refused or self._members.template is None:
            self._add(used, self._records_of(rows, lines, starts, refused), starts)
        else:
            self._add(used, self._members.plain_objects(rows), starts)
        if endless is not None:
            raise self._endless()
        return len(used)

    def _first_endless(self, lines: list[str], bounds: list[int]) -> int | None:
        """The index of the first row that is longer than any may be. Where it ends is no matter of the chunks, then."""
        for index, (start, end) in enumerate(pairwise(bounds)):
            if sum(len(line.encode(errors="surrogateescape")) for line in lines[start:end]) > self._longest:
                return index
        return None

    def _records_of(
        self, rows: list[list[str]], lines: list[str], starts: list[int], refused: list[tuple[int, Reason]]
    ) -> list[bytes]:
        """The records of rows. Those without an object are the row as it is, and are noted as refused."""
        assert self._members is not None  # noqa: S101 - for the type checker
        made = iter(self._members.objects(rows) if rows else ())
        found = dict(refused)
        records: list[bytes] = []
        for index, start in enumerate(starts):
            one = found.get(index) or next(made)
            if isinstance(one, Reason):
                self._refused[self._next + index] = one
                until = starts[index + 1] if index + 1 < len(starts) else len(lines)
                one = "".join(lines[start:until]).rstrip("\r\n").encode(errors="surrogateescape")
            records.append(one)
        return records

    def _add(self, data: bytes, records: list[bytes], starts: Sequence[int] | None) -> None:
        self._runs.append(_Rows(self._next, len(records), self._line, self._offset, data, starts))
        self._records += records
        self._pass(data)

    def _ragged(self, row: Sequence[str]) -> Reason:
        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
        of = "--columns names" if self._options.no_header else "the header has"
        return Reason(ReasonCode.BAD_ROW, f"the row has {fields}, and {of} {self._width}")

    def _endless(self) -> SourceError:
        return SourceError(
            f"{self._name}:{self._line} (byte {self._offset}): this row is longer than {self._longest} bytes",
            "Most likely, a quote in it is never closed: correct it, or give --quote none if quotes mean nothing",
        )


def _lines(text: str) -> list[str]:
    """The lines of a text, with their line feeds. Other line ends are none."""
    return io.StringIO(text, newline="\n").readlines()


def _words(error: csv.Error) -> str:
    """What Python's reader found, for people."""
    text = str(error)
    for part, words in _WORDS.items():
        if part in text:
            return words
    return text


def _hint(error: csv.Error) -> str:
    return "Give --quote none if quotes mean nothing in this file" if "line character" not in str(error) else _CR_HINT


_CR_HINT = "If its lines end with CR alone: tr '\\r' '\\n' < FILE"
_WORDS = {
    "expected after": "something follows the closing quote of a field",
    "unexpected end of data": "a quote is opened and never closed",
    "new-line character": "a carriage return stands outside of quotes",
}
"""From what Python's csv module says (Modules/_csv.c)."""


def _shown(delimiter: str) -> str:
    return NAMES.get(delimiter, delimiter)
