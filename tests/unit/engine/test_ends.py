"""The end of an input: what validation makes of a last line without a line end decides whether it is a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.engine.ends import ends_in_a_record, is_cut_off
from loader.sources.batch import RawBatch
from loader.sources.validate import validate
from loader.tasks.reasons import ReasonCode

LINES = st.text(" \t\r\f\v1x", min_size=1, max_size=4).map(str.encode)


def unended(line: bytes) -> RawBatch:
    return RawBatch(0, 0, [b"1", line], unended=True)


@given(LINES)
def test_a_last_line_is_a_record_unless_validation_takes_it_for_blank(line: bytes) -> None:
    raw = unended(line)
    batch = validate(raw, 0, 0, parsed=False)

    assert ends_in_a_record(raw) == (batch.blank == 0)
    assert is_cut_off(raw) == any(why.code == ReasonCode.INVALID_JSON for _, why in batch.rejected)


@pytest.mark.parametrize("line", [b"\f", b"\v \f"])
def test_a_form_feed_is_no_white_space_in_json(line: bytes) -> None:
    assert ends_in_a_record(unended(line))
    assert is_cut_off(unended(line))
