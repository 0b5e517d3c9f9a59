"""Calls of scripts, many in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple

from loader.servers.question import Question
from loader.servers.session import Session
from loader.wire.connection import Reply
from loader.wire.resp import array


class Script:
    """A script that is called often.

    Args:
        text: The script as it is sent.
    """

    __slots__ = ("digest", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.digest = sha1(text).hexdigest().encode()  # noqa: S324 - EVALSHA names scripts so


class Call(NamedTuple):
    """A call of a script. Its keys are in one slot."""

    script: Script
    keys: tuple[bytes, ...]
    arguments: tuple[bytes, ...] = ()


async def run_calls(session: Session, calls: Sequence[Call]) -> list[Reply]:
    """The replies to these calls, which are sent at once and run in their order. Error replies are values.

    The first call of each script has its whole text, so the server knows it when the others name it by its digest: they
    follow on the same connection. All keys are those of one queue, so in a cluster they are on one node.

    Raises:
        SinkError: The fault lasted.
    """
    known: set[bytes] = set()
    questions: list[Question] = []
    made: tuple[Call, Question] | None = None
    for call in calls:
        if made is None or made[0] is not call:  # takes are one call many times
            script, keys, arguments = call
            is_known = script.digest in known
            name = (b"EVALSHA", script.digest) if is_known else (b"EVAL", script.text)
            known.add(script.digest)
            question = Question(keys[0], array((*name, b"%d" % len(keys), *keys, *arguments)))
            made = (call, question) if is_known else None
        questions.append(question)
    return await session.values(questions)
