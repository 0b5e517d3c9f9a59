"""Dramatiq's queues. Seen with dramatiq 2.2.1."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter
from typing import Any, ClassVar

import msgspec

from loader.foreign.hashes import members_of
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, called_with, found_in
from loader.foreign.listed import Blocks, Frozen
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.scan import literal, scan_all
from loader.servers.session import Session

_REST = 1.0
"""See ``scan_all``: other clients have half of the server's time."""

_LOST = {
    "pipe_target": "pipeline",
    "on_success": "callbacks",
    "on_failure": "callbacks",
    "group_callbacks": "group",
    "priority": "priority",
    "min_backoff": "backoff",
    "max_backoff": "backoff",
    "max_age": "max age",
}


class _Message(msgspec.Struct):
    actor_name: str
    args: msgspec.Raw
    kwargs: msgspec.Raw
    message_id: str
    options: dict[str, Any]


_decode = msgspec.json.Decoder(_Message).decode


class Dramatiq:
    """See ``System``."""

    title: ClassVar[str] = "Dramatiq"

    def __init__(self, where: Where) -> None:
        prefix = where.prefix_or("dramatiq")
        self._queue = where.key(where.queue)
        self._lists = [where.key(f"{prefix}:{where.queue}{end}") for end in ("", ".DQ")]
        self._acks = where.key(f"{prefix}:__acks__.")

    def keys(self) -> Sequence[bytes]:
        return [*self._lists, *(key + b".msgs" for key in self._lists)]

    async def jobs(self, frozen: Frozen) -> Jobs:
        return self._each(frozen, list(reversed([await frozen.listed(key, "tail") for key in reversed(self._lists)])))

    async def _each(self, frozen: Frozen, lists: Sequence[Blocks]) -> AsyncIterator[Found]:
        session, taken = frozen.session, None
        for key, each in zip(self._lists, lists, strict=True):
            count = 0
            for ids in each():
                count += len(ids)
                async for found in members_of(session, key + b".msgs", [(one, 0.0) for one in ids], read):
                    yield found
            # A worker keeps what it has fetched, and what is not due, in its memory: the ids leave the list.
            (messages,) = await session.call([ask(b"HLEN", key + b".msgs")])
            if messages <= count:
                continue
            if taken is None:
                taken = await self._taken(session)
            known = {one for ids in each() for one in ids} | taken
            async for pairs in frozen.hash(key + b".msgs"):
                yield found_in([pair for pair in pairs if pair[0] not in known], _read_pair, itemgetter(0))

    async def _taken(self, session: Session) -> set[bytes]:
        """Ids of messages of this queue that workers have taken, and not confirmed."""
        taken = set[bytes]()
        ends = tuple(b".%b%b" % (self._queue, end) for end in (b"", b".DQ"))
        async for keys in scan_all(session.servers, session.repeat, literal(self._acks) + b"*", rest=_REST):
            own = [ask(b"SMEMBERS", key) for key in keys if key.endswith(ends)]
            for members in await session.call(own) if own else []:
                taken.update(members)
        return taken

    async def staying(self, session: Session) -> dict[str, int]:
        return {"taken and not confirmed": count} if (count := len(await self._taken(session))) else {}

    async def workers(self, session: Session) -> str:
        count = len(await self._taken(session))
        return f"{count} messages in {self._acks.decode(errors='replace')}*" if count else ""


def _read_pair(pair: tuple[bytes, bytes]) -> ForeignJob:
    return read(*pair, 0.0)


def read(name: bytes, text: bytes, start: float) -> ForeignJob:
    """A message as a job. Raises UnreadableJobError."""
    try:
        message = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        pickled = ": it seems to be a pickle, which would have to be run to be read" if text[:1] == b"\x80" else ""
        raise UnreadableJobError(f"it is no JSON message of Dramatiq: {error}{pickled}") from None
    options = message.options
    limit, most = _number(options, "time_limit"), _number(options, "max_retries")
    lost = dict.fromkeys(text for name, text in _LOST.items() if options.get(name))
    return ForeignJob(
        id=message.message_id,
        name=message.actor_name,
        arguments=called_with(bytes(message.args), bytes(message.kwargs)),
        document=text,
        start_at=start or _number(options, "eta") / 1000,
        max_retry=None if "max_retries" not in options else int(most),
        retried=int(_number(options, "retries")),
        timeout=math.ceil(limit / 1000),
        lost=tuple(lost),
    )


def _number(options: dict[str, Any], name: str) -> float:
    value = options.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableJobError(f"its option {name} is no number")
    return value
