"""Task ids."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.tasks.ids import MAX_ID_BYTES, check_task_id, check_task_ids, id_prefix, id_suffixes
from loader.tasks.reasons import UnusableRecordError

JOBS = st.text("abc-_.019", min_size=1, max_size=20)
DIGESTS = st.text("0123456789abcdef", max_size=32)


@pytest.mark.parametrize(
    ("value", "task_id"),
    [("a", "a"), ("order 7/é", "order 7/é"), (7, "7"), (-1, "-1"), (0, "0"), ("x" * MAX_ID_BYTES, "x" * MAX_ID_BYTES)],
)
def test_text_and_integers_are_task_ids(value: object, task_id: str) -> None:
    assert check_task_id(value) == task_id


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1.5, "a number with a fraction"),
        ([], "an array"),
        ({}, "an object"),
        ("", "empty"),
        ("a\nb", "control character"),
        ("a\x7f", "control character"),
        ("x" * (MAX_ID_BYTES + 1), "longer"),
        ("é" * (MAX_ID_BYTES // 2 + 1), "longer"),
    ],
)
def test_anything_else_is_no_task_id_and_the_reason_is_told(value: object, reason: str) -> None:
    with pytest.raises(UnusableRecordError, match=reason) as caught:
        check_task_id(value)
    assert caught.value.reason.code == "bad_id"


KINDS_OF_IDS: tuple[st.SearchStrategy[object], ...] = (
    st.integers(-(2**63), 2**64 - 1),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    st.sampled_from(["", "a\nb", "é" * (MAX_ID_BYTES // 2), "é" * (MAX_ID_BYTES // 2 + 1), True, None, 1.5]),
)


@given(st.one_of([st.lists(kind, min_size=1) for kind in (*KINDS_OF_IDS, st.one_of(*KINDS_OF_IDS))]))
def test_ids_checked_all_at_once_are_those_that_are_checked_one_by_one(values: list[object]) -> None:
    try:
        expected = [check_task_id(value).encode() for value in values]
    except ValueError:
        assert check_task_ids(values) is None
    else:
        # Where kinds are mixed, it may leave them to the other.
        assert check_task_ids(values) == (expected if len(set(map(type, values))) == 1 else None)


@given(JOBS, st.integers(0, 1000), DIGESTS, st.integers(0, 2**48 - 1))
def test_a_generated_id_is_a_uuid_of_version_8(job: str, source: int, digest: str, number: int) -> None:
    (suffix,) = id_suffixes(number, 1)
    text = (id_prefix(job, source, digest) + suffix).decode()

    found = uuid.UUID(text)

    assert str(found) == text
    assert (found.version, found.variant) == (8, uuid.RFC_4122)
    assert found.int & (2**48 - 1) == number


@given(st.integers(0, 2**48 - 20_000), st.integers(0, 13_000))
def test_suffixes_count_up_across_blocks(first: int, count: int) -> None:
    assert [int(suffix, 16) for suffix in id_suffixes(first, count)] == list(range(first, first + count))


@given(st.integers(0, 10_000), st.lists(st.booleans(), max_size=9000))
def test_keep_filters_suffixes_by_position(first: int, keep: list[bool]) -> None:
    every = id_suffixes(first, len(keep))
    assert id_suffixes(first, len(keep), keep) == [suffix for suffix, kept in zip(every, keep, strict=True) if kept]


def test_ids_of_a_job_never_change_so_that_a_resume_by_a_later_version_finds_them() -> None:
    assert id_prefix("job", 0, "digest") + id_suffixes(4095, 2)[1] == b"83c02bab-7e9a-8450-b9e9-000000001000"


def test_job_source_content_and_piece_each_make_other_ids() -> None:
    seeds = [
        ("a", 0, "x", 0),
        ("b", 0, "x", 0),
        ("a", 1, "x", 0),
        ("a", 0, "y", 0),
        ("a", 0, "x", 1),
        ("a", 0, "x", 11),
    ]
    assert len({id_prefix(*seed) for seed in seeds}) == len(seeds)
