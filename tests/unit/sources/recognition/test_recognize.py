"""What content looks like, from its first bytes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.sources.recognition import looks
from loader.sources.recognition.looks import Look
from loader.sources.recognition.magics import MAGICS
from loader.sources.recognition.recognize import HEAD, is_enough, recognize
from tests.unit.sources.recognition.content import (
    ARCHIVES,
    ARRAY,
    COMPRESSED,
    DATA,
    DOCUMENT,
    DOCUMENTS,
    ENCODINGS,
    LINES,
    TEXT,
    tar,
)
from tests.unit.strategies import JSON_VALUES, json_texts

BOM = b"\xef\xbb\xbf"


def look_of(content: bytes) -> Look:
    return recognize(content[:HEAD], ended=len(content) <= HEAD)


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES * 1000,
        b"[1,2]\n[3,4]\n",
        b'[{"a":1}]\n[{"a":2}]\n',
        b'1\n"two"\nnull\n',
        b"{}\r\n{}\r\n",
        BOM + LINES,
        b"\n \r\n\n" + LINES,
        BOM + b"\n" + LINES,
        b"{}\nnot json\nnot json either\n<html>\n",
        b'{"a":1,\n' + LINES,
        b'{"a":1}{"a":2}\n' + LINES,
        b'{"a":"caf\xe9"}\n' + LINES,
        b"# exported on Monday\n" + LINES,
        b"id,name\n" + LINES,
        b"{}\n" + b"\0" * 100,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_lines_are_lines_whatever_a_few_of_them_are(content: bytes) -> None:
    assert look_of(content) is looks.LINES


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a":1}', looks.ONE_LINE),
        (b'{"a":1}\n\n \r\n', looks.ONE_LINE),
        (b"3", looks.ONE_LINE),
        (b"[]\n", looks.LINE_OF_VALUES),
        (b"[1, 2]\n", looks.LINE_OF_VALUES),
        (b"[[1], [2]]", looks.LINE_OF_VALUES),
        (b'[ {"a":1},{"a":2}]\n', looks.LINE_OF_OBJECTS),
        (DOCUMENT, looks.DOCUMENT),
        (b"\n" + DOCUMENT + b"\n", looks.DOCUMENT),
        (b'{"a": [\n' + b"1,\n" * HEAD + b"1]}", looks.DOCUMENT),
        (b"{\n not JSON any more", looks.DOCUMENT),
        (ARRAY, looks.ARRAY),
        (BOM + ARRAY.replace(b"\n", b"\r\n"), looks.ARRAY),
        (b'[\n{"a":1}\n,{"a":2}\n]', looks.ARRAY),
        (b'[\n{"a":1}\n,\n{"a":2}\n,\n{"a":3}\n]', looks.ARRAY),
        (b'[{"a":1},\n {"a":2},\n {"a":3}]\n', looks.ARRAY),
        (json.dumps([1] * 1000, indent=4).encode(), looks.ARRAY),
        (b"[\n" + LINES.replace(b"\n", b",\n") * 100 + b"1]", looks.ARRAY),
        (b"[\n{},\n{bad},\n", looks.ARRAY),
        (b"[" + b"1," * HEAD, looks.LONG_ARRAY),
        (b'{"a":1}{"a":2}', looks.VALUES),
        (b'{"a":1} [2]\n{"a":3} {"a":4}\n', looks.VALUES),
        (b'{"a":1}' * HEAD, looks.VALUES),
        (DOCUMENTS, looks.VALUES),
        (DOCUMENT + DOCUMENT, looks.VALUES),
        (b'\x1e{"a":1}\n\x1e{"a":2}\n', looks.SEQUENCE),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else value.title,
)
def test_json_that_is_not_lines(content: bytes, expected: Look) -> None:
    assert look_of(content) is expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\r\n",
        BOM,
        b'{"a":1',
        b"{bad",
        b"[1, 2",
        b"hello",
        b"hello, world",
        b"hello\nworld\n",
        b"a,b\nc\n",
        b"{'a': 1}\n{'a': 2}\n",
        b'{"a": NaN}',
        b'{"a":"' + b"x" * HEAD,
        b'{"a":1,\n{"b":2,\n',
        b"1\0",
        b"\xff",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_of_other_content_nothing_is_said(content: bytes) -> None:
    assert look_of(content) is looks.UNKNOWN


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressions(name: str) -> None:
    assert look_of(COMPRESSED[name]()).title == f"{name}-compressed data"


@pytest.mark.parametrize(("title", "make"), [*ARCHIVES.items(), *DATA.items()], ids=[*ARCHIVES, *DATA])
def test_archives_and_binary_data(title: str, make: Callable[[], bytes]) -> None:
    assert look_of(make()).title == title


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_format_of_tar(form: int) -> None:
    assert look_of(tar(form=form)).title == "a tar archive"


@pytest.mark.parametrize("title", ENCODINGS)
@pytest.mark.parametrize("content", [LINES, DOCUMENT, ARRAY, b"\n {}"], ids=["lines", "document", "array", "short"])
def test_encodings(title: str, content: bytes) -> None:
    assert look_of(content.decode().encode(ENCODINGS[title])).title == f"text in {title}"


@pytest.mark.parametrize("title", TEXT)
def test_other_text(title: str) -> None:
    assert look_of(TEXT[title]).title == title


@given(st.lists(json_texts(), min_size=2, max_size=5), st.integers(0, 200), st.booleans())
def test_a_first_line_of_json_makes_lines_of_any_values(lines: list[bytes], padding: int, crlf: bool) -> None:
    end = b"\r\n" if crlf else b"\n"
    try:
        json.loads(lines[0].decode())
        lines[0].decode()
    except ValueError:
        return
    content = end.join(lines) + end * padding
    # A lone surrogate or a number beyond double is JSON for Python only; nothing may be said of such lines.
    assert look_of(content) in (looks.LINES, looks.UNKNOWN)


@given(JSON_VALUES, st.integers(1, 4))
@example({"": ""}, 1)
def test_a_pretty_printed_container_over_lines_is_one_document_or_array(value: object, indent: int) -> None:
    content = json.dumps({"a": value}, indent=indent, ensure_ascii=False).encode(errors="replace")
    assert look_of(content) in (looks.DOCUMENT, looks.UNKNOWN)
    content = json.dumps([value, value], indent=indent, ensure_ascii=False).encode(errors="replace")
    assert look_of(content) in (looks.ARRAY, looks.UNKNOWN)


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_judged(content: bytes, ended: bool) -> None:
    assert isinstance(recognize(content, ended=ended), Look)


def test_no_magic_is_the_beginning_of_json() -> None:
    for magic in MAGICS:
        for start in magic.starts:
            assert magic.offset or start[:1] not in (*b'{["-0123456789tfn \t\r\n',)


def test_a_first_line_that_begins_an_array_is_read_to_its_end_and_others_are_not() -> None:
    vector = b"[" + b"0.5," * HEAD + b"1]"
    assert not is_enough(vector)
    assert is_enough(vector + b"\n")
    assert recognize(vector + b"\n" + vector, ended=False) is looks.LINES
    assert is_enough(b'{"a":"' + b"x" * HEAD)
    assert not is_enough(b"{}\n" * 10)
