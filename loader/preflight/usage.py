"""How queues are used: which keys they have in either layout, and who consumes from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import redis.exceptions

from loader.preflight.ask import Answers, Command, Question
from loader.preflight.consumers import REGISTERED, Consumer, living
from loader.queues.existing import QUEUES_KEY
from loader.tasks.profiles import LayoutName

_ASYNQ_KINDS = ("pending", "active", "scheduled", "retry", "archived", "completed", "processed")
"""What asynq keeps for a queue (asynq 0.26, ``internal/base``). The last counts what was consumed and never ends, so
it tells of a queue that is empty just now."""
_COMMANDS_A_QUEUE = 4

MOST_QUEUES = 100
"""Of how many queues the keys are looked at, where there are more."""


@dataclass(frozen=True, slots=True)
class QueueSigns:
    """What the keys tell of a queue.

    Attributes:
        name: Full name of the queue.
        asynq: Whether it has keys of the asynq layout.
        documented: Whether it has keys of the documented layout.
        waiting: Tasks that wait in the documented layout.
        listed: Whether ``asynq:queues`` names it.
        not_permitted: Whether the server refused to tell something of this.
    """

    name: str
    asynq: bool = False
    documented: bool = False
    waiting: int = 0
    listed: bool = False
    not_permitted: bool = False

    def without(self, layout: LayoutName | None) -> QueueSigns:
        """As if it had no keys of this layout."""
        if layout == "asynq":
            return replace(self, asynq=False)
        return replace(self, documented=False, waiting=0) if layout == "documented" else self


@dataclass(frozen=True, slots=True)
class Usage:
    """How queues are used.

    Attributes:
        queues: What their keys tell.
        living: Consumers of any queue.
        not_permitted: Whether the server refused to tell who consumes.
    """

    queues: list[QueueSigns]
    living: list[Consumer]
    not_permitted: bool = False

    def without(self, layout: LayoutName | None) -> Usage:
        """As if the queues had no keys of this layout."""
        return replace(self, queues=[queue.without(layout) for queue in self.queues])


class UsageCheck:
    """Finds out how queues are used, in two round trips that may ask other things as well.

    Args:
        queues: Their full names.

    Attributes:
        first: What is to be asked in the first round trip.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        self._signs = signs_of(queues)
        self.first: tuple[Question[Any], ...] = (REGISTERED, self._signs)

    def second(self, first: Answers, now: float) -> Question[list[Consumer]]:
        """What is to be asked in the second.

        Args:
            now: The server's Unix time.
        """
        return living(first[REGISTERED].candidates(now))

    def usage(self, first: Answers, consumers: list[Consumer]) -> Usage:
        """What both have told."""
        return Usage(first[self._signs], consumers, first[REGISTERED].not_permitted)


def signs_of(queues: Sequence[str]) -> Question[list[QueueSigns]]:
    """Asks what the keys of these queues (full names) tell."""
    commands: list[Command] = []
    for queue in queues:
        commands += [
            ("EXISTS", *(f"asynq:{{{queue}}}:{kind}" for kind in _ASYNQ_KINDS)),
            ("LLEN", f"asynq:{queue}:pending"),
            ("EXISTS", f"asynq:{queue}:active"),
            ("SISMEMBER", QUEUES_KEY, queue),
        ]
    return Question(commands, partial(signs, queues))


def signs(queues: Sequence[str], replies: Sequence[Any]) -> list[QueueSigns]:
    """What the replies tell of these queues."""
    found: list[QueueSigns] = []
    for number, queue in enumerate(queues):
        part = replies[number * _COMMANDS_A_QUEUE : (number + 1) * _COMMANDS_A_QUEUE]
        keys, waiting, active, listed = (0 if isinstance(reply, Exception) else int(reply) for reply in part)
        not_permitted = any(isinstance(reply, redis.exceptions.NoPermissionError) for reply in part)
        found.append(QueueSigns(queue, keys > 0, waiting + active > 0, waiting, bool(listed), not_permitted))
    return found


def listed(replies: Sequence[Any]) -> list[str]:
    """Queues that the reply names, in their order by name; none where it is an error."""
    (members,) = replies
    return sorted(str(member, errors="replace") for member in members) if isinstance(members, list) else []


LISTED: Question[list[str]] = Question((("SRANDMEMBER", QUEUES_KEY, MOST_QUEUES),), listed)
"""Some of the queues that ``asynq:queues`` names."""
