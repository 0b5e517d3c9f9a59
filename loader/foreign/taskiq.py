"""taskiq's queues: lists, and streams with a consumer group. Seen with taskiq-redis 1.2.4."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from loader.errors import SinkError
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, beginning, called_with, found_in
from loader.foreign.listed import MOST, Blocks, Frozen
from loader.foreign.system import Where, types_of
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.wire.replies import pairs
from loader.wire.resp import command

_OWN_LABELS = {"retry_on_error", "max_retries", "_retries"}
"""Labels of taskiq's own retry middleware."""


class _Message(msgspec.Struct):
    task_id: str
    task_name: str
    labels: dict[str, Any]
    args: msgspec.Raw
    kwargs: msgspec.Raw


_decode = msgspec.json.Decoder(_Message).decode


class Taskiq:
    """See ``System``. The queue's name is the key itself: ``taskiq``, unless the broker was given another one."""

    title: ClassVar[str] = "taskiq"

    def __init__(self, where: Where) -> None:
        self._key = where.key(f"{where.prefix or ''}{where.queue}")
        self._unacked = where.unacked

    def keys(self) -> Sequence[bytes]:
        return [self._key]

    async def jobs(self, frozen: Frozen) -> Jobs:
        if await self._is_stream(frozen.session):
            return self._of_stream(frozen.session)
        return self._of_list(await frozen.listed(self._key, "head"))

    async def _of_list(self, ready: Blocks) -> AsyncIterator[Found]:
        for elements in ready():
            yield found_in(elements, read, beginning)

    async def _of_stream(self, session: Session) -> AsyncIterator[Found]:
        """What no worker has been given yet: acknowledged entries stay in a stream. With ``unacked``, also the rest."""
        where = f"key {self._key.decode(errors='backslashreplace')}"
        groups = await self._groups(session)
        if len(groups) > 1:
            raise SinkError(
                f"{session.address}, {where} has {len(groups)} groups of workers, each of which gets every job",
                "Delete the groups that no worker uses: XGROUP DESTROY",
            )
        last = b"0-0"
        if groups:
            last = bytes(groups[0][b"last-delivered-id"])
            if self._unacked:
                async for found in self._pending(session, bytes(groups[0][b"name"])):
                    yield found
        (newest,) = await session.call([ask(b"XREVRANGE", self._key, b"+", b"-", b"COUNT", b"1")], where)
        stop = newest[0][0] if newest else last
        while True:
            question = ask(b"XRANGE", self._key, b"(" + last, stop, b"COUNT", b"%d" % MOST)
            (entries,) = await session.call([question], where)
            if not entries:
                return
            last = entries[-1][0]
            yield _found(fields for _, fields in entries)

    async def _pending(self, session: Session, group: bytes) -> AsyncIterator[Found]:
        start = b"-"
        while True:
            question = ask(b"XPENDING", self._key, group, start, b"+", b"%d" % MOST)
            (listed,) = await session.call([question])
            if not listed:
                return
            ids = [entry[0] for entry in listed]
            replies = await session.call([ask(b"XRANGE", self._key, one, one) for one in ids])
            yield _found(reply[0][1] for reply in replies if reply)
            start = b"(" + ids[-1]

    async def _groups(self, session: Session) -> list[dict[bytes, Any]]:
        (reply,) = await session.call([Question(self._key, command(b"XINFO", b"GROUPS", self._key))])
        return [pairs(group) for group in reply]

    async def _is_stream(self, session: Session) -> bool:
        return await types_of(session, [self._key]) == ["stream"]

    async def _sum(self, session: Session, name: bytes) -> int:
        """The sum of a number of each group; 0 for a list."""
        groups = await self._groups(session) if await self._is_stream(session) else []
        return sum(int(group[name]) for group in groups)

    async def staying(self, session: Session) -> dict[str, int]:
        count = 0 if self._unacked else await self._sum(session, b"pending")
        return {"taken and not confirmed (--unacked reads them)": count} if count else {}

    async def workers(self, session: Session) -> str:
        count = await self._sum(session, b"consumers")
        return f"{count} consumers of the stream's groups" if count else ""


def _found(entries: Iterable[Any]) -> Found:
    """The jobs in entries of the stream, each as it is in a reply: fields and values."""
    return found_in((pairs(entry).get(b"data", b"") for entry in entries), read, beginning)


def read(element: bytes) -> ForeignJob:
    """A message as a job. Raises UnreadableJobError."""
    try:
        message = _decode(element)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableJobError(f"it is no JSON message of taskiq: {error}") from None
    labels = message.labels
    most, retried = labels.get("max_retries"), labels.get("_retries")
    others = sorted(name for name in labels if name not in _OWN_LABELS)
    return ForeignJob(
        id=message.task_id,
        name=message.task_name,
        arguments=called_with(bytes(message.args), bytes(message.kwargs)),
        document=element,
        max_retry=_whole(most) if most is not None else None,
        retried=_whole(retried) if retried is not None else 0,
        lost=tuple(f"label {name}" for name in others),
    )


def _whole(value: Any) -> int:
    """The number of a label, which is text."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        raise UnreadableJobError(f"a label of its retries is {value!r}") from None
