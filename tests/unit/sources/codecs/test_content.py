"""Content: what is compressed is known by its first bytes, however these arrive, and nothing else is changed."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.content import Content
from loader.sources.codecs.gzip import GZIP
from loader.sources.codecs.registry import detect, is_undecided
from tests.unit.strategies import chunkings, json_texts


def content_of(chunks: Iterable[bytes], codec: Codec | None = None, *, whole: bool = True) -> bytes:
    content = Content("in", codec, whole=whole)
    pieces = [piece for chunk in chunks for piece in content.feed(chunk)]
    return b"".join([*pieces, *content.finish()])


@given(chunkings(st.binary(max_size=8).filter(lambda content: detect(content, ended=True) is None)))
def test_what_has_no_magic_is_given_as_it_is(case: tuple[bytes, list[bytes]]) -> None:
    content, chunks = case
    assert content_of(chunks) == content


@given(chunkings(st.binary(max_size=50).map(gzip.compress)))
def test_magic_is_known_however_it_is_cut(case: tuple[bytes, list[bytes]]) -> None:
    stored, chunks = case
    assert content_of(chunks) == content_of(chunks, GZIP) == gzip.decompress(stored)


def test_from_the_middle_of_a_file_magic_means_nothing() -> None:
    assert content_of([b"\x1f\x8b\n", b"1\n"], whole=False) == b"\x1f\x8b\n1\n"


@given(json_texts(), st.sampled_from([b"", b" ", b"\r\n", b"\xef\xbb\xbf"]))
def test_of_json_not_a_byte_is_held_back_but_a_bracket_that_comes_alone(text: bytes, before: bytes) -> None:
    first = (before + text)[:1]
    if first == b"[":  # skippable frames may begin with it
        first = (before + text)[:2]
    assert list(Content("in", None).feed(first)) == [first]


def test_detection_is_decided_as_soon_as_it_can_be() -> None:
    assert [is_undecided(head) for head in (b"", b"\x1f", b"\x1f\x8b", b"\x1fx", b"1")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (detect(b"\x1f\x8b\x08"), detect(b"\x1f"), detect(b"1")) == (GZIP, None, None)


def test_no_bytes_are_no_stream_of_a_compression_that_is_said() -> None:
    assert content_of([]) == b""
    with pytest.raises(SourceError, match="ends in the middle"):
        content_of([], GZIP)
