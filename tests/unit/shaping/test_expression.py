"""Expressions: what is wrong is told before a record is read, and numbers keep their text."""

from __future__ import annotations

import json
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.shaping.expression import Expression
from loader.shaping.number_text import read, write
from loader.tasks.reasons import ReasonCode, UnusableRecordError
from tests.unit.strategies import JSON_VALUES


def shaped(text: str, record: bytes) -> bytes:
    return write(Expression("--select", text).of(read(record)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plan = 'paid'", "--where plan = 'paid': unknown token '=' at column 6. Two values are compared by =="),
        ("age > 18", "unexpected 18 at column 7. A number is written between backticks: `18`"),
        ("foo(", "the expression is not complete at column 5"),
        ("a &&", "the expression is not complete at column 5"),
        ("a b", "unexpected 'b' at column 3"),
        ("a\n  b", "unexpected 'b' at line 2, column 3"),
        ("'abc", "unclosed ' delimiter at column 1"),
        ("`abc`", "`abc` is not JSON at column 1"),
        ("`1e400`", "the number 1e400 is beyond a double"),
        ("upper(a)", "there is no function upper()"),
        ("a[?upper(b)]", "there is no function upper()"),
        ("length(a, b)", "length() takes 1 argument, not 2"),
        ("not_null()", "not_null() takes at least 1 argument, not 0"),
        ("a[::0]", "the step of a slice is 0"),
        ("&a", "--where &a: &EXPR stands only in functions that take it, such as sort_by()"),
        ("{x: &a}", "&EXPR stands only in functions that take it"),
        ("to_string(&a)", "&EXPR stands only in functions that take it"),
        ("sort_by(&a, b)", "&EXPR stands only in functions that take it"),
        ("map(&(&a), b)", "&EXPR stands only in functions that take it"),
        (f"a[{'1' * 5000}]", "an index has thousands of digits"),
        ("", "the expression is empty"),
        ("[" * 5000, "--where"),
    ],
)
def test_an_expression_that_is_not_valid_is_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        Expression("--where", text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_quoted_name_beside_a_comparison_is_noticed() -> None:
    assert Expression("--where", 'plan == "paid"').quoted == "paid"
    assert Expression("--where", "\"my plan\" == 'paid'").quoted is None


@pytest.mark.parametrize(
    ("text", "record", "made"),
    [
        ("a", b'{"a":1.10}', b"1.10"),
        ("{b: a}", b'{"a":123456789012345678901234567890}', b'{"b":123456789012345678901234567890}'),
        ('`{"t": 0.70, "u": -0}`', b"{}", b'{"t":0.70,"u":-0}'),
        ("to_string(a)", b'{"a":1.10}', b'"1.10"'),
        ("to_string(@)", b'{"a":1.10}', b'"{\\"a\\":1.10}"'),
        ("to_number(a)", b'{"a":"1.10"}', b"1.10"),
        ("to_number(a)", b'{"a":"1_0"}', b"null"),
        ("to_number(a)", b'{"a":true}', b"null"),
        ("max(a)", b'{"a":[1.10,2.50,-0]}', b"2.50"),
        ("sort(a)", b'{"a":[2.50,1.10]}', b"[1.10,2.50]"),
        ("sort_by(a, &n)[].n", b'{"a":[{"n":2.50},{"n":1.10}]}', b"[1.10,2.50]"),
        ("type(a)", b'{"a":1.10}', b'"number"'),
        ("sum(a)", b'{"a":[1.5,2]}', b"3.5"),
        ("a == `1.1`", b'{"a":1.10}', b"true"),
        ("a > `99999999999999999999`", b'{"a":100000000000000000000}', b"true"),
        ("@", b"null", b"null"),
    ],
)
def test_numbers_keep_their_text(text: str, record: bytes, made: bytes) -> None:
    assert shaped(text, record) == made


@pytest.mark.parametrize(
    ("text", "record", "told"),
    [
        ("length(a)", b'{"a":1.5}', "length() takes string or array or object, not number"),
        ("a < `1`", b'{"a":"1"}', "text and numbers cannot be compared"),
        ("sum(a)", b'{"a":[1e308,1e308]}', "sum() gives a number that JSON cannot hold"),
        ("to_number(a) > b", b'{"a":"9e99","b":"x"}', "text and numbers cannot be compared"),
        ("join('-', a)", b'{"a":["x",1]}', "join() takes array-string, not int"),
    ],
)
def test_a_record_for_which_it_fails_is_told(text: str, record: bytes, told: str) -> None:
    with pytest.raises(UnusableRecordError) as error:
        Expression("--select", text).of(read(record))
    assert error.value.reason.code is ReasonCode.BAD_SHAPE
    assert told in error.value.reason.text
    assert error.value.reason.text.startswith("--select: ")


@given(record=st.dictionaries(st.sampled_from("abcd"), JSON_VALUES, max_size=4))
@pytest.mark.parametrize(
    "text",
    ["a", "a.b", "a || b", "[a, b[0]]", "{x: a, y: b.c, z: @}", "a == b", "a[]", "values(@)", "not_null(a, b, `1`)"],
)
def test_it_gives_what_the_library_gives(text: str, record: dict[str, Any]) -> None:
    ours = Expression("--select", text).of(read(json.dumps(record).encode()))
    assert ours == jmespath.search(text, record)


OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "&&", "||", "|"]
LITERALS = ["`1`", "`0`", "`true`", "`false`", "`null`", "'a'", "''", "`[]`", "`{}`", "`1.5`", "`[1,true]`"]
EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "c.d", "@", "a[0]", "a[*].b", "length(@)", "type(a)", *LITERALS]),
    lambda inner: st.one_of(
        st.builds("({}) {} ({})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("!({})".format, inner),
        st.builds("{{x: {}, y: {}}}".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}).a".format, inner),
    ),
    max_leaves=6,
)
SMALL = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 1.5, "", "a", [], {}, [1], [True], {"a": 1}, {"d": "a", "b": 0}]
)


@given(text=EXPRESSIONS, record=st.dictionaries(st.sampled_from("abc"), SMALL, max_size=3) | SMALL)
def test_any_expression_gives_what_the_library_gives(text: str, record: Any) -> None:
    expression = Expression("--select", text)
    given = read(json.dumps(record).encode())
    try:
        expected = jmespath.search(text, record)
    except (jmespath.exceptions.JMESPathError, TypeError):
        with pytest.raises(UnusableRecordError):
            expression.of(given)
        return
    found = expression.of(given)
    assert json.dumps(found) == json.dumps(expected)  # as text, since True is 1 for Python
