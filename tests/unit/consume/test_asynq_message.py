"""What ending a task needs of its message: read the quick way as from the whole message."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from loader.consume.asynq_message import MessageReader
from loader.layouts.task_message import MessageError, decode
from tests.unit import task_message_oracle as oracle

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
MESSAGES = st.fixed_dictionaries(
    {"type": TEXT, "payload": st.binary(max_size=20_000), "id": TEXT, "queue": TEXT},
    optional={
        "retry": st.integers(0, 2**31 - 1),
        "retried": st.integers(0, 1000),
        "retention": st.integers(0, 2**40),
        "deadline": st.integers(1, 2**40),
        "unique_key": TEXT,
        "error_msg": TEXT,
    },
)


@given(st.lists(MESSAGES, max_size=5))
def test_messages_are_read_as_they_are(messages: list[dict[str, object]]) -> None:
    reader = MessageReader()

    for fields in [*messages, *messages]:
        data = oracle.encode(**fields)
        task, whole = reader.read(b"id", data), decode(data)
        assert task is not None
        assert (task.id, task.data, task.lock) == (b"id", data, whole.unique_key.encode())
        assert (task.retried, task.max_retry, task.retention) == (whole.retried, whole.max_retry, whole.retention)
        if whole.deadline:
            assert task.deadline == whole.deadline


@given(st.binary(max_size=60))
@example(b"\x0a\x01\xff\x1a\x01a")
@example(b"\x0a\x01t\x1a\x01\xff")
@example(b"\x0a\x05t")
@example(b"\x0a\x80\x80")
@example(b"\x0a\x81\x00t\x12\x00\x1a\x01a")
@example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01t")
def test_bytes_that_are_no_message_are_no_task(data: bytes) -> None:
    task = MessageReader().read(b"id", data)
    try:
        whole = decode(data)
    except MessageError:
        whole = None

    assert (task is None) == (whole is None)
    if task is not None and whole is not None:
        assert (task.retried, task.max_retry, task.lock) == (whole.retried, whole.max_retry, whole.unique_key.encode())


def test_a_hash_without_a_message_is_no_task() -> None:
    assert MessageReader().read(b"id", None) is None
