"""The oracle itself: what google's protobuf writes for a TaskMessage, checked against bytes written by hand."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError

from tests.unit.task_message_oracle import decode, encode

EVERY_FIELD: dict[str, object] = {
    "type": "t",
    "payload": b"\x00\xff",
    "id": "i",
    "queue": "q",
    "retry": 25,
    "retried": 1,
    "error_msg": "e",
    "timeout": 1800,
    "deadline": 2,
    "unique_key": "u",
    "last_failed_at": 3,
    "retention": 4,
    "completed_at": 5,
    "group_key": "g",
    "headers": {"b": "", "a": "1"},
}


def test_fields_are_written_in_the_order_of_their_numbers_and_headers_in_that_of_their_keys() -> None:
    expected = (
        b"\x0a\x01t\x12\x02\x00\xff\x1a\x01i\x22\x01q\x28\x19\x30\x01\x3a\x01e\x40\x88\x0e\x48\x02"
        b"\x52\x01u\x58\x03\x60\x04\x68\x05\x72\x01g"
        b"\x7a\x06\x0a\x01a\x12\x011\x7a\x05\x0a\x01b\x12\x00"
    )
    assert encode(**EVERY_FIELD) == expected


def test_what_was_encoded_is_decoded() -> None:
    assert decode(encode(**EVERY_FIELD)) == EVERY_FIELD
    assert list(decode(encode(**EVERY_FIELD))) == list(EVERY_FIELD)


def test_zero_and_empty_values_are_left_out() -> None:
    assert encode(type="", payload=b"", retry=0, timeout=0, headers={}) == b""
    assert decode(b"") == {}


def test_a_negative_number_takes_ten_bytes() -> None:
    assert encode(retry=-1) == b"\x28" + b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0a\x01\xff"], ids=["cut short", "not UTF-8"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


def test_a_field_that_the_message_does_not_have_is_refused() -> None:
    with pytest.raises(AssertionError, match="does not have"):
        decode(encode(id="i") + b"\x80\x01\x01")
