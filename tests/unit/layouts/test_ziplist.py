"""Ziplists: each kind of entry, at each length at which its form changes."""

from __future__ import annotations

import pytest

from loader.layouts import ziplist
from loader.layouts.form import LONGEST_INTEGER, block, body
from loader.layouts.ziplist import integer, link, string_header
from tests.unit.layouts.test_listpack import INTEGERS, NO_INTEGERS


@pytest.mark.parametrize("value", INTEGERS)
def test_an_integer_of_64_bits_is_kept_as_one(value: int) -> None:
    assert integer(b"%d" % value) is not None
    assert len(b"%d" % value) <= LONGEST_INTEGER


@pytest.mark.parametrize("text", [*NO_INTEGERS, b"1" * 31, b"1" * 32])
def test_a_text_that_would_not_come_back_the_same_is_kept_as_a_string(text: bytes) -> None:
    assert integer(text) is None
    assert body(ziplist, text) == b"%c" % len(text) + text


@pytest.mark.parametrize(
    ("value", "bytes_of_it"),
    [
        (b"0", "f1"),
        (b"12", "fd"),
        (b"13", "fe 0d"),
        (b"-1", "fe ff"),
        (b"127", "fe 7f"),
        (b"-128", "fe 80"),
        (b"128", "c0 8000"),
        (b"-32768", "c0 0080"),
        (b"32768", "f0 008000"),
        (b"8388607", "f0 ffff7f"),
        (b"8388608", "d0 00008000"),
        (b"-2147483648", "d0 00000080"),
        (b"2147483648", "e0 0000008000000000"),
        (b"", "00"),
        (b"007", "03 303037"),
    ],
)
def test_headers_and_values_are_those_of_the_specification(value: bytes, bytes_of_it: str) -> None:
    assert body(ziplist, value) == bytes.fromhex(bytes_of_it)


@pytest.mark.parametrize(
    ("length", "bytes_of_it"),
    [(0, "00"), (63, "3f"), (64, "4040"), (16383, "7fff"), (16384, "80 00004000"), (2**32 - 1, "80 ffffffff")],
)
def test_the_header_of_a_string(length: int, bytes_of_it: str) -> None:
    assert string_header(length) == bytes.fromhex(bytes_of_it)


@pytest.mark.parametrize(
    ("body_bytes", "link_bytes", "bytes_of_it"),
    [(1, 1, "02"), (252, 1, "fd"), (253, 1, "fe fe000000"), (248, 5, "fd"), (249, 5, "fe fe000000")],
)
def test_an_entry_begins_with_the_size_of_the_whole_entry_before_it(
    body_bytes: int, link_bytes: int, bytes_of_it: str
) -> None:
    assert link(body_bytes, link_bytes) == bytes.fromhex(bytes_of_it)


def test_a_whole_ziplist() -> None:
    assert block(ziplist, [b"a", b"1"]) == bytes.fromhex("10000000 0d000000 0200 00 01 61 03 f2 ff")
