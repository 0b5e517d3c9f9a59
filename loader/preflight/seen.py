"""What a server shows of itself and of its use, read in two round trips that may include other questions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loader.preflight import rights, server, usage
from loader.preflight.ask import Answers, Question, ask, ask_node
from loader.preflight.consumers import REGISTERED, Registered
from loader.preflight.refusal import refusal
from loader.preflight.server import ServerState
from loader.preflight.usage import QueueSigns, Usage
from loader.servers.clock import clock_seconds
from loader.servers.routing import Servers


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a server and the usage of queues.

    Attributes:
        states: The state of the server, or of each primary of a cluster.
        asked: This machine's Unix times before and after the question for the states.
        user: The name of the user; None if it is not known.
        usage: The usage of the load's queues.
        names: Some of the names in ``asynq:queues``.
        listed: The signs from the keys of these queues, if records may name queues that are not known.
        registered: The registered consumers.
    """

    states: Sequence[ServerState]
    asked: tuple[float, float]
    user: str | None
    usage: Usage
    names: Sequence[str]
    listed: Sequence[QueueSigns]
    registered: Registered

    def with_queues(self, queues: Sequence[QueueSigns]) -> Seen:
        """With the signs of further queues of the load."""
        return replace(self, usage=replace(self.usage, queues=[*self.usage.queues, *queues]))


class Look:
    """Reads what a server shows: ``first``, then ``second``, then ``seen``.

    Args:
        queues: Full names of the load's queues.
        open_ended: Whether records may name queues that are not known.

    Attributes:
        states: After ``first``, the states of the servers.
        user: After ``first``, the name of the user.
    """

    states: Sequence[ServerState]
    user: str | None

    def __init__(self, servers: Servers, queues: Sequence[str], *, open_ended: bool) -> None:
        self._servers = servers
        self._open_ended = open_ended
        self._use = usage.UsageCheck(queues)

    async def first(self, *more: Question[Any]) -> Answers:
        """The first round trip. The answers may be errors that pass: see ``Answers.raise_transient``."""
        servers, before = self._servers, time.time()
        self._first, *of_others = await asyncio.gather(
            ask(servers, server.STATE, rights.WHO, *self._use.first, usage.LISTED, *more),
            *(ask_node(node, server.STATE) for node in servers.clients()[1:]),
        )
        self._asked = (before, time.time())
        self._all = (self._first, *of_others)
        self.states = [answers[server.STATE] for answers in self._all]
        self.user = self._first[rights.WHO]
        return self._first

    def raise_transient(self) -> None:
        """Raises TransientError if an answer of the first round trip is an error that may pass."""
        for answers in self._all:
            answers.raise_transient(str(self._servers))

    def raise_unusable(self) -> None:
        """Raises SinkError if the server cannot be a target; its other answers have no meaning then.

        Raises:
            TransientError: An answer is an error that may pass.
        """
        findings = server.states_findings(self.states, temporary=True, primaries=self._servers.cluster_size)
        for finding in findings:
            if finding.level == "error":
                raise refusal(finding, str(self._servers))
        self.raise_transient()

    async def second(self, *more: Question[Any]) -> Answers:
        """The second round trip.

        Raises:
            TransientError: An answer is an error that may pass.
        """
        alive = self._use.second(self._first, clock_seconds(self.states[0].time) or self._asked[1])
        names = self._first[usage.LISTED]
        listed = usage.signs_of(names if self._open_ended else [])
        answers = await ask(self._servers, alive, listed, *more)
        answers.raise_transient(str(self._servers))
        used = self._use.usage(self._first, answers[alive])
        self.seen = Seen(self.states, self._asked, self.user, used, names, answers[listed], self._first[REGISTERED])
        return answers
