"""Which jobs have loaded a source into a queue: one small hash for each, so that nothing is loaded twice unnoticed.

Key ``runqy-loader:{<queue>}:source:<digest>``, a hash from job to the Unix time at which it was begun. The queue is
``*`` where records name their queues. A job that has loaded nothing, or whose record is gone, does not count.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from loader.jobs.manifest import records_name_queues
from loader.layouts.lua import as_sent
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.wire.faults import translated

NOTE = b"""\
-- Notes a job as a user of sources, unless another job has used one of them.
-- KEYS[1] and on: a hash for each source, from job to time
-- ARGV[1]: the job
-- ARGV[2]: the time
-- ARGV[3]: 1 to note the job although others have used the sources
-- ARGV[4] and on: jobs that do not count
-- Reply: empty, or the index of a key, from 1, and the jobs in it
local ignored = {[ARGV[1]] = true}
for i = 4, #ARGV do ignored[ARGV[i]] = true end
for i = 1, #KEYS do
  if ARGV[3] ~= '1' then
    local jobs, others = redis.call('HGETALL', KEYS[i]), {i}
    for j = 1, #jobs, 2 do
      if not ignored[jobs[j]] then others[#others + 1] = jobs[j] end
    end
    if #others > 1 then return others end
  end
end
for i = 1, #KEYS do
  redis.call('HSETNX', KEYS[i], ARGV[1], ARGV[2])
  -- It may end with jobs that are finished. Without the right to keep it, it ends.
  redis.pcall('PERSIST', KEYS[i])
end
return {}
"""

FORGET = b"""\
-- Deletes the hashes of sources that only this job has used.
-- KEYS[1] and on: a hash for each source, from job to time
-- ARGV[1]: the job
-- Reply: always 0
for i = 1, #KEYS do
  local jobs = redis.call('HGETALL', KEYS[i])
  if #jobs == 2 and jobs[1] == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
return 0
"""

_KEYS_AT_ONCE = 1000


def index_keys(manifest: Mapping[str, Any]) -> list[str]:
    """The key of each source of a job. Input that cannot be read again has none."""
    queue = "*" if records_name_queues(manifest) else manifest["queue"]
    digests = dict.fromkeys(source["digest"] for source in manifest["sources"] if source["digest"])
    return [f"runqy-loader:{{{queue}}}:source:{digest}" for digest in digests]


async def note_sources(
    servers: Servers, job: str, keys: Sequence[str], counts: Callable[[str], Awaitable[bool]], *, again: bool
) -> tuple[str, str] | None:
    """Notes a job as a user of its sources.

    Args:
        keys: See ``index_keys``.
        counts: Whether a job of this name may have loaded something.
        again: Whether other jobs may have used the sources.

    Returns:
        The key of a source that another job has used, and the name of that job; None if the job is noted.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    for part in _parts(keys):
        ignored: list[str] = []
        while True:
            with translated(f"{servers}, key {part[0]}"):
                client = servers.client_of(part[0])
                arguments = (job, repr(time.time()), "1" if again else "0", *ignored)
                reply = await client.execute("EVAL", as_sent(NOTE), len(part), *part, *arguments)
            if not reply:
                break
            others = [name.decode() for name in reply[1:]]
            for other in others:
                if await counts(other):
                    return part[int(reply[0]) - 1], other
            ignored += others
    return None


async def users_of(servers: Servers, keys: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The jobs that are noted in each hash. Writes nothing.

    Args:
        keys: See ``index_keys``.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    found = []
    for part in _parts(keys):
        replies = await ask_each(servers, [("HGETALL", key) for key in part])
        found += [(key, [name.decode() for name in reply]) for key, reply in zip(part, replies, strict=True)]
    return found


async def forget_sources(servers: Servers, job: str, keys: Sequence[str]) -> None:
    """Takes a note back, for a job that is refused before it has loaded anything.

    A note that stays, because other jobs have used the source as well, does no harm: a job without a record does not
    count.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    for part in _parts(keys):
        with translated(f"{servers}, key {part[0]}"):
            await servers.client_of(part[0]).execute("EVAL", as_sent(FORGET), len(part), *part, job)


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
