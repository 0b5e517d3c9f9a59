"""Celery's queues, as kombu keeps them in Redis. Seen with celery and kombu 5.7.0."""

from __future__ import annotations

import base64
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from loader.foreign.compressed import bunzipped, inflated
from loader.foreign.job import ForeignJob, Found, Jobs, UnreadableJobError, beginning, called_with, found_in
from loader.foreign.listed import Blocks, Frozen
from loader.foreign.system import Where
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.states import count_of

_PRIORITIES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""The ends of the names of a queue's lists, in the order in which workers look at them (kombu, ``priority_steps``)."""

_DECOMPRESS = {"application/x-gzip": inflated, "application/x-bz2": bunzipped}
"""What kombu calls gzip is zlib's format."""

_AFTER = ("callbacks", "errbacks", "chain", "chord")


class _Properties(msgspec.Struct):
    body_encoding: str | None = None
    priority: int | None = None


class _Headers(msgspec.Struct):
    task: str | None = None
    id: str | None = None
    eta: str | None = None
    expires: str | None = None
    retries: int | None = None
    timelimit: list[float | None] | None = None
    group: str | None = None
    compression: str | None = None


class _Element(msgspec.Struct, rename="kebab"):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: str | None = None
    content_encoding: str | None = None


_decode = msgspec.json.Decoder(_Element).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_after = msgspec.json.Decoder(dict[str, Any]).decode


class Celery:
    """See ``System``. The prefix is kombu's ``global_keyprefix``."""

    title: ClassVar[str] = "Celery"

    def __init__(self, where: Where) -> None:
        self._where = where
        self._prefix = where.prefix or ""
        self._lists = [where.key(f"{self._prefix}{where.queue}{end}") for end in _PRIORITIES]
        self._unacked = where.key(f"{self._prefix}unacked")

    def keys(self) -> Sequence[bytes]:
        bound = self._where.key(f"{self._prefix}_kombu.binding.{self._where.queue}")
        return [*self._lists, bound, *([self._unacked] if self._where.unacked else [])]

    async def jobs(self, frozen: Frozen) -> Jobs:
        held = await frozen.values(self._unacked) if self._where.unacked else None
        return self._each(held, [await frozen.listed(key, "head") for key in self._lists])

    async def _each(self, held: Blocks | None, lists: Iterable[Blocks]) -> AsyncIterator[Found]:
        for values in held() if held is not None else ():
            yield _found(element for value in values for element in _of_queue(value, self._where.queue))
        for each in lists:
            for elements in each():
                yield _found(elements)

    async def staying(self, session: Session) -> dict[str, int]:
        if self._where.unacked:
            return {}
        (held,) = await session.values([ask(b"HLEN", self._unacked)])
        return (
            {"taken and not confirmed (--unacked reads them), of all queues": count}
            if (count := count_of(held))
            else {}
        )

    async def workers(self, session: Session) -> str:
        key = f"{self._prefix}_kombu.binding.celery.pidbox"
        (count,) = await session.values([ask(b"SCARD", self._where.key(key))])
        return f"{count_of(count)} in {key}" if count_of(count) else ""


def _found(elements: Iterable[bytes]) -> Found:
    return found_in(elements, read, _name)


def _of_queue(held: bytes, queue: str) -> Iterator[bytes]:
    """The element of a value of ``unacked``, if it belongs to this queue: a list of element, exchange and key."""
    try:
        element, _, key = _decode_parts(held)
        if msgspec.json.decode(key) == queue:
            yield bytes(element)
    except (ValueError, msgspec.DecodeError):
        yield held


def read(element: bytes) -> ForeignJob:
    """An element of a list as a job.

    Raises:
        UnreadableJobError: It is no job, or one that cannot be read without running code of its own.
    """
    try:
        stored = _decode(element)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableJobError(f"it is no message of Celery's protocol 2: {error}") from None
    headers = stored.headers
    if headers.task is None or headers.id is None:
        raise UnreadableJobError("it is no message of Celery's protocol 2: it names no task or no id in its headers")
    args, kwargs, after = _body(stored)
    lost = [name for name in _AFTER if after.get(name)]
    if headers.group:
        lost.append("group")
    if stored.properties.priority:
        lost.append("priority")
    hard = [limit for limit in headers.timelimit or () if limit]
    return ForeignJob(
        id=headers.id,
        name=headers.task,
        arguments=called_with(args, kwargs),
        document=element,
        start_at=_time(headers.eta),
        retried=headers.retries or 0,
        timeout=math.ceil(hard[0]) if hard else 0,
        deadline=_time(headers.expires),
        lost=tuple(lost),
    )


def _body(stored: _Element) -> tuple[bytes, bytes, dict[str, Any]]:
    """Arguments by position and by name as JSON text, and what is to run after the task."""
    kind = stored.content_type
    if kind != "application/json":
        why = ": it would have to be run to be read" if kind == "application/x-python-serialize" else ""
        raise UnreadableJobError(f"its arguments are {kind}, not JSON{why}")
    packing = stored.headers.compression
    if packing is not None and packing not in _DECOMPRESS:
        raise UnreadableJobError(f"its arguments are compressed as {packing}")
    body = stored.body.encode()
    try:
        if stored.properties.body_encoding == "base64":
            body = base64.b64decode(body, validate=True)
        args, kwargs, after = _decode_parts(body if packing is None else _DECOMPRESS[packing](body))
        return bytes(args), bytes(kwargs), _decode_after(after)
    except UnreadableJobError:
        raise
    except (ValueError, RecursionError) as error:  # msgspec's errors are a ValueError
        raise UnreadableJobError(f"its body cannot be read: {error}") from None


def _time(text: str | None) -> float:
    """Unix time of an ISO time. Celery writes UTC without an offset only where ``enable_utc`` is on, its default."""
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableJobError(f"its time {text!r} is no ISO time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _name(element: bytes) -> bytes:
    """Its id, or how it begins."""
    try:
        return (_decode(element).headers.id or "").encode() or beginning(element)
    except (msgspec.DecodeError, RecursionError):
        return beginning(element)
