"""How long the keys of a finished job stay, and how a job is forgotten.

All keys of a job end at the same time, but its record an hour later, and it says when. So a run that finds the record
knows whether the ledgers are still whole: it counts their marks. Leftover ledgers of a job that has ended are deleted
before its name is used again. Otherwise a new job of the same name would pass over what only the old one has loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from loader.errors import LoaderError, SinkError, TransientError
from loader.jobs.index import leave_jobs
from loader.jobs.job import Job
from loader.jobs.job_keys import JobKeys, keys_of, load_keys, marks_of
from loader.jobs.standing import DONE, UNDONE, Standing, job_key, queues_key
from loader.layouts.lua import as_sent
from loader.servers.clock import server_time
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.wire.faults import translated

_RECORD_MS = 3_600_000
"""How much longer the record stays than the ledgers: more than the clocks of a cluster's nodes may differ."""

_RUNS_MS = 86_400_000
"""How long the number of the runs of a forgotten job stays. It keeps a run that was suspended from going on."""

STRIP = b"""\
-- Deletes a job's record, but for the number of its runs, which ends by itself.
-- KEYS[1]: the job
-- ARGV[1]: after how many milliseconds the number ends
-- Reply: always 0
local runs = redis.call('HGET', KEYS[1], 'runs')
redis.call('DEL', KEYS[1])
if runs then
  redis.call('HSET', KEYS[1], 'runs', runs)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 0
"""

EXPIRE_SOURCE = b"""\
-- Sets when a hash of a source ends, unless more jobs are noted in it than the caller has looked at.
-- KEYS[1]: a hash from job to time
-- ARGV[1]: when it ends, in milliseconds since 1970
-- ARGV[2]: the number of jobs in it
-- Reply: 1 if it is set
if #redis.call('HGETALL', KEYS[1]) ~= 2 * ARGV[2] then return 0 end
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])
"""

log = logging.getLogger("runqy_loader")


async def keep_for(servers: Servers, keys: JobKeys, kept: int | None, *, quiet: bool = True) -> None:
    """Has the keys of a finished job end. If the server does not allow that, they stay, and one line says so.

    Args:
        kept: After how many seconds; None for never.
        quiet: Whether a refusal is no error.

    Raises:
        TransientError: The server cannot be reached.
        LoaderError: The server refuses.
    """
    try:
        if kept is None:
            await stay(servers, keys)
        else:
            await _end_at(servers, keys, int((await server_time(servers, job_key(keys.job)) + kept) * 1000))
    except TransientError:
        raise
    except LoaderError as error:
        log.info("the record of job %s stays until it is deleted: %s", keys.job, error.args[0])
        if kept is not None:
            await ask_each(servers, [("HSET", job_key(keys.job), "expires", 0, "marks", 0)])
        if not quiet:
            raise


async def _end_at(servers: Servers, keys: JobKeys, moment: int) -> None:
    record = job_key(keys.job)
    marks = await marks_of(servers, keys)
    # The record says it first: whoever finds it knows then that ledgers may be missing.
    await ask_each(servers, [("HSET", record, "expires", moment, "marks", marks)])
    await ask_each(servers, [("PEXPIREAT", key, moment) for key in keys.all])
    await ask_each(servers, [("PEXPIREAT", record, moment + _RECORD_MS)])
    await _end_sources(servers, keys.sources, moment)


async def _end_sources(servers: Servers, sources: Sequence[str], moment: int) -> None:
    """Has the notes of sources end with the last of their jobs. Those of jobs without an end stay."""
    for key, noted in zip(sources, await ask_each(servers, [("HGETALL", key) for key in sources]), strict=True):
        jobs = [name.decode() for name in noted]
        fields = await ask_each(
            servers, [("HGET", job_key(name), field) for name in jobs for field in ("manifest", "expires")]
        )
        there = [int(fields[at + 1] or 0) for at in range(0, len(fields), 2) if fields[at] is not None]
        if all(there):
            last = max([moment, *there]) + _RECORD_MS
            await _run(servers, EXPIRE_SOURCE, key, last, len(jobs))


async def stay(servers: Servers, keys: JobKeys) -> None:
    """Has the keys of a job stay.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    record = job_key(keys.job)
    # The record first: if this ends in the middle, it still says when the others may have ended.
    await ask_each(servers, [("PERSIST", record)])
    await ask_each(servers, [("PERSIST", key) for key in [*keys.all, *keys.sources]])
    await ask_each(servers, [("HSET", record, "expires", 0, "marks", 0)])


async def keep_finished(servers: Servers, job: Job, kept: int | None) -> None:
    """Has the keys of a job end that has just finished; see ``keep_for``."""
    try:
        keys = await keys_of(servers, await job.standing())
    except TransientError:
        raise
    except LoaderError as error:  # a right to find the ledgers of a job of an earlier version
        log.info("the record of job %s stays until it is deleted: %s", job.name, error.args[0])
    else:
        await keep_for(servers, keys, kept)


async def standing_to_load(servers: Servers, job: Job) -> Standing:
    """What the record of a job says that is about to be loaded, under its lease. Its keys stay from now on.

    If the job has ended, nothing is left of it, and the standing has no manifest.

    Raises:
        RolledBackError: The job is being rolled back, or was.
        LoaderError: The server refuses, or cannot be reached.
    """
    standing = await job.standing()
    standing.refuse_rolled_back()
    if standing.manifest is None or standing.expires is None:
        return standing
    keys = await keys_of(servers, standing)
    if await is_whole(servers, keys, standing):
        return standing
    await forget(servers, keys, sources=False)
    return await job.standing()


async def keep_record(servers: Servers, name: str) -> None:
    """Has the record of a job stay, which may have been left of an earlier job of its name.

    Raises:
        LoaderError: The server cannot be reached.
    """
    # Without the right to do so, no record has an end.
    await servers.client_of(job_key(name)).ask([("PERSIST", job_key(name))])


async def warn_of_leftovers(servers: Servers, name: str, manifest: dict[str, Any], queues: list[str]) -> None:
    """Says that a new job finds a ledger, which somebody has left by deleting a record by hand.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    if marks := await marks_of(servers, load_keys(name, manifest, queues)):
        log.warning(
            "job %s has no record, but a ledger that has %s batches as loaded: they are passed over. To load them "
            "again, stop this and run: runqy-loader jobs forget %s",
            name,
            f"{marks:,}",
            name,
        )


async def is_whole(servers: Servers, keys: JobKeys, job: Standing) -> bool:
    """Whether the ledgers of a job that has an end are all there, so that it can go on. They stay then.

    Raises:
        SinkError: Some have ended too early.
        LoaderError: The server refuses, or cannot be reached.
    """
    if job.state == UNDONE and job.has_ended:
        return False
    await ask_each(servers, [("PERSIST", job_key(job.name))])
    await ask_each(servers, [("PERSIST", key) for key in keys.all])
    if job.state != DONE or await marks_of(servers, keys) == job.marks:
        await stay(servers, keys)
        return True
    if not job.has_ended:
        raise SinkError(
            f"the ledger of job {job.name} is not whole: a part of it was deleted, or ended too early",
            f"To load its whole input again, give the job up: runqy-loader jobs forget {job.name}",
        )
    return False


async def forget(servers: Servers, keys: JobKeys, *, sources: bool = True) -> None:
    """Deletes all keys of a job, its record last. What it has loaded stays.

    Args:
        sources: Whether the notes of its sources are deleted as well.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    await delete_ledgers(servers, keys)
    if sources:
        await ask_each(servers, [("HDEL", key, keys.job) for key in keys.sources])
    await leave_jobs(servers, [keys.job])
    await strip(servers, keys.job)


async def delete_ledgers(servers: Servers, keys: JobKeys) -> None:
    """Deletes all keys of a job but its record. Last the one that names its queues: without it, others are not found.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    last = queues_key(keys.job)
    await ask_each(servers, [("DEL", key) for key in keys.all if key != last])
    await ask_each(servers, [("DEL", last)])


async def strip(servers: Servers, name: str) -> None:
    """Deletes a job's record, but for the number of its runs.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    await _run(servers, STRIP, job_key(name), _RUNS_MS)


async def _run(servers: Servers, script: bytes, key: str, *arguments: int) -> None:
    with translated(f"{servers}, key {key}"):
        await servers.client_of(key).execute("EVAL", as_sent(script), 1, key, *arguments)
