"""JSON is read and written so that each number keeps its text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.shaping.number_text import NumberText, read, write
from tests.unit.strategies import json_texts

NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?\Z")
TEXTS = st.recursive(
    NUMBERS | st.sampled_from(["true", "false", "null"]) | st.text(max_size=5).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]")
        | st.dictionaries(st.text(max_size=4), inner, max_size=4).map(
            lambda members: "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"
        )
    ),
    max_leaves=10,
)


@given(text=TEXTS)
def test_each_number_keeps_its_text(text: str) -> None:
    """Python's own parser, which is asked for the texts of numbers, is the oracle."""

    def texts(of: bytes | str) -> Any:
        return json.loads(of, parse_float=lambda number: ["n", number], parse_int=lambda number: ["n", number])

    assert texts(write(read(text.encode()))) == texts(text)


@given(text=json_texts())
def test_it_reads_what_pythons_parser_reads(text: bytes) -> None:
    assert read(text) == json.loads(text)


@pytest.mark.parametrize(
    "number",
    ["1.10", "123456789012345678901234567890", "-0", "-0.0", "1E5", "1e400", "18446744073709551616", "9" * 5000],
)
@pytest.mark.parametrize("form", ["{}", '{{"a":[{}]}}', '["-0",{},"x-0y"]'])
def test_numbers_beyond_doubles_and_64_bits(number: str, form: str) -> None:
    text = form.format(number).encode()
    assert write(read(text)) == text


def test_lone_surrogates_stay_escaped() -> None:
    assert write(read(b'{"a":"\\ud800","b":1.10}')) == b'{"a":"\\ud800","b":1.10}'


@pytest.mark.parametrize("number", [b"1.10", b"123456789012345678901234567890"])
def test_up_to_254_levels_are_written(number: bytes) -> None:
    deep = b"[" * 254 + number + b"]" * 254
    assert write(read(deep)) == deep
    with pytest.raises(RecursionError):
        write(read(b"[" + deep + b"]"))


def test_members_are_sorted_if_that_is_wanted() -> None:
    assert write(read(b'{"b":{"d":1.10,"c":-0},"a":2}'), sort=True) == b'{"a":2,"b":{"c":-0,"d":1.10}}'


def test_a_number_compares_by_its_value() -> None:
    assert NumberText("1.10") == 1.1
    assert NumberText("2.50") > 2
