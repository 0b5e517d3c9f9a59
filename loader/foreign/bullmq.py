"""BullMQ's queues. Seen with bullmq 5.81.5 and 6.7.0."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from loader.foreign.hashes import Member, fields_of
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, json_object, json_text
from loader.foreign.listed import Blocks, Frozen, Scored
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of

_FIELDS = (b"name", b"data", b"opts", b"timestamp", b"delay", b"priority", b"atm", b"parentKey", b"rjk")
_JSON = frozenset({b"data", b"opts", b"timestamp", b"delay", b"priority", b"atm"})
_DELAYED_SHIFT = 4096
"""The score of a delayed job is its start time in ms times this, plus a counter."""

_STAYING = {"active": (b"LLEN", "running"), "waiting-children": (b"ZCARD", "waiting for their children")}

_decode_options = msgspec.json.Decoder(dict[str, Any]).decode


class BullMq:
    """See ``System``."""

    title: ClassVar[str] = "BullMQ"

    def __init__(self, where: Where) -> None:
        self._base = where.key(f"{where.prefix_or('bull')}:{where.queue}:")

    def keys(self) -> Sequence[bytes]:
        return [self._base + kind for kind in (b"meta", b"wait", b"paused", b"prioritized", b"delayed")]

    async def jobs(self, frozen: Frozen) -> Jobs:
        # In the order in which jobs go from one to the next, so that none is missed on its way.
        delayed = await frozen.sorted_set(self._base + b"delayed")
        prioritized = await frozen.sorted_set(self._base + b"prioritized")
        lists = [await frozen.listed(self._base + kind, "head") for kind in (b"paused", b"wait")]
        return self._each(frozen.session, lists, prioritized, delayed)

    async def _each(
        self,
        session: Session,
        lists: Sequence[Blocks],
        prioritized: Scored,
        delayed: Scored,
    ) -> AsyncIterator[Found]:
        for members in self._members(lists, prioritized, delayed):
            async for found in fields_of(session, members, _FIELDS, read):
                yield found

    def _members(
        self,
        lists: Sequence[Blocks],
        prioritized: Scored,
        delayed: Scored,
    ) -> Iterator[list[Member]]:
        for each in lists:
            for ids in each():
                yield [(self._base + job, job, 0.0) for job in ids]
        for pairs in prioritized():
            yield [(self._base + job, job, 0.0) for job, _ in pairs]
        for pairs in delayed():
            yield [(self._base + job, job, score // _DELAYED_SHIFT / 1000) for job, score in pairs]

    async def staying(self, session: Session) -> dict[str, int]:
        questions = [ask(name, self._base + kind.encode()) for kind, (name, _) in _STAYING.items()]
        replies = await session.values(questions)
        texts = [text for _, text in _STAYING.values()]
        return {text: count for text, reply in zip(texts, replies, strict=True) if (count := count_of(reply))}

    async def workers(self, session: Session) -> str:
        (count,) = await session.values([ask(b"LLEN", self._base + b"active")])
        name = (self._base + b"active").decode(errors="replace")
        return f"{count_of(count)} jobs in {name}" if count_of(count) else ""


def read(job: bytes, fields: dict[bytes, bytes], start: float) -> ForeignJob:
    """A hash as a job. Raises UnreadableJobError."""
    data = fields.get(b"data", b"")
    try:
        options = _decode_options(fields.get(b"opts", b"{}"))
        msgspec.json.decode(data, type=msgspec.Raw)
        tries = int(options.get("attempts") or 0)
        made = int(fields.get(b"atm", b"0"))
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
        raise UnreadableJobError(f"its data or options are not BullMQ's: {error}") from None
    lost = [name for name in ("priority", "lifo", "backoff", "repeat") if options.get(name)]
    if fields.get(b"parentKey"):
        lost.append("parent")
    if fields.get(b"rjk") and "repeat" not in lost:
        lost.append("repeat")
    shown = [(name.decode(), value if name in _JSON else json_text(value)) for name, value in fields.items()]
    return ForeignJob(
        id=job.decode(),
        name=fields.get(b"name", b"").decode(),
        arguments=data,
        document=json_object([("id", json_text(job)), *shown]),
        start_at=start,
        max_retry=max(0, tries - 1),  # BullMQ counts all tries
        retried=max(0, made),
        lost=tuple(lost),
    )
