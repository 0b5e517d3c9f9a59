"""All keys of a job beside its record: its ledgers, or what a migration remembers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loader.jobs.ledger import PARTS, batches_keys
from loader.jobs.manifest import own_queues
from loader.jobs.source_index import index_keys
from loader.jobs.standing import Standing, queues_key
from loader.queues.slot_tag import slot_tag
from loader.servers.routing import Servers
from loader.servers.scan import once, scan_all
from loader.servers.scatter import ask_each
from loader.tasks.profiles import LayoutName


@dataclass(frozen=True, slots=True)
class JobKeys:
    """The keys of a job on the server of its record.

    Attributes:
        job: Its name.
        marked: The keys that say what is in: the bitmaps of a load, or the set of a migration.
        counts: The command that reads them: GET or SCARD.
        further: Its other keys, without its record and its lease.
        sources: The hashes that note the job as a user of its sources.
    """

    job: str
    marked: Sequence[bytes]
    further: Sequence[str | bytes]
    sources: Sequence[str]
    counts: str = "GET"

    @property
    def all(self) -> list[str | bytes]:
        """All keys of which only this job has a part."""
        return [*self.marked, *self.further]


def load_keys(name: str, manifest: dict[str, Any], queues: Iterable[str]) -> JobKeys:
    """The keys of a load.

    Args:
        queues: Full names of its queues.
    """
    layout: LayoutName = manifest["layout"]
    queues = list(queues)
    batches = [key for queue in queues for key in batches_keys(slot_tag(layout, queue), name, manifest)]
    bases = [key.removesuffix(PARTS[0]) for key in batches]
    further: list[str | bytes] = [base + part for base in bases for part in PARTS[1:]]
    for queue in queues:
        note = note_key(layout, queue, name)
        further += [undone_key(layout, queue, name), note, *swap_keys(note)]
    return JobKeys(name, batches, [*further, queues_key(name)], index_keys(manifest))


def note_key(layout: LayoutName, queue: str, job: str) -> bytes:
    """The ids that a rollback has taken out of a queue, and whose keys in other slots are still to be deleted."""
    return b"%b:runqy-loader:%b:undo" % (slot_tag(layout, queue), job.encode())


def written_key(layout: LayoutName, queue: str, job: str) -> bytes:
    """The ids that a migration is about to place in a queue, and whose hashes in other slots may be written."""
    return b"%b:runqy-loader:%b:written" % (slot_tag(layout, queue), job.encode())


def swap_keys(base: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The keys with which a rollback changes a long queue; see ``loader.undo.swap``.

    Args:
        base: The key of ``note_key``.
    """
    return base + b":kept", base + b":mine", base + b":taken", base + b":old"


def undone_key(layout: LayoutName, queue: str, job: str) -> bytes:
    """The number of tasks of a job that a rollback has taken out of a queue."""
    return b"%b:runqy-loader:%b:undone" % (slot_tag(layout, queue), job.encode())


def migration_keys(name: str, manifest: dict[str, Any]) -> JobKeys:
    """The keys of a migration at its target."""
    queue = manifest["to_layout"], manifest["to_queue"]
    migrated = b"%b:runqy-loader:%b:migrated" % (slot_tag(*queue), name.encode())
    return JobKeys(name, [migrated], [written_key(*queue, name)], [], "SCARD")


async def keys_of(servers: Servers, job: Standing) -> JobKeys:
    """The keys of a job that has a record.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    assert job.manifest is not None  # noqa: S101 - the caller has looked
    if job.is_migration:
        return migration_keys(job.name, job.manifest)
    return load_keys(job.name, job.manifest, await queues_of(servers, job))


async def queues_of(servers: Servers, job: Standing) -> list[str]:
    """Full names of the queues of a load.

    If records name them, each is noted before its first batch. Of a job that an earlier version has begun, the keys
    of the servers are searched for its ledgers.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    manifest = job.manifest or {}
    if not job.records_name_queues:
        return own_queues(manifest)
    found = {*await noted_queues(servers, job.name), *job.report.get("queues", {})}
    if not job.is_noted:
        found |= await _searched(servers, job.name, manifest["layout"])
    return sorted(found)


async def noted_queues(servers: Servers, job: str) -> list[str]:
    """Full names of the queues that were noted of a job whose records name them.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    (noted,) = await ask_each(servers, [("HGETALL", queues_key(job))])
    return [name.decode() for name in noted]


async def note_queue(servers: Servers, job: str, queue: str) -> None:
    """Notes a queue of a job whose records name their queues.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    await ask_each(servers, [("HSET", queues_key(job), queue, "")])


async def marks_of(servers: Servers, keys: JobKeys) -> int:
    """How many batches, or migrated tasks, a job's keys have as being in.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    replies = await ask_each(servers, [(keys.counts, key) for key in keys.marked])
    return sum(reply if isinstance(reply, int) else int.from_bytes(reply or b"").bit_count() for reply in replies)


async def _searched(servers: Servers, job: str, layout: LayoutName) -> set[str]:
    """The queues of all ledgers of a job that the servers have."""
    found: set[str] = set()
    async for keys in scan_all(servers, once, f"*:runqy-loader:{job}:*{PARTS[0].decode()}", rest=1.0):
        for key in keys:
            tag = key.partition(b":runqy-loader:")[0].strip(b"{}").decode()
            found.add(tag.removeprefix("asynq:").removesuffix(":pending") if layout == "documented" else tag)
    return found
