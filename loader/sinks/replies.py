"""What the replies to the commands of a delivery say of its tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import hiredis

from loader.errors import OversizedError, TransientError
from loader.layouts.base import QueueEncoder
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.connection import Reply
from loader.wire.faults import from_reply

_OF_A_DUMP = re.compile(
    "dump payload|bad data format|restore|unknown (?:redis )?command|executing the script can't|acl failure",
    re.IGNORECASE,
)
"""Errors by which a script's RESTORE may fail (Redis 6.2 to 8.2, Valkey 9.1). Redis 7.0 does not say which command this
user must not run."""


_BY_HSET = "tasks are written by HSET from now on"


class DumpRefusedError(Exception):
    """The server does not take dumps. The tasks can be written by HSET, and the message is for when that has worked."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a delivery's tasks.

    Attributes:
        refused: Positions of tasks whose key holds another type.
        existing: Positions of tasks whose key exists, so that it was not made from a dump.
        dumped: The number of tasks that were written as dumps.
    """

    refused: dict[int, Reason] = field(default_factory=dict)
    existing: list[int] = field(default_factory=list)
    dumped: int = 0


def outcome_of(
    replies: Sequence[Reply], encoder: QueueEncoder, where: Callable[[int], str], commands_a_task: int
) -> Outcome:
    """Reads the replies to RESTORE and HSET.

    Args:
        where: The place of the task at a position, for errors.
        commands_a_task: The number of replies to each task.

    Raises:
        DumpRefusedError: The server does not take dumps.
        LoaderError: The server refuses a task for another reason.
    """
    kinds = list(map(type, replies))  # hot path: C loops, about 20 ns a task
    dumped = kinds.count(bytes) if encoder.is_compact else 0
    if set(kinds) <= {int, bytes}:
        return Outcome(dumped=dumped)
    refused: dict[int, Reason] = {}
    existing: list[int] = []
    for number, reply in enumerate(replies):
        if not isinstance(reply, hiredis.ReplyError):
            continue
        position, text = number // commands_a_task, str(reply)
        if text.startswith("WRONGTYPE"):
            refused[position] = Reason.of(ReasonCode.WRONG_TYPE)
        elif text.startswith("BUSYKEY"):
            existing.append(position)
        else:
            if encoder.is_compact:
                refuse_dumps(text, where(position))
            raise from_reply(text, where(position))
    if refused and encoder.is_compact:
        kept = (reply for number, reply in enumerate(replies) if number // commands_a_task not in refused)
        dumped = sum(isinstance(reply, bytes) for reply in kept)
    return Outcome(refused, existing, dumped)


def check_script(reply: Reply, encoder: QueueEncoder, where: str) -> None:
    """Checks the reply to a script that places tasks.

    Raises:
        DumpRefusedError: The server does not take dumps.
        LoaderError: The script failed for another reason.
    """
    if isinstance(reply, hiredis.ReplyError):
        text = str(reply)
        if encoder.is_compact and _OF_A_DUMP.search(text) is not None:
            refuse_dumps(text, where)
        raise from_reply(text, where)


def refuse_dumps(text: str, where: str) -> None:
    """Raises DumpRefusedError if an error reply may be about dumps.

    It is not if it may pass, if a value is too long, or if a key exists: none is replaced.
    """
    if not text.startswith("BUSYKEY") and not isinstance(from_reply(text, where), TransientError | OversizedError):
        said = text.removeprefix("ERR ")
        raise DumpRefusedError(f"{where}: the server takes no compact task ({said}); {_BY_HSET}")
