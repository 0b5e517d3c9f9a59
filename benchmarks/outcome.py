"""What a load must leave in Redis, for each layout. It follows the wire formats and shares no code with the loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import orjson
from google.protobuf.message import DecodeError

from benchmarks.errors import WrongResultError
from benchmarks.task_message import task_message

QUEUE = "inference.default"
QUEUES_KEY = b"asynq:queues"


class Window(NamedTuple):
    """The time in which tasks can have been made, in Unix nanoseconds."""

    begin: int
    end: int


class Layout(Protocol):
    """How a task is stored."""

    @property
    def lists_queues(self) -> bool:
        """Whether the queue's name is in ``asynq:queues``."""
        ...

    def pending_key(self, queue: str) -> bytes: ...

    def task_key(self, queue: str, task_id: bytes) -> bytes: ...

    def look_up(self, queue: str, task_id: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
        """The key of a task's second hash and its expected fields; None if the layout has no second hash."""
        ...

    def payload(self, queue: str, task_id: bytes, fields: dict[bytes, bytes], window: Window) -> bytes:
        """The payload in a task's hash.

        Raises:
            WrongResultError: A field of the hash is not as expected.
        """
        ...


@dataclass(frozen=True, slots=True)
class Documented:
    """See ``Layout``. The enqueueing guide's keys."""

    lists_queues: ClassVar[bool] = False

    def pending_key(self, queue: str) -> bytes:
        return b"asynq:%b:pending" % queue.encode()

    def task_key(self, queue: str, task_id: bytes) -> bytes:
        return b"asynq:t:" + task_id

    def look_up(self, queue: str, task_id: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
        return None

    def payload(self, queue: str, task_id: bytes, fields: dict[bytes, bytes], window: Window) -> bytes:
        expected = {b"type": b"task", b"retry": b"0", b"max_retry": b"3", b"queue": queue.encode()}
        payload = fields.get(b"payload")
        if payload is None or fields != {**expected, b"payload": payload}:
            raise WrongResultError(f"the task {task_id.decode()} is stored with the fields {fields}")
        return payload


@dataclass(frozen=True, slots=True)
class Asynq:
    """See ``Layout``. The keys of asynq 0.26.

    Args:
        type: The type of the tasks; empty for the queue's name.
        retry: How often a worker may retry.
        timeout: In seconds.
        retention: In seconds.
        reverse: Whether each task also has runqy's ``asynq:t:<id>``.
    """

    type: str
    retry: int
    timeout: int
    retention: int
    reverse: bool
    lists_queues: ClassVar[bool] = True

    def pending_key(self, queue: str) -> bytes:
        return b"asynq:{%b}:pending" % queue.encode()

    def task_key(self, queue: str, task_id: bytes) -> bytes:
        return b"asynq:{%b}:t:%b" % (queue.encode(), task_id)

    def look_up(self, queue: str, task_id: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
        return (b"asynq:t:" + task_id, {b"queue": queue.encode()}) if self.reverse else None

    def payload(self, queue: str, task_id: bytes, fields: dict[bytes, bytes], window: Window) -> bytes:
        since = fields.get(b"pending_since", b"")
        if fields.keys() != {b"msg", b"state", b"pending_since"} or fields[b"state"] != b"pending":
            raise WrongResultError(f"the task {task_id.decode()} is stored with the fields {fields}")
        if not since.isdigit() or not window.begin <= int(since) <= window.end:
            raise WrongResultError(
                f"the task {task_id.decode()} is pending since {since.decode()} ns, which is not within {window}"
            )
        message = fields[b"msg"]
        try:
            payload: bytes = task_message().FromString(message).payload
        except DecodeError as error:
            raise WrongResultError(f"the message of the task {task_id.decode()} is not valid: {message!r}") from error
        # The expected message is built and compared as a whole, so missing, extra and repeated fields are found too.
        expected = task_message()(
            type=self.type or queue,
            payload=payload,
            id=task_id.decode(),
            queue=queue,
            retry=self.retry,
            timeout=self.timeout,
            retention=self.retention,
        )
        if expected.SerializeToString(deterministic=True) != message:
            raise WrongResultError(f"the message of the task {task_id.decode()} is {message!r}, not that of {expected}")
        return payload


DOCUMENTED = Documented()
ASYNQ = Asynq("task", retry=25, timeout=1800, retention=0, reverse=False)
"""``--layout asynq --profile asynq --type task``: what asynq's own client would enqueue."""
RUNQY = Asynq("", retry=3, timeout=30, retention=86_400, reverse=True)
"""``--layout asynq``: what the runqy server would enqueue."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load must leave in Redis.

    Attributes:
        queues: Full names of all queues that get tasks.
        id_field: The field of a payload that holds its task's id.
        queue_field: The field of a payload that holds its task's queue.
    """

    layout: Layout = DOCUMENTED
    queues: tuple[str, ...] = (QUEUE,)
    id_field: str | None = None
    queue_field: str | None = None

    def check_record_fields(self, queue: str, task_id: bytes, payload: bytes) -> None:
        """Raises WrongResultError unless id and queue are those in the payload, if they come from the payload."""
        if self.id_field is None and self.queue_field is None:
            return
        record = orjson.loads(payload)
        if self.id_field is not None and record[self.id_field] != task_id.decode():
            raise WrongResultError(f"the task {task_id.decode()} should have the id {record[self.id_field]}")
        if self.queue_field is not None and record[self.queue_field] != queue:
            raise WrongResultError(f"the task {task_id.decode()} of {record[self.queue_field]} is in {queue}")


USUAL = Outcome()
"""Generated ids, one queue, the documented layout: all contestants can do this."""
