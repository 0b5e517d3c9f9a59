"""Queues and jobs of a server, found by their keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

import hiredis
import orjson

from loader.foreign.recognized import OtherQueue, other_queues, queue_of
from loader.jobs.standing import DONE, UNDOING, UNDONE, job_key, lease_key
from loader.queues.asynq_keys import PAUSED, SETS
from loader.queues.existing import QUEUES_KEY
from loader.servers.question import Question, ask
from loader.servers.scan import scan_all
from loader.servers.session import Session
from loader.stored.states import count_aggregating, count_of
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.replies import pairs
from loader.wire.resp import command

# One SCAN over all keys finds every wanted kind: names that end in pending, job, batches, moving, aside or migrated,
# and those that queues of other systems have, such as meta, msgs, incomplete and binding. The server compares the
# names, so it returns few keys, unless ids look like these names.
_PATTERN = b"*[:.][pjbmari][eoaisn][nbtvigdc]*"
_SCAN_COUNT = 500
"""Keys in each step. A server with millions of keys is then blocked for a millisecond, not for ten to thirty."""

_REST = 1.0
"""The pause between two steps, relative to the time of the step: other clients have half of the server's time."""

_DOCUMENTED = re.compile(rb"asynq:([^{}]+):pending")
_ASYNQ = re.compile(rb"asynq:\{([^{}]+)\}:pending")
_JOB = re.compile(rb"runqy-loader:\{([^{}]+)\}:job")
_PART = re.compile(rb"(\{[^{}]+\}):runqy-loader:([^:]+):(?:[0-9]+:)?(batches|moving|aside|migrated)")

_STATES = {DONE.encode(): "done", UNDOING.encode(): "rolling back", UNDONE.encode(): "rolled back"}


@dataclass(slots=True)
class QueueCounts:
    """The number of tasks of a queue in each state. The documented layout has only pending tasks."""

    queue: str
    layout: LayoutName
    pending: int = 0
    active: int = 0
    aggregating: int = 0
    scheduled: int = 0
    retry: int = 0
    archived: int = 0
    completed: int = 0
    paused: bool = False


@dataclass(slots=True)
class JobProgress:
    """A job, from its record and its ledgers.

    Attributes:
        kind: ``load`` or ``migrate``.
        state: ``running``, ``stopped``, ``done``, ``rolling back`` or ``rolled back``; ``unknown`` if only a ledger is
            left.
        holder: The process that runs it now.
        batches: Number of batches of a load that are in.
        held: Number of tasks that an interrupted move holds, in neither queue.
        held_in: The keys that hold these tasks.
        remembered: Number of ids that a migration knows to be in its target.
    """

    job: str
    kind: str = "load"
    state: str = "unknown"
    holder: str | None = None
    created: float | None = None
    finished: float | None = None
    batches: int = 0
    held: int = 0
    remembered: int = 0
    held_in: list[str] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] | None = None


@dataclass(slots=True)
class Findings:
    """The queues and jobs of a server."""

    server: str
    queues: list[QueueCounts] = field(default_factory=list)
    jobs: list[JobProgress] = field(default_factory=list)
    other_systems: list[OtherQueue] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Walk:
    """The progress of a SCAN over all keys: the keys passed so far, and the total."""

    passed: int = 0
    total: int = 0


async def survey(session: Session, walk: Walk) -> Findings:
    """Finds all queues and jobs, with one SCAN over the keys and a few commands for each.

    Args:
        walk: Updated during the SCAN.

    Raises:
        SinkError: The server refuses, or cannot be reached.
    """
    documented, asynq, jobs = set[str](), set[str](), set[str]()
    parts: dict[bytes, tuple[str, str]] = {}
    others = set[tuple[str, bytes]]()
    async for key in _keys(session, walk):
        if match := _DOCUMENTED.fullmatch(key):
            documented.add(_text(match[1]))
        elif match := _ASYNQ.fullmatch(key):
            asynq.add(_text(match[1]))
        elif match := _JOB.fullmatch(key):
            jobs.add(_text(match[1]))
        elif match := _PART.fullmatch(key):
            parts[key] = (_text(match[2]), _text(match[3]))
        elif found := queue_of(key):
            others.add(found)
    (members,) = await session.values([ask(b"SMEMBERS", QUEUES_KEY.encode())])
    if not isinstance(members, hiredis.ReplyError):
        asynq |= {_text(member) for member in members}
    findings = Findings(str(session.address))
    findings.queues = [
        *[await documented_counts(session, name) for name in sorted(documented)],
        *[await asynq_counts(session, name) for name in sorted(asynq)],
    ]
    records = [await job_record(session, name) for name in sorted(jobs)]
    progress = {job.job: job for job in records if job.state != "unknown"}
    for key, (name, part) in sorted(parts.items()):
        (reply,) = await session.values([part_question(key, part)])
        add_part(progress.setdefault(name, JobProgress(name)), key, part, reply)
    findings.jobs = list(progress.values())
    findings.other_systems = await other_queues(session, others)
    return findings


async def queue_names(session: Session) -> list[str]:
    """Names of the queues in layout asynq, from the set ``asynq:queues``."""
    (members,) = await session.call([ask(b"SMEMBERS", QUEUES_KEY.encode())], f"key {QUEUES_KEY}")
    return sorted(_text(member) for member in members)


async def _keys(session: Session, walk: Walk) -> AsyncIterator[bytes]:
    """Keys that may be of a wanted kind. A key may come twice."""

    def looked(count: int) -> None:
        walk.passed += count
        walk.total = max(walk.total, walk.passed)  # a cluster may be searched more than once

    walk.total = sum(await session.on_each(command(b"DBSIZE"), "DBSIZE"))
    async for keys in scan_all(session.servers, session.repeat, _PATTERN, step=_SCAN_COUNT, rest=_REST, looked=looked):
        for key in keys:
            yield key


async def documented_counts(session: Session, name: str) -> QueueCounts:
    (pending,) = await session.values([ask(b"LLEN", b"asynq:%b:pending" % name.encode())])
    return QueueCounts(name, "documented", pending=count_of(pending))


async def asynq_counts(session: Session, name: str) -> QueueCounts:
    base = b"asynq:{%b}:" % name.encode()
    questions = [
        ask(b"LLEN", base + b"pending"),
        ask(b"LLEN", base + b"active"),
        *[ask(b"ZCARD", base + state.encode()) for state in SETS],
        ask(b"EXISTS", base + PAUSED.encode()),
    ]
    *replies, paused = await session.values(questions)
    counts = dict(zip(("pending", "active", *SETS), map(count_of, replies), strict=True))
    aggregating = await count_aggregating(session, name)
    return QueueCounts(name, "asynq", paused=paused == 1, aggregating=aggregating, **counts)


async def job_record(session: Session, name: str) -> JobProgress:
    """A job from its record and its lease, without its ledgers. The state is ``unknown`` if there is no record."""
    key, lease = job_key(name).encode(), lease_key(name).encode()
    record, holder = await session.values([ask(b"HGETALL", key), ask(b"GET", lease)])
    fields = _pairs(record)
    job = JobProgress(name)
    job.manifest = _json(fields.get(b"manifest"))
    job.kind = str(job.manifest.get("command", "load"))
    job.report = _json(fields.get(b"report")) or None
    job.created, job.finished = _time(fields.get(b"created")), _time(fields.get(b"finished"))
    if isinstance(holder, bytes):
        process = _json(holder)
        job.state, job.holder = "running", f"process {process.get('pid')} on {process.get('host')}"
    elif fields.keys() - {b"runs"}:  # a job that was rolled back leaves its runs for a day
        job.state = _STATES.get(fields.get(b"state", b""), "stopped")
    return job


def part_question(key: bytes, part: str) -> Question:
    """The command for the size of a part of a job's records: ``batches``, ``moving``, ``aside`` or ``migrated``."""
    name = {"batches": b"BITCOUNT", "moving": b"LLEN", "aside": b"LLEN", "migrated": b"SCARD"}[part]
    return ask(name, key)


def add_part(job: JobProgress, key: bytes, part: str, reply: Reply) -> None:
    """Adds the reply to ``part_question`` to a job."""
    count = count_of(reply)
    if part == "batches":
        job.batches += count
    elif part == "migrated":
        job.remembered += count
    elif count:
        job.held += count
        job.held_in.append(_text(key))
    if part != "batches" and count:
        job.kind = "migrate"


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    if isinstance(reply, hiredis.ReplyError) or not reply:
        return {}
    return pairs(reply)


def _json(text: bytes | None) -> dict[str, Any]:
    try:
        value = orjson.loads(text or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _time(text: bytes | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
