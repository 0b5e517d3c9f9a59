"""Listpacks: each kind of entry, at each length at which its form changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.layouts import listpack
from loader.layouts.form import LONGEST_INTEGER, entries
from loader.layouts.listpack import DISPUTED_SIZES, DisputedSizeError, integer, link

INTEGERS = sorted(
    {sign * (2**bits) + more for bits in (0, 6, 7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 62) for sign in (1, -1)
     for more in (-1, 0, 1)}
    | {0, 2**63 - 1, -(2**63), 1_790_000_000_000_000_000}
)  # fmt: skip

NO_INTEGERS = [
    b"", b"-", b"-0", b"+1", b"00", b"007", b"-01", b" 1", b"1 ", b"1\n", b"1.0", b"1e3", b"0x1", b"1_000", b"--1",
    b"9223372036854775808", b"-9223372036854775809", b"10000000000000000000", b"99999999999999999999999",
    "\u0661".encode(), b"1\x00", b"null", b"true", b"{}",
]  # fmt: skip


@pytest.mark.parametrize("value", INTEGERS)
def test_an_integer_of_64_bits_is_kept_as_one(value: int) -> None:
    encoded = integer(b"%d" % value)
    assert encoded is not None
    assert len(b"%d" % value) <= LONGEST_INTEGER


@pytest.mark.parametrize("text", NO_INTEGERS)
def test_a_text_that_would_not_come_back_the_same_is_kept_as_a_string(text: bytes) -> None:
    assert integer(text) is None
    assert entries(listpack, [text]).data[1 : 1 + len(text)] == text


@given(st.from_regex(rb"[-+ 0-9]{1,21}", fullmatch=True))
def test_only_texts_that_python_prints_the_same_way_are_integers(text: bytes) -> None:
    try:
        value = int(text)
    except ValueError:
        expected = False
    else:
        expected = b"%d" % value == text and -(2**63) <= value < 2**63
    assert (integer(text) is not None) == expected


@pytest.mark.parametrize(
    ("value", "entry_bytes"),
    [
        (b"0", "00 01"),
        (b"127", "7f 01"),
        (b"128", "c080 02"),
        (b"-1", "dfff 02"),
        (b"-4096", "d000 02"),
        (b"4095", "cfff 02"),
        (b"4096", "f1 0010 03"),
        (b"-4097", "f1 ffef 03"),
        (b"8388607", "f2 ffff7f 04"),
        (b"-2147483648", "f3 00000080 05"),
        (b"2147483648", "f4 0000008000000000 09"),
        (b"", "80 01"),
        (b"007", "83 303037 04"),
    ],
)
def test_entries_are_those_of_the_specification(value: bytes, entry_bytes: str) -> None:
    assert entries(listpack, [value]).data == bytes.fromhex(entry_bytes)


@pytest.mark.parametrize(
    ("size", "bytes_of_it"),
    [
        (1, "01"),
        (127, "7f"),
        (128, "0180"),
        (16382, "7ffe"),
        (16384, "018080"),
        (2097150, "7ffffe"),
        (2097152, "01808080"),
        (268435454, "7ffffffe"),
        (268435456, "0180808080"),
    ],
)
def test_a_back_length_is_as_long_as_servers_expect_it(size: int, bytes_of_it: str) -> None:
    assert link(size, 0) == bytes.fromhex(bytes_of_it)


@pytest.mark.parametrize("size", sorted(DISPUTED_SIZES))
def test_an_entry_on_which_servers_disagree_is_refused(size: int) -> None:
    with pytest.raises(DisputedSizeError, match=f"an entry of {size} bytes"):
        link(size, 0)
