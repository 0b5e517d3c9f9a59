"""Lines of a file: those of ``bytes.split``, however the file is cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loader.sources import batch, lines
from loader.sources.lines import BOM
from tests.fuzz.drawn import chunks, parameters, with_parameters
from tests.unit.sources.test_lines import batches_of, naive

_BATCH_BYTES = 40
"""In place of 1 MiB, so that small contents fill batches."""

batch.BATCH_BYTES = _BATCH_BYTES


def seeds() -> Iterator[bytes]:
    for number, content in enumerate(
        (b"", b"1\n22\n\n333", BOM + b"a\r\nb\n", BOM[:2], b"x" * 90 + b"\n" + b"y\n" * 30)
    ):
        yield with_parameters(content, number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    batch_size, limit = random.randint(1, 8), random.choice([1, 5, 30, 60])
    lines._LONG_LINE = random.choice([0, 5, 400])  # which of two ways to split is taken must not show
    mark = BOM if content.startswith(BOM) else b""

    got = batches_of(chunks(content, random), batch_size, limit)

    plain = naive(content.removeprefix(BOM), batch_size, limit, _BATCH_BYTES)
    assert got == [replace(one, byte_offset=one.byte_offset + len(mark)) for one in plain]
    for one in got:
        for index, record in enumerate(one.records):
            line, offset = one.locate(index)
            assert content[offset:].startswith(record)
            assert line == content.count(b"\n", 0, offset) + 1
