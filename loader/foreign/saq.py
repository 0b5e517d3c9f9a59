"""saq's queues. Seen with saq 0.26.4."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from loader.foreign.hashes import texts_of
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError
from loader.foreign.listed import Blocks, Frozen, Scored
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of


class _Job(msgspec.Struct):
    function: str
    key: str | None = None
    kwargs: msgspec.Raw = msgspec.Raw(b"{}")
    timeout: float | None = 10  # saq's default; a field with its default is left out
    retries: int = 1
    attempts: int = 0
    retry_delay: float = 0
    scheduled: float = 0


_decode = msgspec.json.Decoder(_Job).decode


class Saq:
    """See ``System``."""

    title: ClassVar[str] = "saq"

    def __init__(self, where: Where) -> None:
        self._base = where.key(f"{where.prefix_or('saq')}:{where.queue}:")
        self._keys = where.key(f"{where.prefix_or('saq')}:job:{where.queue}:")

    def keys(self) -> Sequence[bytes]:
        return [self._base + b"incomplete"]  # it has every job that is not done

    async def jobs(self, frozen: Frozen) -> Jobs:
        later = await frozen.sorted_set(self._base + b"incomplete")
        return self._each(frozen.session, await frozen.listed(self._base + b"queued", "tail"), later)

    async def _each(
        self,
        session: Session,
        ready: Blocks,
        later: Scored,
    ) -> AsyncIterator[Found]:
        for keys in ready():
            members = [(key, key.removeprefix(self._keys), 0.0) for key in keys]
            async for found in texts_of(session, members, read):
                yield found
        for pairs in later():
            # A score of 0 stands for a job that is in the list, or runs.
            members = [(key, key.removeprefix(self._keys), start) for key, start in pairs if start > 0]
            async for found in texts_of(session, members, read):
                yield found

    async def staying(self, session: Session) -> dict[str, int]:
        (count,) = await session.values([ask(b"LLEN", self._base + b"active")])
        return {"running": count_of(count)} if count_of(count) else {}

    async def workers(self, session: Session) -> str:
        (count,) = await session.values([ask(b"ZCARD", self._base + b"worker_info")])
        name = (self._base + b"worker_info").decode(errors="replace")
        return f"{count_of(count)} in {name}" if count_of(count) else ""


def read(name: bytes, text: bytes, start: float) -> ForeignJob:
    """The text of a job as a job. Raises UnreadableJobError."""
    try:
        job = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableJobError(f"it is no JSON job of saq: {error}") from None
    return ForeignJob(
        id=job.key or name.decode(),
        name=job.function,
        arguments=b"{}" if bytes(job.kwargs) == b"null" else bytes(job.kwargs),
        document=text,
        start_at=start,
        max_retry=max(0, job.retries - 1),  # saq counts all tries
        retried=max(0, job.attempts),
        timeout=math.ceil(job.timeout or 0),
        lost=("retry delay",) if job.retry_delay else (),
    )
