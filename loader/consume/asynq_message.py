"""What ending a task needs of its message, read as fast as the queue gives tasks."""

from __future__ import annotations

import time

from loader.consume.way import Taken
from loader.layouts.task_message import MessageError, TaskMessage, decode

_TIMEOUT_SECONDS = 1800
"""``defaultTimeout``, for a task with neither timeout nor deadline (asynq 0.26, ``client.go``)."""

_MOST_TAILS = 1000
_HEADS = (0x0A, 0x12, 0x1A)
"""The tags of the fields 1 to 3: type, payload, id."""


class MessageReader:
    """Reads messages.

    Behind type, payload and id, which differ from task to task, the messages of a load are the same: their ends are
    decoded once. A message in another order, or with a type or an id that is not ASCII, is decoded whole.
    """

    def __init__(self) -> None:
        self._tails: dict[bytes, TaskMessage] = {}

    def read(self, task_id: bytes, data: bytes | None) -> Taken | None:
        """The task of a message; None if it cannot be read."""
        if data is None:
            return None
        try:
            found = self._known(data) or decode(data)
        except MessageError:
            return None
        return Taken(
            task_id,
            found.retried,
            found.max_retry,
            deadline=_deadline(found),
            data=data,
            lock=found.unique_key.encode(),
            retention=found.retention,
        )

    def _known(self, data: bytes) -> TaskMessage | None:
        """The end of a message; None if it does not begin with type, payload and id in this order."""
        at = 0
        try:
            for tag in _HEADS:
                if data[at] != tag:
                    if tag == _HEADS[1]:
                        continue  # an empty payload is left out
                    return None
                at, length, shift = at + 2, data[at + 1], 7
                if length > 0x7F:
                    length &= 0x7F
                    while True:
                        length |= (data[at] & 0x7F) << shift
                        at, shift = at + 1, shift + 7
                        if data[at - 1] < 0x80:
                            break
                if tag != _HEADS[1] and not data[at : at + length].isascii():
                    return None  # whether it is text is seen when the whole message is decoded
                at += length
        except IndexError:
            return None
        tail = data[at:]
        found = self._tails.get(tail)
        if found is None and at <= len(data):
            found = decode(tail)
            if len(self._tails) >= _MOST_TAILS:
                self._tails.clear()
            self._tails[tail] = found
        return found


def _deadline(message: TaskMessage) -> float:
    """Unix time at which the task has failed (``computeDeadline``, ``processor.go``)."""
    now = time.time()
    if message.timeout and message.deadline:
        return float(min(int(now) + message.timeout, message.deadline))
    if message.deadline:
        return float(message.deadline)
    return now + (message.timeout or _TIMEOUT_SECONDS)
