"""RQ's queues. Seen with rq 2.12.0 and 3.0.0, which keep them alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from loader.foreign.compressed import inflated
from loader.foreign.hashes import fields_of
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, called_with, json_object, json_text
from loader.foreign.listed import Blocks, Frozen, Scored
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of

_FIELDS = (
    b"data", b"origin", b"timeout", b"retries_left", b"created_at", b"enqueued_at", b"description", b"ttl",
    b"success_callback_name", b"failure_callback_name", b"stopped_callback_name", b"dependency_ids",
)  # fmt: skip
_CALLBACKS = (b"success_callback_name", b"failure_callback_name", b"stopped_callback_name")

_decode_data = msgspec.json.Decoder(tuple[str, msgspec.Raw, msgspec.Raw, msgspec.Raw]).decode


class Rq:
    """See ``System``."""

    title: ClassVar[str] = "RQ"

    def __init__(self, where: Where) -> None:
        self._prefix = where.prefix_or("rq")
        self._where = where
        self._list, self._later = self._key("queue"), self._key("scheduled")

    def _key(self, kind: str) -> bytes:
        return self._where.key(f"{self._prefix}:{kind}:{self._where.queue}")

    def keys(self) -> Sequence[bytes]:
        return [self._list, self._later, self._key("deferred"), self._key("wip")]

    async def jobs(self, frozen: Frozen) -> Jobs:
        later = await frozen.sorted_set(self._later)  # first, since its jobs go to the list when they are due
        ready = await frozen.listed(self._list, "tail")
        return self._each(frozen.session, ready, later)

    async def _each(
        self,
        session: Session,
        ready: Blocks,
        later: Scored,
    ) -> AsyncIterator[Found]:
        base = self._where.key(f"{self._prefix}:job:")
        for ids in ready():
            async for found in fields_of(session, [(base + job, job, 0.0) for job in ids], _FIELDS, read):
                yield found
        for pairs in later():
            members = [(base + job, job, start) for job, start in pairs]
            async for found in fields_of(session, members, _FIELDS, read):
                yield found

    async def staying(self, session: Session) -> dict[str, int]:
        names = {"deferred": "waiting for other jobs", "wip": "running"}
        replies = await session.values([ask(b"ZCARD", self._key(kind)) for kind in names])
        return {text: count for text, reply in zip(names.values(), replies, strict=True) if (count := count_of(reply))}

    async def workers(self, session: Session) -> str:
        key = self._key("workers")
        (count,) = await session.values([ask(b"SCARD", key)])
        return f"{count_of(count)} in {key.decode(errors='replace')}" if count_of(count) else ""


def read(job: bytes, fields: dict[bytes, bytes], start: float) -> ForeignJob:
    """A hash as a job. Raises UnreadableJobError."""
    data = inflated(fields.get(b"data", b""))
    if not data.startswith(b"["):
        raise UnreadableJobError(
            "its arguments are a pickle, which would have to be run to be read: RQ's JSONSerializer has none"
        )
    try:
        function, instance, args, kwargs = _decode_data(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableJobError(f"its data is not function, instance, args and kwargs: {error}") from None
    if bytes(instance) != b"null":
        raise UnreadableJobError(f"it calls {function} of an object, and a task holds no object")
    lost = [name.decode().removesuffix("_name").replace("_", " ") for name in _CALLBACKS if fields.get(name)]
    if fields.get(b"ttl", b"None") not in (b"", b"None"):
        lost.append("ttl")
    left = fields.get(b"retries_left")
    shown = [(name.decode(), json_text(value)) for name, value in fields.items() if name != b"data"]
    return ForeignJob(
        id=job.decode(),
        name=function,
        arguments=called_with(bytes(args), bytes(kwargs)),
        document=json_object([("id", json_text(job)), *shown, ("data", data)]),
        start_at=start,
        max_retry=int(left) if left is not None and left.isdigit() else 0,
        timeout=max(0, _whole(fields.get(b"timeout"))),
        lost=tuple(lost),
    )


def _whole(text: bytes | None) -> int:
    """A number of seconds; -1 means no limit."""
    try:
        return int(text or 0)
    except ValueError:
        raise UnreadableJobError(f"its timeout is {text!r}") from None
