"""The running consumers of a server, and the layout that each of them reads.

- asynq's servers (0.26, ``internal/rdb``: ``WriteServerState``) keep ``asynq:servers``, a sorted set of keys. The score
  is the Unix time until which a key is valid, renewed every few seconds. Each key has a ``ServerInfo`` (protobuf) with
  the queues. The key expires by Redis's clock when its server is gone. So the existence of the key shows that a server
  is running, without regard to the worker's clock.
- runqy's workers since January 2026 (runqy-worker, ``heartbeat.go``) keep ``asynq:workers``, a sorted set of
  ``host:pid``, each valid for half an hour. The hash ``asynq:workers:<host:pid>`` expires 30 s after the last
  heartbeat; its field ``queues`` is a Go map as text, ``map[inference.default:1]``. asynq's servers have members in the
  same set, which are keys with a brace; those are known from ``asynq:servers`` already.
- Older runqy workers kept the same hashes, but ``asynq:workers`` as a plain set. They read the documented keys.

A task with a start time waits in ``asynq:{<queue>}:scheduled`` until a process moves it to the pending list. asynq's
servers do so for their queues (0.26, ``forwarder.go``); runqy's workers (runqy-worker 06e5d9b, June 2026) move failed
tasks from ``:retry`` only, and the runqy server moves none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from loader.preflight.ask import Command, Question
from loader.tasks.profiles import LayoutName
from loader.wire.faults import code_of

MOST = 100
"""The maximum number of consumers to check; on a server with more, the first ones are enough."""

SYNTHETIC = "runqy-loader-consume-"
"""What ``runqy-loader consume`` puts into the name under which it registers."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A running process that consumes tasks.

    Attributes:
        name: Host and process id, as registered on the server.
        queues: Full names of the queues that it consumes from; None if they cannot be read.
        forwards: Whether it moves tasks with a start time to the pending list when they are due.
        synthetic: Whether it is a ``runqy-loader consume``, which executes nothing.
    """

    name: str
    layout: LayoutName
    queues: frozenset[str] | None
    forwards: bool = False
    synthetic: bool = False

    def serves(self, queue: str) -> bool:
        """Whether it may consume from this queue."""
        return self.queues is None or queue in self.queues


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered process. It is running if ``question`` finds its key."""

    name: str
    layout: LayoutName
    question: Command
    forwards: bool = False

    @property
    def is_synthetic(self) -> bool:
        """Whether it is a ``runqy-loader consume``."""
        key = self.question[1]
        return isinstance(key, bytes | str) and SYNTHETIC in _text(key)


@dataclass(frozen=True, slots=True)
class Registered:
    """The registered consumers: replies, or errors in their place.

    Attributes:
        servers: The reply for ``asynq:servers``.
        timed: The reply for ``asynq:workers`` as a sorted set.
        untimed: The reply for ``asynq:workers`` as a plain set. If the key exists, one of these two is an error: the
            key has the other type.
    """

    servers: Any
    timed: Any
    untimed: Any

    @property
    def not_permitted(self) -> bool:
        """Whether the user has no right to read some of this."""
        replies = (self.servers, self.timed, self.untimed)
        return any(code_of(reply) == "NOPERM" for reply in replies)

    @property
    def has_asynq_servers(self) -> bool:
        """Whether an asynq server is registered, running or not."""
        return bool(_members(self.servers))

    def candidates(self, now: float) -> list[Candidate]:
        """The consumers that may still be running.

        Args:
            now: The server's Unix time.
        """
        found = [Candidate(_tail(key), "asynq", ("GET", key), forwards=True) for key in _members(self.servers)]
        runqy = [member for member in _until(self.timed, now) if b"{" not in member]
        found += [Candidate(_text(member), "asynq", _heartbeat(member)) for member in runqy]
        if isinstance(self.untimed, list):
            found += [Candidate(_text(member), "documented", _heartbeat(member)) for member in self.untimed]
        return found


REGISTERED: Question[Registered] = Question(
    (
        ("ZREVRANGE", "asynq:servers", 0, MOST - 1, "WITHSCORES"),
        ("ZREVRANGE", "asynq:workers", 0, MOST - 1, "WITHSCORES"),
        ("SRANDMEMBER", "asynq:workers", MOST),
    ),
    lambda replies: Registered(*replies),
)


def living(candidates: Sequence[Candidate]) -> Question[list[Consumer]]:
    """Asks which of them are running."""
    return Question([candidate.question for candidate in candidates], partial(consumers, candidates))


def consumers(candidates: Sequence[Candidate], replies: Sequence[Any]) -> list[Consumer]:
    """The running consumers.

    Args:
        replies: The reply to each candidate's question.
    """
    found: list[Consumer] = []
    for candidate, reply in zip(candidates, replies, strict=True):
        queues: frozenset[str] | None = None
        if reply is None:
            continue
        if isinstance(reply, bytes):
            queues = server_queues(reply)
        elif isinstance(reply, list):
            text, status = reply
            if text is None or status == b"stopped":
                continue  # the heartbeat has ended: the registration outlives its process
            queues = worker_queues(_text(text))
        found.append(Consumer(candidate.name, candidate.layout, queues, candidate.forwards, candidate.is_synthetic))
    return found


def worker_queues(text: str) -> frozenset[str] | None:
    """Queues of a runqy-worker, from a map as Go prints it: ``map[inference.default:1 simple.default:2]``."""
    inside = re.fullmatch(r"map\[(.*)\]", text, re.DOTALL)
    return frozenset(part.rpartition(":")[0] for part in inside[1].split()) if inside else None


def server_queues(info: bytes) -> frozenset[str] | None:
    """Queues of an asynq server: field 5 of its ``ServerInfo``, a map whose entries have the name in field 1."""
    try:
        return frozenset(name.decode() for entry in _fields(info, 5) for name in _fields(entry, 1))
    except (IndexError, UnicodeDecodeError):
        return None


def _fields(data: bytes, wanted: int) -> list[bytes]:
    """All values of a field that holds bytes, by field number (Protocol Buffers, "Encoding"). Raises IndexError."""
    found: list[bytes] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            varint()
            continue
        length = {1: 8, 5: 4}[kind] if kind in (1, 5) else varint()
        if at + length > len(data) or kind not in (1, 2, 5):
            raise IndexError("the message ends in the middle of a field, or is not a message")
        if number == wanted and kind == 2:
            found.append(data[at : at + length])
        at += length
    return found


def _members(reply: Any) -> list[bytes]:
    return list(reply[::2]) if isinstance(reply, list) else []


def _until(reply: Any, now: float) -> list[bytes]:
    """Members whose score is a time in the future; none if the reply is an error."""
    if not isinstance(reply, list):
        return []
    # RESP2: members and scores in turn.
    return [member for member, score in zip(reply[::2], reply[1::2], strict=True) if float(score) > now]


def _heartbeat(member: bytes) -> Command:
    return ("HMGET", b"asynq:workers:" + member, "queues", "status")


def _tail(key: bytes) -> str:
    """``host:pid`` of ``asynq:servers:{host:pid:id}``."""
    inside = _text(key).rpartition("{")[2].rstrip("}")
    return inside.rpartition(":")[0] or inside


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
