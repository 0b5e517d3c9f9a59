"""The check by RFC 8259 agrees with Python's parser (made strict) and with orjson, where these can judge."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.tasks.json_grammar import MOST_LEVELS, Fault, Findings, NotJsonError, check
from tests.unit.strategies import JSON_VALUES, LINES, json_texts

PIECES = st.lists(
    st.sampled_from(
        [*'{}[],:"-+.eE0123 \t\\/', "true", "false", "null", "NaN", '"a"', '"a":', '"\\ud800"', '"\\ud83d\\ude00"',
         "\\u", "1e400", "-0", "0.5e-3", "\x00", "é", "\ufeff", "Infinity", "1" * 400]
    ),
    max_size=12,
).map("".join)  # fmt: skip
"""Texts that are nearly JSON."""


def refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def is_json_for_python(text: str) -> bool:
    """Python's parser takes NaN and Infinity besides JSON, and refuses long whole numbers unless they stay text."""
    try:
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except RecursionError:
        pytest.skip("too deep for Python")
    except ValueError:
        return False
    return not text.startswith("\ufeff")


def findings(text: str) -> Findings | None:
    try:
        return check(text)
    except NotJsonError:
        return None


def fault_of(text: str) -> Fault | None:
    try:
        check(text)
    except NotJsonError as error:
        return error.fault
    return None


def is_portable(found: Findings) -> bool:
    return (found.lone_surrogate, found.beyond_double, found.too_deep) == (None, None, None)


@given(PIECES | st.text(max_size=8) | json_texts().map(bytes.decode))
@example('"\\ud800"')
@example("1e400")
@example("--1")
@example("1e5e5")
def test_a_text_is_json_if_python_says_so(text: str) -> None:
    assert (findings(text) is not None) == is_json_for_python(text)


@given(PIECES | LINES.map(lambda line: line.decode(errors="replace")))
def test_orjson_accepts_what_is_json_and_portable_and_nothing_else(text: str) -> None:
    try:
        orjson.loads(text)
        accepted = True
    except orjson.JSONDecodeError:
        accepted = False

    found = findings(text)

    assert (found is not None and is_portable(found)) == accepted


@given(JSON_VALUES, st.data())
def test_a_change_of_one_character_is_judged_as_python_judges_it(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    at = data.draw(st.integers(0, len(text)))
    changed = (
        text[:at]
        + data.draw(st.sampled_from([*'{}[],:"\\-+.e0 x\x01', ""]))
        + text[at + data.draw(st.integers(0, 1)) :]
    )

    assert (findings(changed) is not None) == is_json_for_python(changed)


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=5), st.booleans())
def test_the_members_of_an_object_are_where_they_are_said_to_be(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    members = check(text).members
    assert members is not None
    assert {name: json.loads(text[begin:end]) for name, (begin, end) in members.items()} == value


def test_of_equal_names_the_last_one_counts() -> None:
    assert check('{"a":1, "b":2, "a":3}').members == {"b": (12, 13), "a": (19, 20)}
    assert check(r'{"a":1, "b":2, "\u0061":3}').members == {"b": (12, 13), "a": (24, 25)}
    assert check(r'{"\u0061":1, "b":2, "a":3}').members == {"b": (17, 18), "a": (24, 25)}


@pytest.mark.parametrize("text", ["1", "[]", '"a"', "null"])
def test_only_an_object_has_members(text: str) -> None:
    assert check(text).members is None
    assert check("{}").members == {}


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (r'{"s":"\ud800"}', 6),
        (r'"\udc00\ud800"', 1),
        (r'"\ud83d\ude00\ude00"', 13),
        (r'"\\ud800\ud800"', 8),
        (r'{"\udfff":1}', 2),
    ],
)
def test_a_lone_surrogate_is_found(text: str, offset: int) -> None:
    assert check(text) == Findings(lone_surrogate=offset, members=check(text).members)


@pytest.mark.parametrize("text", [r'"\ud83d\ude00"', r'"\\ud800"', r'"\u0041"'])
def test_pairs_and_escaped_backslashes_are_no_lone_surrogates(text: str) -> None:
    assert is_portable(check(text))


@pytest.mark.parametrize("number", ["1e309", "-1e999", "1" * 400, "-" + "9" * 310, "0.1e400", "1E+400"])
def test_a_number_beyond_a_double_is_found(number: str) -> None:
    assert check(f"[1,{number}]") == Findings(beyond_double=3)


@pytest.mark.parametrize("number", ["1e308", "1e-400", "0e999", "0." + "1" * 400, "12345678901234567890", "-0"])
def test_other_numbers_are_not(number: str) -> None:
    assert is_portable(check(number))


@pytest.mark.parametrize("levels", [MOST_LEVELS, MOST_LEVELS + 1, 100_000])
def test_deep_nesting_is_judged_without_recursion(levels: int) -> None:
    found = check("[" * levels + "]" * levels)
    assert found.too_deep == (None if levels == MOST_LEVELS else MOST_LEVELS)


@given(json_texts(), st.data())
def test_a_cut_text_is_at_fault_within_it_or_at_its_end(text: bytes, data: st.DataObject) -> None:
    whole = text.decode()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    fault = fault_of(cut)
    assert fault is None or 0 <= fault.offset <= len(cut)
