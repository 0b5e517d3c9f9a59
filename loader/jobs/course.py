"""How a run of a job goes, and how it has ended, in the job's record: for those who look on from elsewhere.

The fields are ``progress``, noted once a second, and ``outcome``, noted at the end of a run. Both are JSON objects with
the token of the run as ``run``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from loader.jobs.standing import job_key, lease_key
from loader.layouts.lua import as_sent
from loader.servers.routing import Servers
from loader.wire.faults import translated

_PROGRESS, _OUTCOME = "progress", "outcome"

NOTE = b"""\
-- Notes fields of a job's record, unless it is gone: a load that is refused takes back what it has recorded.
-- KEYS[1]: the job
-- ARGV[1] and on: names and values
-- Reply: 1 if they are noted
if not redis.call('HGET', KEYS[1], 'manifest') then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""


@dataclass(frozen=True, slots=True)
class Course:
    """What the record says now.

    Attributes:
        progress: Counts of the newest run that notes them; None if there was none.
        outcome: Its report, and ``exit_status``; None while it runs, and if it was killed.
        is_held: Whether a run has the lease.
        is_there: Whether the job has a record.
    """

    progress: dict[str, Any] | None
    outcome: dict[str, Any] | None
    is_held: bool
    is_there: bool

    @property
    def is_over(self) -> bool:
        """Whether the newest run has said how it ended."""
        return self.outcome is not None and (self.progress or {}).get("run") == self.outcome.get("run")


async def note_begin(servers: Servers, job: str, progress: dict[str, Any]) -> None:
    """A run begins.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    await _note(servers, job, _PROGRESS, orjson.dumps(progress), _OUTCOME, "")


async def note_progress(servers: Servers, job: str, progress: dict[str, Any]) -> None:
    """A run goes on. Raises as ``note_begin``."""
    await _note(servers, job, _PROGRESS, orjson.dumps(progress))


async def note_outcome(servers: Servers, job: str, outcome: dict[str, Any]) -> None:
    """A run has ended. Raises as ``note_begin``."""
    await _note(servers, job, _OUTCOME, orjson.dumps(outcome))


async def _note(servers: Servers, job: str, *fields: str | bytes) -> None:
    key = job_key(job)
    with translated(f"{servers}, key {key}"):
        await servers.client_of(key).execute("EVAL", as_sent(NOTE), 1, key, *fields)


async def read_course(servers: Servers, job: str) -> Course:
    """Reads how the newest run goes. Raises as ``note_begin``."""
    key = job_key(job)
    with translated(f"{servers}, key {key}"):
        progress, outcome, state, lease = await servers.client_of(key).execute_all(
            [("HGET", key, _PROGRESS), ("HGET", key, _OUTCOME), ("HGET", key, "state"), ("GET", lease_key(job))]
        )
    return Course(_parsed(progress), _parsed(outcome), lease is not None, state is not None)


def _parsed(text: bytes | None) -> dict[str, Any] | None:
    if not text:
        return None
    found: dict[str, Any] = orjson.loads(text)
    return found
