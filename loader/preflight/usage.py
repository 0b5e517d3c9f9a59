"""The usage of queues: their keys in either layout, and their consumers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from loader.preflight.ask import Answers, Command, Question
from loader.preflight.consumers import REGISTERED, Consumer, living
from loader.queues.asynq_keys import PROCESSED, WITH_TASKS
from loader.queues.existing import QUEUES_KEY
from loader.tasks.profiles import LayoutName
from loader.wire.faults import code_of

_ASYNQ_KINDS = (*WITH_TASKS, PROCESSED)
_COMMANDS_A_QUEUE = 4

MOST_QUEUES = 100
"""The maximum number of queues whose keys are checked."""


@dataclass(frozen=True, slots=True)
class QueueSigns:
    """The signs of use of a queue, from its keys.

    Attributes:
        name: Full name of the queue.
        asynq: Whether it has keys of the asynq layout.
        documented: Whether it has keys of the documented layout.
        waiting: The number of pending tasks in the documented layout.
        listed: Whether ``asynq:queues`` contains its name.
        not_permitted: Whether the user has no right to read some of this.
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
    """The usage of queues.

    Attributes:
        queues: The signs from their keys.
        living: The running consumers of any queue.
        not_permitted: Whether the user has no right to read the consumers.
    """

    queues: list[QueueSigns]
    living: list[Consumer]
    not_permitted: bool = False

    def without(self, layout: LayoutName | None) -> Usage:
        """As if the queues had no keys of this layout."""
        return replace(self, queues=[queue.without(layout) for queue in self.queues])


class UsageCheck:
    """Reads the usage of queues in two round trips, which may include other questions.

    Args:
        queues: Their full names.

    Attributes:
        first: The questions of the first round trip.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        self._signs = signs_of(queues)
        self.first: tuple[Question[Any], ...] = (REGISTERED, self._signs)

    def second(self, first: Answers, now: float) -> Question[list[Consumer]]:
        """The question of the second round trip.

        Args:
            now: The server's Unix time.
        """
        return living(first[REGISTERED].candidates(now))

    def usage(self, first: Answers, consumers: list[Consumer]) -> Usage:
        """The usage, from the answers of both round trips."""
        return Usage(first[self._signs], consumers, first[REGISTERED].not_permitted)


def signs_of(queues: Sequence[str]) -> Question[list[QueueSigns]]:
    """Asks for the signs of these queues (full names)."""
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
    """The signs of these queues, from the replies."""
    found: list[QueueSigns] = []
    for number, queue in enumerate(queues):
        part = replies[number * _COMMANDS_A_QUEUE : (number + 1) * _COMMANDS_A_QUEUE]
        keys, waiting, active, listed = (0 if isinstance(reply, Exception) else int(reply) for reply in part)
        not_permitted = any(code_of(reply) == "NOPERM" for reply in part)
        found.append(QueueSigns(queue, keys > 0, waiting + active > 0, waiting, bool(listed), not_permitted))
    return found


def listed(replies: Sequence[Any]) -> list[str]:
    """The queues in the reply, sorted by name; none if it is an error."""
    (members,) = replies
    return sorted(str(member, errors="replace") for member in members) if isinstance(members, list) else []


LISTED: Question[list[str]] = Question((("SRANDMEMBER", QUEUES_KEY, MOST_QUEUES),), listed)
"""Some of the queues in ``asynq:queues``."""
