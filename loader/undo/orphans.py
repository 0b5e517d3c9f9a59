"""Hashes of batches that were never pushed: a run was killed between the hashes of a batch and its push.

A job that goes on writes them again and pushes them. Of a job that does not, they stay as hashes that no list names.
They have ids that are generated for the job, of records that no committed batch has. A task that a consumer has taken
is of a committed batch, so it is never deleted. Ids from records are written by a script, whole or not at all. (In a
cluster, the documented layout writes their hashes before; those are not found.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from loader.jobs.records import prefix_of
from loader.layouts.look_up import DROP_LOOK_UP
from loader.layouts.lua import as_sent
from loader.servers.retry import Repeat
from loader.servers.routing import Servers
from loader.servers.scan import once, scan_all
from loader.servers.scatter import ask_each, eval_each
from loader.tasks.ids import ID_BYTES
from loader.undo.ledgers import QueueTotals

_REST = 1.0

_AT_ONCE = 500
"""Keys that are deleted by one call: before each, the holder of the lease makes sure that it still is that."""


async def hashes_with(servers: Servers, repeat: Repeat, prefixes: Collection[bytes]) -> list[bytes]:
    """The keys of tasks with generated ids of these prefixes, in either layout, and their look-ups.

    This looks at all keys of the servers, in steps between which other clients are served.

    Raises:
        LoaderError: A server refuses, or cannot be reached.
    """

    async def search() -> list[bytes]:
        found = set[bytes]()
        async for keys in scan_all(servers, once, "asynq:*t:*", rest=_REST):
            found.update(key for key in keys if prefix_of(key[-ID_BYTES:], prefixes))
        return sorted(found)

    return await repeat(search)


async def never_pushed(
    servers: Servers, repeat: Repeat, keys: Sequence[bytes], totals: Mapping[str, QueueTotals]
) -> list[tuple[bytes, str]]:
    """Those of these keys whose task was never pushed. No load of their job may run.

    Args:
        keys: From ``hashes_with``, for the prefixes of one job.
        totals: The ledgers of the job by queue. Queues of which an earlier version has committed a batch are left out.

    Returns:
        Each key with its queue; keys of look-ups have another place in it than hashes.
    """
    known = {queue: one.ranges for queue, one in totals.items() if one.tasks is not None}
    fields = await repeat(lambda: ask_each(servers, [("HGET", key, "queue") for key in keys if _is_plain(key)]))
    named = dict(zip([key for key in keys if _is_plain(key)], fields, strict=True))
    found: list[tuple[bytes, str]] = []
    for key in keys:
        queue = (named[key] or b"").decode(errors="replace") if key in named else _queue_in(key)
        if queue in known and not known[queue].holds(key[-ID_BYTES:]):
            found.append((key, queue))
    return found


async def delete_never_pushed(
    servers: Servers, repeat: Repeat, found: Sequence[tuple[bytes, str]], layout: str
) -> None:
    """Deletes what ``never_pushed`` has found, while the lease of their job is held all the time since.

    Raises:
        LoaderError: A server refuses, or cannot be reached.
    """
    script = as_sent(DROP_LOOK_UP)
    hashes = [key for key, _ in found if layout == "documented" or not _is_plain(key)]
    for part in _parts(hashes):
        await repeat(partial(ask_each, servers, [("DEL", key) for key in part]))
    look_ups: dict[str, list[bytes]] = {}
    for key, queue in found:
        if layout == "asynq" and _is_plain(key):
            look_ups.setdefault(queue, []).append(key)
    for queue, keys in look_ups.items():
        for part in _parts(keys):
            await repeat(partial(eval_each, servers, script, part, queue))


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def _is_plain(key: bytes) -> bool:
    """Whether a key is a task of the documented layout, or a look-up."""
    return key.startswith(b"asynq:t:")


def _queue_in(key: bytes) -> str:
    return key[len(b"asynq:{") : -len(b"}:t:") - ID_BYTES].decode(errors="replace")
