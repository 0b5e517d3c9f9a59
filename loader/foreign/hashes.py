"""Reads jobs that are one key each, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import hiredis

from loader.foreign.job import ForeignJob, Found, UnreadableJobError
from loader.foreign.listed import Stepped
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.wire.faults import from_reply

Member = tuple[bytes, bytes, float]
"""The key of a job, its id, and its start time (Unix; 0 for none)."""


async def fields_of(
    session: Session,
    members: Sequence[Member],
    names: Sequence[bytes],
    read: Callable[[bytes, dict[bytes, bytes], float], ForeignJob],
) -> AsyncIterator[Found]:
    """Jobs that are a hash each.

    Args:
        names: The fields to read: hashes also hold results and stack traces.
        read: Makes a job of its id, the fields that it has, and its start time.
    """

    def of(job: bytes, reply: object, start: float) -> ForeignJob | None:
        values = list(reply) if isinstance(reply, list) else []
        fields = {name: value for name, value in zip(names, values, strict=False) if value is not None}
        return read(job, fields, start) if fields else None

    async for found in _each(session, members, lambda key: ask(b"HMGET", key, *names), of):
        yield found


async def texts_of(
    session: Session, members: Sequence[Member], read: Callable[[bytes, bytes, float], ForeignJob]
) -> AsyncIterator[Found]:
    """Jobs that are a text each.

    Args:
        read: Makes a job of its id, the text, and its start time.
    """

    async for found in _each(session, members, lambda key: ask(b"GET", key), _of_text(read)):
        yield found


async def members_of(
    session: Session,
    key: bytes,
    members: Sequence[tuple[bytes, float]],
    read: Callable[[bytes, bytes, float], ForeignJob],
) -> AsyncIterator[Found]:
    """Jobs that are a field of one hash each; otherwise as ``texts_of``."""

    places = [(job, job, start) for job, start in members]
    async for found in _each(session, places, lambda job: ask(b"HGET", key, job), _of_text(read)):
        yield found


def _of_text(read: Callable[[bytes, bytes, float], ForeignJob]) -> Callable[[bytes, object, float], ForeignJob | None]:
    """Reads a reply that is a text; None for a job that is gone."""
    return lambda job, reply, start: read(job, reply, start) if isinstance(reply, bytes) else None


async def _each(
    session: Session,
    members: Sequence[Member],
    question: Callable[[bytes], Question],
    read: Callable[[bytes, object, float], ForeignJob | None],
) -> AsyncIterator[Found]:
    places = {key: (job, start) for key, job, start in members}
    stepped = Stepped()
    for keys in stepped.each(list(places)):
        replies = await session.values([*map(question, keys)])
        found, size = Found(), 0
        for key, reply in zip(keys, replies, strict=True):
            job, start = places[key]
            size += _size(reply)
            if isinstance(reply, hiredis.ReplyError):
                if not str(reply).startswith("WRONGTYPE"):
                    raise from_reply(str(reply), f"{session.address}, key {key.decode(errors='replace')}")
                found.refuse(job, UnreadableJobError("its key holds another type"))
                continue
            try:
                made = read(job, reply, start)
            except (UnreadableJobError, UnicodeDecodeError) as error:
                found.refuse(job, error)
                continue
            if made is None:
                found.missing.append(job)
            else:
                found.jobs.append(made)
        stepped.was(len(keys), size)
        yield found


def _size(reply: object) -> int:
    """The length of a text, or of all in a list; 0 for anything else."""
    if isinstance(reply, list):
        return sum(map(_size, reply))
    return len(reply) if isinstance(reply, bytes) else 0
