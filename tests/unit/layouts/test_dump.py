"""Dumps: they hold the fields that they were made of, whatever these are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.layouts.dump import FORMS, FormName, Frame, after, crc64, hash_dump, rdb_length, restore
from loader.layouts.listpack import DisputedSizeError
from tests.unit.dump_reader import crc64 as crc64_by_bit
from tests.unit.dump_reader import read
from tests.unit.layouts.test_listpack import INTEGERS, NO_INTEGERS

LENGTHS = st.sampled_from(
    [
        *range(244, 256),  # where a ziplist needs more bytes for the size of an entry
        *(
            length + more
            for length in (0, 20, 63, 127, 4095, 16383, 70_000)
            for more in (-3, -2, -1, 0, 1)
            if length + more >= 0
        ),
    ]
)
VALUES = (
    st.binary(max_size=80)
    | st.sampled_from(INTEGERS).map(lambda value: b"%d" % value)
    | st.sampled_from(NO_INTEGERS)
    | LENGTHS.map(lambda length: b"x" * length)
)
FIELDS = st.lists(st.tuples(st.binary(max_size=9), VALUES), min_size=1, max_size=6, unique_by=lambda field: field[0])


@pytest.mark.parametrize(("form", "version"), [("listpack", 10), ("ziplist", 9)])
@given(fields=FIELDS)
def test_a_dump_holds_its_fields_in_their_order(
    form: FormName, version: int, fields: list[tuple[bytes, bytes]]
) -> None:
    dump = read(hash_dump(fields, FORMS[form]))
    assert list(dump.texts.items()) == fields
    assert dump.version == version


@pytest.mark.parametrize("form", FORMS)
@given(values=st.lists(VALUES), before=FIELDS, further=FIELDS)
def test_a_frame_makes_the_same_dumps(
    form: FormName, values: list[bytes], before: list[tuple[bytes, bytes]], further: list[tuple[bytes, bytes]]
) -> None:
    following = after(FORMS[form], [part for field in further for part in field])
    frame = Frame(FORMS[form], before, b"name", following)

    made = frame.dumps(values, [following.data] * len(values))

    assert made == [hash_dump([*before, (b"name", value), *further], FORMS[form]) for value in values]


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_the_crc_is_redis_own_and_can_be_continued(first: bytes, second: bytes) -> None:
    assert crc64(first + second, 0) == crc64(second, crc64(first, 0)) == crc64_by_bit(first + second)


def test_the_crc_has_the_check_value_of_its_definition() -> None:
    assert crc64(b"123456789", 0) == 0xE9C6D914C4B8D9CA


@pytest.mark.parametrize(
    ("length", "bytes_of_it"),
    [(0, "00"), (63, "3f"), (64, "4040"), (16383, "7fff"), (16384, "80 00004000"), (2**32 - 1, "80 ffffffff")],
)
def test_lengths_are_those_of_rdb_files(length: int, bytes_of_it: str) -> None:
    assert rdb_length(length) == bytes.fromhex(bytes_of_it)


def test_a_hash_with_a_value_on_which_servers_disagree_has_no_dump() -> None:
    with pytest.raises(DisputedSizeError):
        hash_dump([(b"payload", b"x" * 16378)])


def test_a_restore_has_no_time_to_live_and_replaces_nothing() -> None:
    assert restore(b"key", b"\r\n") == b"*4\r\n$7\r\nRESTORE\r\n$3\r\nkey\r\n$1\r\n0\r\n$2\r\n\r\n\r\n"
