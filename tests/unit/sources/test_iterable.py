"""Payloads from a program: any iterable, in batches like a file's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.batch import BATCH_BYTES, SHOWN_OF_OVERSIZED, RawBatch
from loader.sources.iterable import IterablePayloads, Payload
from loader.sources.validate import validate
from tests.unit.drain import drain, records
from tests.unit.strategies import JSON_VALUES


@given(st.lists(JSON_VALUES), st.integers(1, 5))
def test_values_are_written_as_json(values: list[Any], batch_size: int) -> None:
    batches = drain(IterablePayloads(values), batch_size)
    assert [orjson.loads(record) for record in records(batches)] == values
    assert [batch.first_record for batch in batches] == list(range(0, len(values), batch_size))


@given(st.lists(st.binary(max_size=20)), st.integers(1, 5))
def test_bytes_are_taken_as_json_text_just_as_they_are(payloads: list[bytes], batch_size: int) -> None:
    kinds: list[Callable[[bytes], Payload]] = [bytes, bytearray, memoryview]
    views = [kinds[n % 3](payload) for n, payload in enumerate(payloads)]
    assert records(drain(IterablePayloads(views), batch_size)) == payloads


@given(st.lists(st.binary(max_size=20)), st.integers(1, 5))
def test_a_record_is_located_as_if_the_payloads_were_lines(payloads: list[bytes], batch_size: int) -> None:
    located = [
        batch.locate(index)
        for batch in drain(IterablePayloads(payloads), batch_size, max_record_bytes=10)
        for index in range(len(batch.records))
    ]
    assert located == [(n + 1, len(b"".join(p + b"\n" for p in payloads[:n]))) for n in range(len(payloads))]


def test_an_async_iterable_is_one_too() -> None:
    async def produce() -> AsyncIterator[Payload]:
        for n in range(3):
            await asyncio.sleep(0)
            yield {"n": n}

    assert drain(IterablePayloads(produce()), batch_size=2) == [
        RawBatch(0, 0, [b'{"n":0}', b'{"n":1}']),
        RawBatch(2, 16, [b'{"n":2}']),
    ]


def test_a_generator_is_not_read_further_than_the_batch_needs() -> None:
    taken: list[int] = []

    def produce() -> Any:
        for n in range(100):
            taken.append(n)
            yield n

    async def first() -> RawBatch:
        return await anext(IterablePayloads(produce()).batches(10, 100))

    asyncio.run(first())
    assert len(taken) == 10


def test_a_batch_ends_with_the_payload_that_reaches_the_byte_limit() -> None:
    half = b"1" * (BATCH_BYTES // 2)
    batches = drain(IterablePayloads([half, half, b"1", half, half]))
    assert [len(batch.records) for batch in batches] == [2, 3]


def test_a_payload_over_the_limit_keeps_its_beginning_and_tells_its_length() -> None:
    (batch,) = drain(IterablePayloads([b"1", "x" * 5000]), max_record_bytes=4000)
    assert batch.records == [b"1", b'"' + b"x" * (SHOWN_OF_OVERSIZED - 1)]
    assert batch.oversized == {1: 5002}


UNWRITABLE = pytest.mark.parametrize("payload", [object(), {"a": {1, 2}}, 2**64, "\ud800", {(1, 2): 3}])


@UNWRITABLE
def test_a_payload_that_json_cannot_say_is_rejected_and_shown(payload: Any) -> None:
    (raw,) = drain(IterablePayloads([1, payload, b" 2 "]))
    batch = validate(raw, 0, 0, parsed=False)
    ((index, why),) = batch.rejected
    assert (index, why.code) == (1, "unwritable") and why.text.startswith("the payload cannot be written as JSON: ")
    assert raw.records[1] == repr(payload).encode(errors="backslashreplace")
    assert (batch.payloads, batch.kept) == ([b"1", b"2"], [0, 2])


@UNWRITABLE
def test_how_it_looks_has_no_say_in_where_batches_end_and_in_their_checksums(payload: Any) -> None:
    class Wide:
        def __repr__(self) -> str:
            return "x" * BATCH_BYTES

    wide: Any = Wide()
    found = [drain(IterablePayloads([1, bad, 3, bad, b"bad", 5]), 4) for bad in (payload, wide)]
    first, second = (
        [
            (validate(raw, 0, 0, parsed=False).checksum, raw.locate(len(raw.records) - 1), raw.byte_offset)
            for raw in raws
        ]
        for raws in found
    )
    assert first == second
    assert [len(raw.records) for raw in found[0]] == [4, 2]
    assert all(len(record) <= SHOWN_OF_OVERSIZED for raw in found[1] for record in raw.records)


def test_an_error_of_the_program_passes_through() -> None:
    def produce() -> Any:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        drain(IterablePayloads(produce()))


def test_an_iterable_cannot_be_read_again_by_a_later_run() -> None:
    assert not IterablePayloads([1]).identity.repeatable
