"""Sidekiq's queues. Seen with sidekiq 6.4.1."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import ClassVar

import msgspec

from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, beginning
from loader.foreign.listed import Blocks, Frozen, Scored
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of

_DEFAULT_RETRIES = 25
"""What ``retry: true`` means (sidekiq, ``DEFAULT_MAX_RETRY_ATTEMPTS``)."""


class _Job(msgspec.Struct, rename={"class_": "class"}):
    class_: str
    args: msgspec.Raw
    jid: str
    queue: str | None = None
    wrapped: str | None = None
    retry: bool | int | None = None
    retry_count: int | None = None
    bid: str | None = None
    expires_in: float | None = None


_decode = msgspec.json.Decoder(_Job).decode


class Sidekiq:
    """See ``System``. The prefix is that of redis-namespace, which old programs use."""

    title: ClassVar[str] = "Sidekiq"

    def __init__(self, where: Where) -> None:
        self._queue, prefix = where.queue, f"{where.prefix}:" if where.prefix else ""
        self._list = where.key(f"{prefix}queue:{where.queue}")
        self._queues, self._later = where.key(f"{prefix}queues"), where.key(f"{prefix}schedule")
        self._again, self._processes = where.key(f"{prefix}retry"), where.key(f"{prefix}processes")

    def keys(self) -> Sequence[bytes]:
        return [self._list, self._later, self._again]

    async def jobs(self, frozen: Frozen) -> Jobs:
        later = [await frozen.sorted_set(key) for key in (self._later, self._again)]  # they go to the list when due
        return self._each(await frozen.listed(self._list, "head"), later)

    async def _each(
        self,
        ready: Blocks,
        later: Iterable[Scored],
    ) -> AsyncIterator[Found]:
        for elements in ready():
            yield self._found((element, 0.0) for element in elements)
        for each in later:
            for pairs in each():
                yield self._found(pairs, only_own=True)

    def _found(self, elements: Iterable[tuple[bytes, float]], *, only_own: bool = False) -> Found:
        found = Found()
        for element, start in elements:
            try:
                job = _decode(element)
            except (msgspec.DecodeError, RecursionError) as error:
                found.refuse(beginning(element), UnreadableJobError(f"it is no job of Sidekiq: {error}"))
                continue
            if not only_own or job.queue == self._queue:
                found.jobs.append(_read(job, element, start))
        return found

    async def staying(self, session: Session) -> dict[str, int]:
        return {}

    async def workers(self, session: Session) -> str:
        (count,) = await session.values([ask(b"SCARD", self._processes)])
        return f"{count_of(count)} in {self._processes.decode(errors='replace')}" if count_of(count) else ""


def _read(job: _Job, element: bytes, start: float) -> ForeignJob:
    retry = job.retry
    most = _DEFAULT_RETRIES if retry is True or retry is None else int(retry)
    lost = [name for name, value in (("batch", job.bid), ("expiry", job.expires_in)) if value]
    return ForeignJob(
        id=job.jid,
        name=job.wrapped or job.class_,
        arguments=bytes(job.args),
        document=element,
        start_at=start,
        max_retry=max(0, most),
        retried=0 if job.retry_count is None else job.retry_count + 1,  # 0 after the first failure
        lost=tuple(lost),
    )
