"""A member is set, and all other bytes of the object stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.shaping.splice import with_member
from tests.unit.strategies import JSON_VALUES, json_texts

OBJECTS = json_texts(st.dictionaries(st.sampled_from(["a", "b", 'c"\\', "é", ""]) | st.text(max_size=3), JSON_VALUES))


@given(text=OBJECTS, name=st.sampled_from(["a", "b", 'c"\\', "é", "", "new"]), value=JSON_VALUES)
def test_it_is_what_python_makes_of_the_object(text: bytes, name: str, value: Any) -> None:
    before: dict[str, Any] = json.loads(text)
    made = with_member(text, name, json.dumps(value).encode(), is_there=name in before)
    assert list(json.loads(made).items()) == list({**before, name: value}.items())


@pytest.mark.parametrize(
    ("record", "made"),
    [
        (b"{}", b'{"n":7}'),
        (b"{ }", b'{ "n":7}'),
        (b'{"a":1.10}', b'{"a":1.10,"n":7}'),
        (b'{"a" : 1.10 }', b'{"a" : 1.10 ,"n":7}'),
        (b'{ "a":1.10 , "n" : [1, {"n":2}] , "z":-0}', b'{ "a":1.10 , "n" : 7 , "z":-0}'),
        (b'{"n":1,"a":"n","n":2}', b'{"n":7,"a":"n","n":7}'),
        (b'{"\\u006e":1,"b":"\\u00e9\xc3\xa9"}', b'{"\\u006e":7,"b":"\\u00e9\xc3\xa9"}'),
    ],
)
def test_other_bytes_stay(record: bytes, made: bytes) -> None:
    assert with_member(record, "n", b"7", is_there="n" in json.loads(record)) == made
