"""Rows of CSV: those of a reader that goes character by character, however the content is chunked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from loader.errors import SourceError
from loader.settings.tables import TableOptions
from loader.sources.batch import RawBatch
from loader.sources.lines import BOM
from loader.sources.tables.csv_batcher import CsvBatcher
from tests.fuzz.drawn import chunks, parameters, with_parameters
from tests.unit.drain import check_json
from tests.unit.sources.tables.csv_oracle import rows_of


def seeds() -> Iterator[bytes]:
    contents = (
        b"a,b\n1,2\n3,4\n",
        BOM + b'a,b\r\n"1\r\n2","3""4"\r\n\r\n5,6',
        b'a,b\n1\n2,3,4\n"x"y,5\n6,"7\n8"9\n10,11\n12\r13,1\n14,"15\n16,17\n',
        b'a\n""\n\nb\xff\n\\\t\n',
    )
    for number, content in enumerate(contents):
        yield with_parameters(content, number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    quote = random.choice(['"', '"', "'", ""])
    batch_size = random.randint(1, 8)
    options = TableOptions(delimiter=",", quote=quote)
    try:
        batches = _read(chunks(content, random), batch_size, options)
    except SourceError as error:
        assert _error_of([content], batch_size, options) == str(error)  # of the header, whatever the chunks are
        return
    begin = len(BOM) if content.startswith(BOM) else 0
    rest = content[begin:]
    if rest[:4].lower() == b"sep=":
        return
    rows = rows_of(rest, b",", quote.encode())
    if not rows:
        assert batches == []
        return
    header, *rows = rows
    names = [name.decode(errors="surrogateescape") for name in header.fields or ()]
    for batch in batches:
        check_json(batch)
    found = [(batch, index) for batch in batches for index in range(len(batch.records))]
    assert len(found) == len(rows)
    for (batch, index), row in zip(found, rows, strict=True):
        offset = begin + row.offset
        assert batch.locate(index) == (content.count(b"\n", 0, offset) + 1, offset)
        if row.fields is None or len(row.fields) != len(names):
            assert batch.records[index] == row.text
            assert index in batch.refused
        else:
            fields = [field.decode(errors="surrogateescape") for field in row.fields]
            text = json.dumps(dict(zip(names, fields, strict=True)), ensure_ascii=False, separators=(",", ":"))
            assert batch.records[index] == text.encode(errors="surrogateescape")
            assert index not in batch.refused


def _read(pieces: list[bytes], batch_size: int, options: TableOptions) -> list[RawBatch]:
    batcher = CsvBatcher("in", batch_size, 1 << 20, options)
    return [batch for piece in pieces for batch in batcher.feed(piece)] + list(batcher.finish())


def _error_of(pieces: list[bytes], batch_size: int, options: TableOptions) -> str:
    try:
        _read(pieces, batch_size, options)
    except SourceError as error:
        return str(error)
    return ""
