"""bee-queue's queues. Seen with bee-queue 2.0.0."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec

from loader.foreign.hashes import members_of
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError
from loader.foreign.listed import Blocks, Frozen, Scored
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of


class _Options(msgspec.Struct):
    timeout: float | None = None
    retries: int | None = None
    backoff: dict[str, Any] | None = None


class _Job(msgspec.Struct):
    data: msgspec.Raw
    options: _Options


_decode = msgspec.json.Decoder(_Job).decode


class BeeQueue:
    """See ``System``."""

    title: ClassVar[str] = "bee-queue"

    def __init__(self, where: Where) -> None:
        self._base = where.key(f"{where.prefix_or('bq')}:{where.queue}:")

    def keys(self) -> Sequence[bytes]:
        return [self._base + kind for kind in (b"jobs", b"waiting", b"delayed", b"id")]

    async def jobs(self, frozen: Frozen) -> Jobs:
        delayed = await frozen.sorted_set(self._base + b"delayed")
        return self._each(frozen.session, await frozen.listed(self._base + b"waiting", "head"), delayed)

    async def _each(
        self,
        session: Session,
        ready: Blocks,
        delayed: Scored,
    ) -> AsyncIterator[Found]:
        for ids in ready():
            async for found in members_of(session, self._base + b"jobs", [(job, 0.0) for job in ids], read):
                yield found
        for pairs in delayed():
            members = [(job, score / 1000) for job, score in pairs]
            async for found in members_of(session, self._base + b"jobs", members, read):
                yield found

    async def staying(self, session: Session) -> dict[str, int]:
        (count,) = await session.values([ask(b"LLEN", self._base + b"active")])
        return {"running": count_of(count)} if count_of(count) else {}

    async def workers(self, session: Session) -> str:
        (count,) = await session.values([ask(b"LLEN", self._base + b"active")])
        name = (self._base + b"active").decode(errors="replace")
        return f"{count_of(count)} jobs in {name}" if count_of(count) else ""


def read(name: bytes, text: bytes, start: float) -> ForeignJob:
    """A field of the hash of jobs as a job. Raises UnreadableJobError."""
    try:
        job = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableJobError(f"it is no JSON job of bee-queue: {error}") from None
    waits = job.options.backoff is not None and bool(job.options.backoff.get("delay"))
    return ForeignJob(
        id=name.decode(),
        name="",
        arguments=bytes(job.data),
        document=text,
        start_at=start,
        max_retry=max(0, job.options.retries or 0),
        timeout=math.ceil((job.options.timeout or 0) / 1000),
        lost=("backoff",) if waits else (),
    )
