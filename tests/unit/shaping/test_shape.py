"""Records of batches are chosen and shaped; a plain program that reads the whole input says what must come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.jobs.counts import SourceCounts
from loader.settings import LoadOptions
from loader.shaping.shape import Shape
from loader.sources.batch import RawBatch
from loader.sources.record_limit import RecordLimit
from loader.sources.validate import Batch, validate
from tests.unit.strategies import JSON_VALUES

LIMIT = RecordLimit.of_option(1000)


def shaped(
    records: Sequence[bytes], size: int = 1000, *, keep_values: bool = False, **options: Any
) -> tuple[list[Batch], SourceCounts]:
    """The batches after shaping, and what was left out. Reading stops as the pipeline does."""
    shape = Shape(LoadOptions(queue="q", **options), LIMIT, keep_values=keep_values)
    batches, left = [], SourceCounts()
    for number, start in enumerate(range(0, len(records), size)):
        raw = RawBatch(start, 0, list(records[start : start + size]))
        batch = validate(raw, number, 0, parsed=False)
        shape.apply(batch, left)
        batches.append(batch)
        if shape.is_over:
            break
    return batches, left


def payloads(batches: Sequence[Batch]) -> list[bytes]:
    return [payload for batch in batches for payload in batch.payloads]


def numbers(batches: Sequence[Batch]) -> list[int]:
    """The record numbers of the payloads."""
    return [
        batch.raw.first_record + index
        for batch in batches
        for index in (range(len(batch.payloads)) if batch.kept is None else batch.kept)
    ]


def reasons(batches: Sequence[Batch]) -> list[tuple[int, str]]:
    return [(batch.raw.first_record + index, why.text) for batch in batches for index, why in batch.rejected]


RECORDS = [b'{"n":%d, "plan":"%b", "x": 1.10}' % (n, (b"paid", b"free")[n % 2]) for n in range(10)]


def test_where_alone_keeps_records_byte_for_byte() -> None:
    batches, left = shaped(RECORDS, 3, where="plan == 'paid'")
    assert payloads(batches) == RECORDS[::2]
    assert numbers(batches) == [0, 2, 4, 6, 8]
    assert left.filtered == left.left_out == 5


@pytest.mark.parametrize("value", ["null", "false", '""', "[]", "{}"])
def test_what_is_false_in_jmespath_is_left_out(value: str) -> None:
    batches, left = shaped([f'{{"a":{value}}}'.encode()], where="a")
    assert (payloads(batches), left.filtered, reasons(batches)) == ([], 1, [])


@pytest.mark.parametrize(
    ("value", "told"), [("0", "a number"), ("1.5", "a number"), ('"x"', "text"), ("[0]", "an array")]
)
def test_what_is_neither_true_nor_false_is_a_reject(value: str, told: str) -> None:
    batches, left = shaped([f'{{"a":{value}}}'.encode()], where="a")
    assert reasons(batches) == [(0, f"--where: gives {told}, not true or false")]
    assert (payloads(batches), left.left_out) == ([], 0)


def test_select_makes_a_payload_and_null_is_a_reject() -> None:
    batches, _ = shaped([b'{"a":{"b":1.10}}', b'{"a":1}', b"5"], select="a.b")
    assert payloads(batches) == [b"1.10"]
    assert reasons(batches) == [(n, "--select: gives null, not a payload") for n in (1, 2)]


def test_set_sees_the_record_as_it_is_in_the_input() -> None:
    batches, _ = shaped([b'{"a": 1.10, "b":2}', b"[1]"], set=("a=b", "c=a", "c=[a, c]"))
    assert payloads(batches) == [b'{"a": 2, "b":2,"c":[1.10,null]}']
    assert reasons(batches) == [(1, "the record is an array: --set needs an object")]


def test_set_in_a_record_that_nests_deeply_makes_a_payload_or_a_reject() -> None:
    found = []
    for depth in range(900, 1020):  # how deep a text may be depends on what reads it, and on the version of Python
        batches, _ = shaped([b'{"x":%b%b}' % (b"[" * depth, b"]" * depth)], set=("x=`1`",))
        found.append((payloads(batches), reasons(batches)))
    assert found[0] == ([b'{"x":1}'], [])
    assert all(made or "nests too deeply" in why[0][1] for made, why in found)


def test_a_payload_over_the_limit_is_a_reject() -> None:
    record = b'{"a":"%b"}' % (b"x" * 600)
    batches, _ = shaped([record], select="[a, a]")
    (why,) = batches[0].rejected
    assert why[1].code == "too_large"
    assert "the payload is 1207 bytes long, over the limit of --max-record-bytes" in why[1].text


def test_rejects_of_the_parser_stay_in_the_order_of_the_input() -> None:
    batches, _ = shaped([b"{", b"5", b'{"a":1}', b"["], select="a")
    assert [index for index, _ in reasons(batches)] == [0, 1, 3]
    assert payloads(batches) == [b"1"]


def test_values_are_kept_for_ids_and_queues() -> None:
    batches, _ = shaped(RECORDS, keep_values=True, where="n > `7`", select="plan")
    assert [value["n"] for value in batches[0].values or []] == [8, 9]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_windows_side_by_side_have_each_record_and_each_reject_once(size: int) -> None:
    records = [record if n % 4 else b"bad" for n, record in enumerate(RECORDS)]
    found: list[int] = []
    for offset in (0, 3, 6):
        batches, left = shaped(records, size, offset=offset, limit=3)
        made, bad = numbers(batches), [index for index, _ in reasons(batches)]
        assert len(made) <= 3
        assert left.outside == sum(len(batch.raw.records) for batch in batches) - len(made) - len(bad)
        found += made + bad
    assert sorted(found) == list(range(10))


def test_no_batch_is_read_after_the_limit() -> None:
    batches, left = shaped(RECORDS, 3, limit=4)
    assert (len(batches), numbers(batches), left.outside) == (2, [0, 1, 2, 3], 2)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_first_record_with_a_key_wins(size: int) -> None:
    records = [b'{"k":1}', b'{"k":1.0}', b'{"k":"1"}', b'{"k" : 1}', b"{}", b"{}", b'{"k":{"a":1,"b":2}}']
    batches, left = shaped([*records, b'{"k":{"b":2,"a":1}}'], size, dedup="k")
    assert numbers(batches) == [0, 1, 2, 4, 5, 6]  # a record without a key has no duplicate
    assert left.duplicates == 2


def test_a_sample_is_the_same_whatever_the_batches_are() -> None:
    records = [b'{"n":%d}' % n for n in range(20_000)]
    chosen = [numbers(shaped(records, size, sample="5%")[0]) for size in (7, 1000)]
    assert chosen[0] == chosen[1]
    assert 850 <= len(chosen[0]) <= 1150  # 1000 expected; five standard deviations are 154
    assert numbers(shaped(records, sample="5%", sample_seed=1)[0]) != chosen[0]
    assert set(chosen[0]) <= set(numbers(shaped(records, sample="20%")[0]))
    assert len(numbers(shaped(records, sample="100%")[0])) == len(records)


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-3, 3),
        "k": st.sampled_from(["a", "b", 1, None]),
        "on": st.booleans() | st.none(),
    },
)


@given(
    values=st.lists(FIELDS | st.integers() | st.just("bad"), max_size=30),
    size=st.integers(1, 8),
    offset=st.integers(0, 6),
    limit=st.integers(1, 6) | st.none(),
)
def test_it_agrees_with_a_plain_program(values: list[Any], size: int, offset: int, limit: int | None) -> None:
    records = [b"{bad" if value == "bad" else json.dumps(value).encode() for value in values]
    options: dict[str, Any] = {"where": "on == `true` || n > `0`", "dedup": "k", "offset": offset, "limit": limit}

    batches, left = shaped(records, size, select="{n: n, k: [k]}", **options)

    made: list[tuple[int, Any]] = []
    bad: list[int] = []
    keys: set[str] = set()
    seen = filtered = duplicates = 0
    for number, value in enumerate(values):
        if limit is not None and seen == offset + limit:
            break
        fields = value if isinstance(value, dict) else {}
        if value == "bad":
            bad += [number] if seen >= offset else []
            continue
        if fields.get("on") is not True and not fields.get("n", 0) > 0:
            filtered += 1
            continue
        key = fields.get("k")
        if key is not None and json.dumps(key) in keys:
            duplicates += 1
            continue
        keys.add(json.dumps(key))
        seen += 1
        if seen > offset:
            made.append((number, {"n": fields.get("n"), "k": [key]}))
    assert list(zip(numbers(batches), map(json.loads, payloads(batches)), strict=True)) == made
    assert [number for number, _ in reasons(batches)] == bad
    assert (left.filtered, left.duplicates) == (filtered, duplicates)
    read = sum(len(batch.raw.records) for batch in batches)
    assert read == len(made) + len(bad) + left.left_out


@given(
    values=st.lists(
        JSON_VALUES | st.fixed_dictionaries({"a": JSON_VALUES, "b": st.booleans() | st.none()}), max_size=6
    ),
    shape=st.sampled_from(
        [
            {"where": "b"},
            {"where": "a == b"},
            {"select": "{x: a, y: @}"},
            {"select": "a"},
            {"where": "b", "select": "[a]"},
        ]
    ),
)
def test_a_whole_batch_gives_what_its_records_give_one_by_one(values: list[Any], shape: dict[str, Any]) -> None:
    records = [json.dumps(value).encode() for value in values]
    whole, left = shaped(records, keep_values=True, **shape)
    each, left_of_each = shaped(
        [*records, b"{"], keep_values=True, **shape
    )  # with an invalid record, it goes one by one
    assert payloads(whole) == payloads(each)
    assert numbers(whole) == numbers(each)
    assert reasons(whole) == reasons(each)[:-1]
    assert [repr(batch.values) for batch in whole if records] == [repr(batch.values) for batch in each if records]
    assert left == left_of_each
