"""asynq's TaskMessage, against Google's protobuf."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from loader.layouts.task_message import (
    MessageError,
    TaskMessage,
    decode,
    encode,
    encode_message,
    past_of,
    varint,
)
from loader.tasks.options import TaskOptions
from tests.unit import task_message_oracle as oracle

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SECONDS = st.integers(0, 2**53)
OPTIONS = st.builds(
    TaskOptions,
    max_retry=st.integers(0, 2**31 - 1),
    timeout=SECONDS,
    deadline=SECONDS,
    retention=SECONDS,
    headers=st.dictionaries(TEXT, TEXT, max_size=1).map(lambda headers: tuple(headers.items())),
)


@given(TEXT, st.binary(max_size=300), TEXT, TEXT, OPTIONS, TEXT)
def test_messages_are_those_of_protobuf(
    task_type: str, payload: bytes, task_id: str, queue: str, options: TaskOptions, unique_key: str
) -> None:
    assert encode(task_type, payload, task_id.encode(), queue, options, unique_key.encode()) == oracle.encode(
        type=task_type,
        payload=payload,
        id=task_id,
        queue=queue,
        retry=options.max_retry,
        timeout=options.timeout,
        deadline=options.deadline,
        unique_key=unique_key,
        retention=options.retention,
        headers=dict(options.headers),
    )


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_several_headers_are_in_whatever_order(headers: dict[str, str]) -> None:
    message = encode("t", b"p", b"i", "q", TaskOptions(headers=tuple(headers.items())))
    assert oracle.decode(message).get("headers", {}) == headers
    assert message == encode("t", b"p", b"i", "q", TaskOptions(headers=tuple(reversed(headers.items()))))


@given(st.integers(0, 2**63 - 1))
@example(0)
@example(127)
@example(128)
def test_varints_are_read_back(value: int) -> None:
    assert decode(b"\x40" + varint(value)).timeout == value  # field 8, a varint


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("type", "id", "queue", "error_msg", "unique_key", "group_key"), TEXT),
        "payload": st.binary(max_size=300),
        **{name: st.integers(-(2**31), 2**31 - 1) for name in ("retry", "retried")},
        **{
            name: st.integers(-(2**63), 2**63 - 1)
            for name in ("timeout", "deadline", "last_failed_at", "retention", "completed_at")
        },
        "headers": st.dictionaries(TEXT, TEXT, max_size=4),
    },
)


@given(FIELDS)
def test_what_protobuf_writes_is_read(fields: dict[str, object]) -> None:
    message = decode(oracle.encode(**fields))
    for name in ("type", "id", "queue", "error_msg", "unique_key", "group_key", "timeout", "deadline", "retention"):
        assert getattr(message, name) == fields.get(name, type(getattr(message, name))())
    assert message.payload == fields.get("payload", b"")
    assert message.max_retry == fields.get("retry", 0) and message.retried == fields.get("retried", 0)
    assert (message.last_failed_at, message.completed_at) == (
        fields.get("last_failed_at", 0),
        fields.get("completed_at", 0),
    )
    assert message.headers == fields.get("headers", {})


@given(FIELDS)
def test_fields_of_later_versions_are_kept_as_they_are(fields: dict[str, object]) -> None:
    data = oracle.encode(**fields)
    later = b"\x80\x02\x05" + b"\x8a\x02\x03abc" + b"\x91\x02" + b"8bytes.." + b"\x9d\x02" + b"4byt"  # fields 32 to 35
    assert decode(later + data) == decode(data + later)
    assert decode(later + data).unknown == later
    assert replace(decode(later + data), unknown=b"") == decode(data)


def written_again(message: TaskMessage) -> bytes:
    """The message, encoded by way of a task's options, as a task that is moved is."""
    options = TaskOptions(
        type=message.type,
        max_retry=message.max_retry,
        timeout=message.timeout,
        deadline=message.deadline,
        retention=message.retention,
        headers=tuple(message.headers.items()),
        group=message.group_key,
        past=past_of(message),
    )
    lock = message.unique_key.encode()
    return encode(message.type, message.payload, message.id.encode(), message.queue, options, lock)


@given(FIELDS)
def test_a_message_that_is_read_and_written_again_is_the_same(fields: dict[str, object]) -> None:
    later = b"\x80\x02\x05"
    message = decode(oracle.encode(**fields) + later)
    assert decode(written_again(message)) == message


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_protobuf_does(data: bytes) -> None:
    try:
        message = decode(data)
    except MessageError:
        return  # protobuf may be more lenient where a known field has another wire type
    try:
        theirs = oracle.task_message_class().FromString(data)
    except DecodeError as error:
        pytest.fail(f"protobuf refuses what we read as {message}: {error}")
    assert (message.type, message.payload, message.id) == (theirs.type, theirs.payload, theirs.id)  # type: ignore[attr-defined]


@given(st.sampled_from(["retry", "retried"]), st.integers(-(2**63), 2**63 - 1))
@example("retry", 2**31)
@example("retried", -(2**31) - 1)
def test_a_number_beyond_its_type_is_cut_as_protobuf_cuts_it(name: str, value: int) -> None:
    data = bytes([{"retry": 5, "retried": 6}[name] << 3]) + varint(value % 2**64)
    message = decode(data)
    assert {"retry": message.max_retry, "retried": message.retried}[name] == getattr(
        oracle.task_message_class().FromString(data), name
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x40\x80",
        b"\x40" + b"\xff" * 11,
        b"\x0a\x01\xff",
        b"\x0b",
        b"\x10\x01",
        b"\x02\x01a",
        b"\x7a\x06\x0a\x01\xff\x0a\x01b",
    ],
    ids=[
        "no length",
        "cut",
        "cut number",
        "long number",
        "no UTF-8",
        "group",
        "wire type",
        "field 0",
        "no UTF-8, later replaced",
    ],
)
def test_damaged_messages_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(data)


@given(
    st.builds(
        TaskMessage,
        type=TEXT,
        payload=st.binary(max_size=300),
        id=TEXT,
        queue=TEXT,
        max_retry=st.integers(-(2**31), 2**31 - 1),
        retried=st.integers(0, 2**31 - 1),
        error_msg=TEXT,
        timeout=SECONDS,
        deadline=SECONDS,
        unique_key=TEXT,
        last_failed_at=SECONDS,
        retention=SECONDS,
        completed_at=SECONDS,
        group_key=TEXT,
        headers=st.dictionaries(TEXT, TEXT, max_size=1),
        unknown=st.sampled_from([b"", b"\xa0\x01\x07"]),
    )
)
def test_a_decoded_message_is_encoded_again_as_protobuf_does(message: TaskMessage) -> None:
    again = encode_message(message)

    assert decode(again) == message
    known = {name: getattr(message, name) for name in TaskMessage.__slots__ if name != "unknown"}
    known["retry"] = known.pop("max_retry")
    assert again == oracle.encode(**known) + message.unknown
