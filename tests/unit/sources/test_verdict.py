"""simdjson's verdict is orjson's: compared over all short texts, escapes, numbers and mutations of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.verdict import Parse, accepts, all_json
from tests.unit.strategies import LINES, TRICKY_LINES, json_texts

simdjson = pytest.importorskip("simdjson", reason="pysimdjson has no wheel for this Python")


def _parser(implementation: str) -> Parse:
    parser = simdjson.Parser()
    parser.implementation = implementation
    assert parser.implementation[0] == implementation
    parse: Parse = parser.parse
    return parse


@pytest.fixture(params=[name for name, _ in simdjson.Parser().get_implementations()])
def parse(request: pytest.FixtureRequest) -> Iterator[Parse]:
    """simdjson as it works on each kind of processor that this one can stand in for."""
    usual = simdjson.Parser().implementation[0]
    yield _parser(request.param)
    _parser(usual)  # the choice is the process's, not the parser's


def orjson_takes(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def assert_same_verdict(parse: Parse, texts: Iterable[bytes]) -> None:
    different = [text for text in texts if accepts([text], len(text), parse) != orjson_takes(text)]
    assert different == []


SPECIAL = [bytes([byte]) for byte in b'"\\u01-.eE+{}[]:, \n\0\x1f\x7f\x80\xc3\xa9\xed\xa0\xef\xbb\xbf\xf4\x90n/ba']


def test_all_texts_of_up_to_three_special_bytes(parse: Parse) -> None:
    assert_same_verdict(parse, (b"".join(text) for length in range(4) for text in product(SPECIAL, repeat=length)))


def test_all_texts_of_up_to_five_characters_of_numbers(parse: Parse) -> None:
    numbers = [
        b"".join(text) for length in range(1, 6) for text in product([b"0", b"1", b"-", b".", b"e"], repeat=length)
    ]
    assert_same_verdict(parse, numbers)
    assert_same_verdict(parse, (b'{"a":%b}' % number for number in numbers))


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775807", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "123456789012345678901234567890", "1" * 308, "1" * 309, "1" * 5000, "1e308", "1e309",
        "-1e309", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "2e308", "1e-400",
        "5e-324", "0e999", "0.0e99999", "1e99999999999999999999", "1e-99999999999999999999", "-0", "-0.0",
        "0." + "0" * 400 + "1", "0." + "3" * 800, "9" * 400 + "e-400", "1e0005", "NaN", "Infinity", "-Infinity",
    ],
)  # fmt: skip
def test_numbers_at_the_limits(parse: Parse, number: str) -> None:
    assert_same_verdict(parse, (form % number.encode() for form in (b"%b", b"[%b]", b'{"a":%b}', b"[1,%b ]")))


def test_all_escapes_of_one_character(parse: Parse) -> None:
    assert_same_verdict(parse, (b'"\\%c"' % byte for byte in range(256)))
    assert_same_verdict(parse, (b'"\\u%04x"' % code for code in range(0x10000)))


@pytest.mark.parametrize("pair", [b"\\ud83d\\u%04x", b"\\u%04x\\udc00", b"\\ud83dx\\u%04x", b"\\ud83d\\ud83d\\u%04x"])
def test_pairs_of_surrogates(parse: Parse, pair: bytes) -> None:
    assert_same_verdict(parse, (b'"' + pair % code + b'"' for code in range(0xD700, 0xE100)))


def test_all_pairs_of_bytes_in_a_string(parse: Parse) -> None:
    pairs = [bytes(pair) for pair in product(range(256), repeat=2)]
    assert_same_verdict(parse, (b'"' + pair + b'"' for pair in pairs))
    assert_same_verdict(parse, (b'"' + pair + b'\x80"' for pair in pairs))
    assert_same_verdict(parse, (b'"' + pair + b'\xbf\xbf"' for pair in pairs if pair[0] >= 0x80))


def test_all_bytes_around_a_value(parse: Parse) -> None:
    for form in (b"%c1", b"1%c", b"{}%c", b"%c{}", b'{"a"%c:1}', b'{"a":1%c}', b"[1%c]", b"[%c1]"):
        assert_same_verdict(parse, (form % byte for byte in range(256)))


@pytest.mark.parametrize("depth", [1, 1000, 1022, 1023, 1024, 1025, 1026, 100_000])
def test_depth(parse: Parse, depth: int) -> None:
    assert_same_verdict(parse, (b"[" * depth + core + b"]" * depth for core in (b"", b"1", b"{}")))
    assert_same_verdict(parse, (b'{"a":' * depth + core + b"}" * depth for core in (b"1", b"[]", b"")))


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb", b"\xef", b"\xfe\xff", b"\xff\xfe", b"\xc2\xa0"])
def test_marks_before_a_value(parse: Parse, start: bytes) -> None:
    assert_same_verdict(parse, [start + b"{}", start + b"1", start])
    assert not accepts([b"{}", start + b"{}", b"1"], 20, parse)


PIECES = st.sampled_from([*SPECIAL, b"\\u", b"\\ud83d", b"\\ude00", b"e999", b"[[", b"]]", b'":', b"true", b"null"])


@given(json_texts() | LINES, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2), PIECES), max_size=3))
def test_mutations_of_json(text: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    for at, dropped, piece in edits:
        at %= len(text) + 1
        text = text[:at] + piece + text[at + dropped :]
    assert_same_verdict(_parser(simdjson.Parser().implementation[0]), [text.strip(b" \t\r\n")])


@given(st.lists(json_texts() | TRICKY_LINES, max_size=6))
def test_many_records_are_judged_like_each_of_them(records: list[bytes]) -> None:
    expected = all(map(orjson_takes, records))

    assert all_json(records, sum(map(len, records))) == expected
    assert all_json(records, 1 << 20) == expected  # as if they were longer
    assert accepts(records, sum(map(len, records)), None) == expected


def test_large_records_do_not_grow_the_parser() -> None:
    def never(record: bytes) -> object:
        raise AssertionError(len(record))

    large = b'"' + b"x" * (4 * 1024 * 1024) + b'"'
    assert accepts([large], len(large), never)
    assert not accepts([large + b"x"], len(large) + 1, never)
