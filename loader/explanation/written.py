"""The keys and the files that a load writes, before it is known which records there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loader.explanation.explanation import WrittenFile, WrittenKey
from loader.jobs.index import JOBS_KEY
from loader.jobs.ledger import PARTS
from loader.jobs.rejects import where_rejects_go
from loader.jobs.source_index import index_keys
from loader.jobs.standing import job_key, lease_key, queues_key
from loader.layouts.registry import encoder_for
from loader.queues.slot_tag import slot_tag
from loader.settings import LoadOptions

ID, QUEUE, SHARD = "<id>", "<queue>", "<shard>"
"""What stands for a part of a name that is not known ahead."""

_PARTS = {
    b":batches": ("string", "one bit for each batch that is in"),
    b":checksums": ("string", "a checksum of each batch"),
    b":records": ("string", "which records each batch holds"),
    b":skipped": ("hash", "positions of records that were not loaded, if there are any"),
    b":claim": ("hash", "which run of the shard may write, as several machines load the job"),
}


def task_keys(options: LoadOptions) -> Iterator[WrittenKey]:
    """The keys of the tasks.

    Args:
        options: Settled options.
    """
    queue = _queue(options)
    encoder = encoder_for(options, queue)
    base = encoder.pending_key.removesuffix(b"pending").decode()
    tasks, own = options.task_options, options.envelope
    yield WrittenKey(encoder.task_key(ID.encode()).decode(), "hash", "one task")
    later = tasks.process_at or tasks.process_in
    if own or not later:
        yield WrittenKey(base + "pending", "list", "ids of tasks that wait; workers take them from its right end")
    if options.layout_name == "documented":
        return
    if own or later:
        yield WrittenKey(base + "scheduled", "sorted set", "ids of tasks that start later, by their start time")
    if own or tasks.unique_ttl:
        yield WrittenKey(base + "unique:<type>:<md5>", "string", "the lock of a unique task: its id")
    if options.defaults.reverse_lookup:
        yield WrittenKey(f"asynq:t:{ID}", "hash", "the queue of the task, for runqy's look-up by id")
    yield WrittenKey(encoder.queues_key, "set", "the queue's name")


def job_keys(options: LoadOptions, job: str, manifest: dict[str, Any]) -> Iterator[WrittenKey]:
    """The loader's own keys.

    Args:
        options: Settled options.
        manifest: See ``loader.jobs.manifest.manifest_of``.
    """
    yield WrittenKey(job_key(job), "hash", "the record of the job: sources, options, state, report")
    yield WrittenKey(lease_key(job), "string", "which process loads the job now; it ends with that process")
    yield WrittenKey(JOBS_KEY, "sorted set", "the names of all jobs")
    for key in index_keys(manifest):
        yield WrittenKey(key, "hash", "which jobs have loaded this source into this queue")
    if options.records_name_queues:
        yield WrittenKey(queues_key(job), "hash", "the queues of the job")
    tag = slot_tag(options.layout_name, _queue(options)).decode()
    for part in PARTS:
        if part == b":claim" and options.engine == "local":
            continue
        kind, holds = _PARTS[part]
        yield WrittenKey(f"{tag}:runqy-loader:{job}:{SHARD}{part.decode()}", kind, f"ledger: {holds}")


def _queue(options: LoadOptions) -> str:
    """The queue of all tasks, or what stands for it."""
    queues = options.own_queues
    return QUEUE if options.records_name_queues or len(queues) != 1 else queues[0]


def files_of(options: LoadOptions, job: str, further: dict[str, Path | None]) -> list[WrittenFile]:
    """The files that a load writes.

    Args:
        further: Files of options that are not the load's own, by what they hold.
    """
    found = []
    if options.preview is None:
        found.append(_one_or_a_shard(where_rejects_go(options.rejects, job), "rejected records, if there are any"))
    if options.ids_out is not None:
        found.append(_one_or_a_shard(options.ids_out, "the id and the queue of every task that is in"))
    if options.to is not None and not options.writes_nothing:
        journal = options.journal or Path(f"{job}.journal")
        found.append(WrittenFile(str(journal), "which batches the server has acknowledged"))
    if options.embedded_dir is not None and not options.writes_nothing:
        found.append(WrittenFile(str(options.embedded_dir), "the data of the bundled server"))
    return [*found, *(WrittenFile(str(path), holds) for holds, path in further.items() if path is not None)]


def _one_or_a_shard(where: Path | str, holds: str) -> WrittenFile:
    return WrittenFile(str(where), holds if isinstance(where, Path) else f"{holds}; one file a shard")
