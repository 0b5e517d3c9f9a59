"""Replies that are text. redis-py's parsers are the independent measure of what they mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers.helpers import parse_client_list
from redis._parsers.helpers import parse_info as parse_info_of_redis_py

from loader.wire.replies import parse_clients, parse_info, parse_list

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True).filter(lambda name: name not in ("module", "modules"))
WORDS = st.text("abcXYZ019._-/ :\u00e9", max_size=12)
NUMBERS = st.integers(-(2**63), 2**64).map(str) | st.floats(0, 1e9).map(lambda value: f"{value:.2f}")
LISTS = st.dictionaries(NAMES, st.integers(0, 2**40).map(str), min_size=1, max_size=4).map(
    lambda fields: ",".join(f"{name}={value}" for name, value in fields.items())
)
SECTIONS = st.dictionaries(NAMES, st.one_of(WORDS, NUMBERS, LISTS), max_size=20)


def info_text(fields: dict[str, str]) -> bytes:
    lines = ["# Server"]
    for number, (name, value) in enumerate(fields.items()):
        lines += [f"{name}:{value}", *(["", "# Another"] if number % 3 == 2 else [])]
    return ("\r\n".join(lines) + "\r\n").encode()


def as_redis_py_has_it(value: str) -> Any:
    """A value that redis-py makes of a text."""
    (made,) = parse_info_of_redis_py(f"name:{value}").values()  # type: ignore[no-untyped-call]
    return made


@given(SECTIONS)
def test_info_has_the_fields_that_redis_py_finds_as_text(fields: dict[str, str]) -> None:
    reply = info_text(fields)
    found = parse_info(reply)
    assert found == fields
    assert {name: as_redis_py_has_it(value) for name, value in found.items()} == parse_info_of_redis_py(reply)  # type: ignore[no-untyped-call]


@given(LISTS)
def test_a_list_in_info_has_the_items_that_redis_py_finds(value: str) -> None:
    assert {name: int(text) for name, text in parse_list(value).items()} == as_redis_py_has_it(value)


@pytest.mark.parametrize("value", ["", "keys"])
def test_a_value_that_is_no_list_has_no_items(value: str) -> None:
    assert parse_list(value) == {}


@given(
    st.lists(
        st.dictionaries(NAMES, st.text("abcXYZ019._-/:={}*", max_size=12), min_size=1).map(
            lambda fields: {"id": "7", **fields, "name": "runqy-loader:job:5f7c:0.1"}
        )
    )
)
def test_connections_have_the_fields_that_redis_py_finds(clients: list[dict[str, str]]) -> None:
    lines = (" ".join(f"{name}={value}" for name, value in fields.items()) + "\n" for fields in clients)
    reply = "".join(lines).encode()
    assert parse_clients(reply) == parse_client_list(reply) == clients  # type: ignore[no-untyped-call]


def test_a_path_with_a_space_spoils_no_other_field_of_a_connection() -> None:
    reply = b"id=3 addr=/tmp/my sockets/r.sock:0 fd=8 name=one\nid=4 addr=127.0.0.1:5 fd=9 name=\n"
    found = [(client["id"], client["name"]) for client in parse_clients(reply)]
    assert found == [("3", "one"), ("4", "")]
