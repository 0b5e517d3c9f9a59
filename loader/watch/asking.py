"""Asks a server about keys that may be of any type."""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

from loader.servers.question import Question
from loader.servers.session import Session
from loader.wire.connection import Reply
from loader.wire.faults import from_reply


async def values(session: Session, questions: Sequence[Question]) -> list[Reply]:
    """The replies, in the order of the questions. For a key of another type, the error is a value in the list.

    Raises:
        SinkError: The server refuses a command for another reason. If that passed for an empty key, a queue would be
            shown as empty. Also: the server cannot be reached.
    """
    replies = await session.values(questions) if questions else []
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("WRONGTYPE"):
            raise from_reply(str(reply), str(session.address))
    return replies
