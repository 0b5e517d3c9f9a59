"""Head: what it says of content that comes in pieces is what the whole of them says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.codecs.registry import is_undecided
from loader.sources.recognition import recognize
from loader.sources.recognition.head import Head
from loader.sources.recognition.recognize import has_line, is_enough

PIECES = st.sampled_from(
    [b"[", b"{", b"1", b"\n", b" ", b"\xef\xbb\xbf", b"\xef", b"\xbb", b'{"a":1}', b"[1]\n", b"x" * 9, b"[1,"]
)


@given(st.lists(st.lists(PIECES, min_size=1, max_size=4).map(b"".join), max_size=12))
def test_pieces_that_are_searched_once_say_what_all_of_them_say(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognize, "HEAD", 8)
        patch.setattr(recognize, "MOST", 30)
        head, whole = Head("in", None), b""
        for piece in pieces:
            head.feed(piece)
            whole += piece
            if is_undecided(whole):  # a bracket may begin a skippable frame
                continue
            assert head.content == whole
            assert (head.has_line, head.is_enough) == (has_line(whole), is_enough(whole))
