"""What the property tests draw from: JSON values, lines that are hard to judge, and ways to cut bytes into chunks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

WHITE_SPACE = st.text(" \t\r", max_size=3).map(str.encode)
"""JSON white space that can stand on one line."""

NAMES = st.text("abcXYZ019_-é雪", min_size=1, max_size=12)
"""Parts of queue names."""

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def json_texts(draw: st.DrawFn, values: st.SearchStrategy[Any] = JSON_VALUES) -> bytes:
    """One JSON value on one line, in one of the ways to write it."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    # Escapes may spell lone surrogates, which orjson refuses; raw ones are no UTF-8 at all, so they become U+FFFD.
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()), separators=separators)
    return text.encode(errors="replace")


TRICKY_LINES = st.sampled_from(
    [
        b"",
        b" \t\r",
        b"\x0c",
        b"\x0b1",
        b"1\x0c",
        b"\xc2\xa01",
        b"[1",
        b"2]",
        b'{"a":1',
        b',"b":2}',
        b"1,2",
        b"1 2",
        b'"a',
        b'b"',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"01",
        b"+1",
        b"1.",
        b"'a'",
        b"true false",
        b"nul",
        b"\xff",
        b'"\xff"',
        b'"\xc3"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\\u0000"',
        b'"\x00"',
        b"\x00",
        b'"a\tb"',
        b"\xef\xbb\xbf1",
        b"[" * 1000 + b"]" * 1000,
        b"[" * 1100 + b"]" * 1100,
        b"[" * 100_000,
        b"1" * 400,
    ]
)
"""Lines whose verdict is easy to get wrong, above all where lines are judged together."""

ONE_LINE_BYTES = st.binary(max_size=12).map(lambda content: content.replace(b"\n", b"\r"))

LINES = st.builds(
    lambda before, text, after: before + text + after,
    WHITE_SPACE,
    json_texts() | TRICKY_LINES | ONE_LINE_BYTES,
    WHITE_SPACE,
)


@st.composite
def chunkings(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """Some content, and the same content in chunks."""
    content = draw(contents)
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=20)))
    ends = [*cuts, len(content)]
    return content, [content[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
