"""Questions to the server: many in one round trip. An error reply to one question does not affect the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import hiredis

from loader.errors import TransientError
from loader.servers.routing import Servers
from loader.wire.client import Client
from loader.wire.faults import from_reply

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Command = tuple[str | bytes | int, ...]
"""The name of a command and its arguments. If it has a key, the key is the first argument."""

_KEYLESS = ("INFO", "CONFIG", "TIME", "ACL")


@dataclass(frozen=True, slots=True, eq=False)
class Question(Generic[T_co]):
    """A question that one or more commands answer.

    Attributes:
        commands: They are sent in this order; empty if the answer is known already.
        read: Makes the answer from the replies, one for each command. An error reply is an exception among them.
        may_fail: Whether errors that may pass are an answer as well.
    """

    commands: Sequence[Command]
    read: Callable[[Sequence[Any]], T_co]
    may_fail: bool = False


class Answers:
    """The replies of one round trip. ``answers[question]`` is the answer to one of its questions."""

    def __init__(self, replies: Mapping[Question[Any], Sequence[Any]]) -> None:
        self._replies = replies

    def __getitem__(self, question: Question[T]) -> T:
        return question.read(self._replies[question])

    def raise_transient(self, where: str) -> None:
        """Raises TransientError if a reply is an error that may pass: then the questions must be asked again."""
        for question, replies in self._replies.items():
            for reply in replies:
                if isinstance(reply, hiredis.ReplyError) and not question.may_fail:
                    error = from_reply(str(reply), where)
                    if isinstance(error, TransientError):
                        raise error


async def ask(servers: Servers, *questions: Question[Any]) -> Answers:
    """Asks all questions in one round trip.

    In a cluster, a command with a key goes to the node that serves the key. The others go to one node. If no node
    serves the key, the reply is an error: the checks go on with what can be asked.

    Raises:
        LoaderError: A connection fails.
    """
    commands = [command for question in questions for command in question.commands]
    by_node: dict[Client, list[int]] = {}
    replies: dict[int, Any] = {}
    for position, command in enumerate(commands):
        key = _key(command)
        if key is not None and not servers.serves(key):
            replies[position] = hiredis.ReplyError(f"ERR no node of the cluster serves the slot of key {key!r}")
        else:
            node = servers.clients()[0] if key is None else servers.client_of(key)
            by_node.setdefault(node, []).append(position)
    parts = await asyncio.gather(
        *(node.ask_each([commands[at] for at in positions]) for node, positions in by_node.items())
    )
    for positions, part in zip(by_node.values(), parts, strict=True):
        replies.update(zip(positions, part, strict=True))
    in_order = (replies[at] for at in range(len(commands)))
    return Answers({question: [next(in_order) for _ in question.commands] for question in questions})


async def ask_node(node: Client, *questions: Question[Any]) -> Answers:
    """Asks all questions of one server.

    Raises:
        LoaderError: The connection fails.
    """
    replies = iter(await node.ask_each([command for question in questions for command in question.commands]))
    return Answers({question: [next(replies) for _ in question.commands] for question in questions})


def _key(command: Command) -> str | bytes | None:
    key = command[1] if command[0] not in _KEYLESS else None
    return None if isinstance(key, int) else key
