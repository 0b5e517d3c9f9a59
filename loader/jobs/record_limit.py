"""The limit that the server sets for the records of a job.

It is the same in all runs of a job, like everything that decides which records are rejected. So the first run records
it in field ``record_limit`` of the job's hash: bytes, a space, and the setting of Redis. Without this field, only
``--max-record-bytes`` applies.
"""

from __future__ import annotations

from typing import Any

from loader.jobs.standing import job_key
from loader.servers.routing import Servers
from loader.servers.value_limit import ValueLimit
from loader.settings import LoadOptions
from loader.sources.record_limit import RecordLimit
from loader.wire.faults import translated

_AROUND = 4096
"""Bytes of a stored message beside its payload, type and headers: id, queue, numbers (asynq: about 200).
What an envelope gives its task is a part of the record itself."""


def largest_overhead(options: LoadOptions) -> int:
    """Bytes that a stored value may have more than its record."""
    return _AROUND + len((options.type or "").encode()) + sum(len(header.encode()) + 16 for header in options.header)


async def record_limit(
    servers: Servers, job: str, server: ValueLimit | None, asked: int, around: int, *, resumed: bool
) -> RecordLimit:
    """The limit for the records of a job.

    Args:
        server: The longest value that the servers accept; None if it is unknown.
        asked: ``--max-record-bytes``.
        around: Bytes that a stored value may have more than its record.
        resumed: Whether an earlier run has begun the job. Then its limit applies, not the one of the server now.

    Raises:
        LoaderError: The server does not answer, or refuses.
    """
    key = job_key(job)
    with translated(f"{servers}, key {key}"):
        if resumed:
            recorded: Any = await servers.client_of(key).execute("HGET", key, "record_limit")
            if recorded is None:
                return RecordLimit.of_option(asked)
            size, _, setting = recorded.decode().partition(" ")
            return RecordLimit.of_server(int(size), setting)
        if server is None or server.size - around >= asked:
            return RecordLimit.of_option(asked)
        allowed = server.size - around
        await servers.client_of(key).execute("HSET", key, "record_limit", f"{allowed} {server.setting}")
        return RecordLimit.of_server(allowed, server.setting)
