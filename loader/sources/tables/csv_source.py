"""The formats CSV and TSV."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from loader.settings.tables import TableOptions
from loader.sources.format import FileSource, Format, InputFile
from loader.sources.recognition.looks import CSV as LOOKS_CSV
from loader.sources.recognition.looks import CSV_SEMICOLONS, LINES, ONE_LINE
from loader.sources.recognition.looks import TSV as LOOKS_TSV
from loader.sources.stream_source import StreamSource
from loader.sources.transports.stored import stored
from loader.sources.transports.transport import Transport

if TYPE_CHECKING:
    from loader.sources.tables.csv_batcher import CsvBatcher


class _CsvSource(StreamSource):
    @property
    def expansion(self) -> int | None:
        return None  # each row gets the names of the columns


def _source(delimiter: str, file: InputFile, transport: Transport) -> StreamSource:
    told: set[str] = set()

    def batcher(name: str, batch_size: int, max_record_bytes: int, start: int) -> CsvBatcher:
        from loader.sources.tables.csv_batcher import CsvBatcher  # other formats do without

        return CsvBatcher(name, batch_size, max_record_bytes, file.tables, delimiter, told)

    return _CsvSource(file, transport, batcher)


def _of_files(delimiter: str, source: FileSource) -> StreamSource:
    (file,) = source.files
    return _source(delimiter, file, stored(file))


_OPTIONS = frozenset(one.name for one in fields(TableOptions)) - {"nan"}

# A column of numbers looks like JSON lines.
_TAKES = frozenset({LOOKS_CSV, CSV_SEMICOLONS, LOOKS_TSV, LINES, ONE_LINE})


def _format(name: str, title: str, endings: tuple[str, ...], delimiter: str) -> Format:
    return Format(
        name,
        title,
        endings,
        partial(_of_files, delimiter),
        partial(_source, delimiter),
        takes=_TAKES,
        family="csv",
        table_options=_OPTIONS,
    )


CSV = _format("csv", "CSV", (".csv",), "")
TSV = _format("tsv", "TSV", (".tsv", ".tab"), "\t")
