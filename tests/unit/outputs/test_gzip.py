"""Gzip members that are appended, read back and cut. The oracle is Python's own gzip."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.outputs.gzip import as_stored, cut_incomplete_member, open_stored, open_stream

PIECES = st.lists(st.binary(max_size=300), max_size=6)


@given(PIECES)
def test_appended_members_read_as_one_stream(pieces: list[bytes]) -> None:
    stored = b"".join(as_stored(Path("x.gz"), piece) for piece in pieces)
    assert (gzip.decompress(stored) if stored else b"") == b"".join(pieces)
    assert all(as_stored(Path("x"), piece) == piece for piece in pieces)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_member_that_was_cut_short_is_removed_and_those_before_it_stay(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.gz"
    whole = gzip.compress(b"one\n", mtime=0) + gzip.compress(b"two\n", mtime=0)
    last = gzip.compress(b"three, a longer line\n", mtime=0)
    path.write_bytes(whole + last[: min(cut, len(last) - 1)])

    cut_incomplete_member(path)

    assert path.read_bytes() == whole
    with open_stored(path) as file:
        assert file.read() == b"one\ntwo\n"


def test_complete_members_of_any_writer_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    data = gzip.compress(b"1\n" * 2_000_000) + gzip.compress(b"2\n")
    path.write_bytes(data)
    cut_incomplete_member(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("content", [b"plain text\n", gzip.compress(b"1\n") + b"and more"], ids=["plain", "mixed"])
def test_what_is_no_gzip_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(OSError, match="gzip"):
        cut_incomplete_member(path)
    assert path.read_bytes() == content


@given(PIECES)
def test_a_stream_is_one_gzip_file_and_the_same_for_the_same_data(pieces: list[bytes]) -> None:
    written = []
    for _ in range(2):
        file = io.BytesIO()
        stream = open_stream(Path("x.gz"), file)
        for piece in pieces:
            stream.write(piece)
        stream.close()
        written.append(file.getvalue())
    assert gzip.decompress(written[0]) == b"".join(pieces)
    assert written[0] == written[1]
