"""RESP encoding, beside the encoder of the reference client."""

from __future__ import annotations

from typing import Any

import hiredis
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import PythonRespSerializer

from loader.wire.lengths import ByLength
from loader.wire.resp import array, bulk, bulks, command

ARGUMENTS = st.lists(
    st.binary() | st.sampled_from([b"", b"\r\n", b"$5\r\n", b"\0", b"*1\r\n$4\r\nPING\r\n"]), min_size=1
)


@given(ARGUMENTS)
def test_a_command_is_packed_as_redis_py_packs_it(arguments: list[bytes]) -> None:
    serializer = PythonRespSerializer(buffer_cutoff=6000, encode=lambda argument: argument)
    redis_py = b"".join(serializer.pack("SET", *arguments))  # type: ignore[no-untyped-call]

    assert command(b"SET", *arguments) == redis_py
    whole: Any = (b"SET", *arguments)  # its stub knows commands of one word only
    assert command(b"SET", *arguments) == hiredis.pack_command(whole)
    assert array((b"SET", *arguments)) == redis_py


@given(ARGUMENTS)
def test_a_command_is_bulk_strings_under_a_header_with_their_number(arguments: list[bytes]) -> None:
    assert command(*arguments) == b"*%d\r\n" % len(arguments) + b"".join(map(bulk, arguments))
    assert bulks(arguments) == b"".join(map(bulk, arguments))
    reader = hiredis.Reader()
    reader.feed(command(*arguments))
    assert reader.gets() == arguments


def test_no_arguments_are_no_bulk_strings() -> None:
    assert (bulks([]), bulks([], b"head"), array([])) == (b"", b"head", b"*0\r\n")


def test_no_end_of_different_lengths_takes_no_end_of_memory() -> None:
    pieces = ByLength(lambda length: b"%d" % length)
    for length in range(250_000):
        assert pieces[length] == pieces[length] == b"%d" % length
    assert len(pieces) <= 100_000
