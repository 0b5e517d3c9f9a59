"""Reads one queue or one job by its name, without a SCAN over the keys of the server."""

from __future__ import annotations

from collections.abc import Iterable

from loader.inspection.survey import (
    JobProgress,
    QueueCounts,
    add_part,
    asynq_counts,
    documented_counts,
    job_record,
    part_question,
    queue_names,
)
from loader.jobs.ledger import batches_keys
from loader.jobs.manifest import own_queues, records_name_queues
from loader.queues.asynq_keys import PAUSED, WITH_TASKS
from loader.queues.existing import QUEUES_KEY
from loader.queues.slot_tag import slot_tag
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.queue_reader import stored_queue
from loader.stored.states import count_of


async def find_queue(session: Session, name: str) -> list[QueueCounts]:
    """The queues that a name from the user stands for, in either layout: NAME itself and NAME.default.

    Raises:
        SinkError: The server refuses, or cannot be reached.
    """
    found: list[QueueCounts] = []
    for full in (name, f"{name}.default"):
        encoded = full.encode()
        documented = b"asynq:%b:pending" % encoded
        states = [b"asynq:{%b}:%b" % (encoded, kind.encode()) for kind in (*WITH_TASKS, PAUSED)]
        questions = [
            ask(b"TYPE", documented),
            ask(b"EXISTS", *states),
            ask(b"SISMEMBER", QUEUES_KEY.encode(), encoded),
        ]
        kind, existing, listed = await session.values(questions)
        if kind == b"list":
            found.append(await documented_counts(session, full))
        if count_of(existing) or listed == 1:
            found.append(await asynq_counts(session, full))
    return found


async def find_job(session: Session, name: str) -> JobProgress | None:
    """A job with the counts of its ledgers; None if there is no such job.

    The manifest names the queue and the layout. If records name their queues, the queues in the report and in
    ``asynq:queues`` are read.

    Raises:
        SinkError: The server refuses, or cannot be reached.
    """
    job = await job_record(session, name)
    if job.state == "unknown" and not job.manifest:
        return None
    listed = await queue_names(session) if records_name_queues(job.manifest) else []
    parts = list(_parts(job, listed))
    replies = await session.values([part_question(key, what) for key, what in parts])
    for (key, what), reply in zip(parts, replies, strict=True):
        add_part(job, key, what, reply)
    return job


def _parts(job: JobProgress, listed: Iterable[str]) -> Iterable[tuple[bytes, str]]:
    """The keys of a job's ledgers, each with its part: ``batches``, ``aside``, ``moving`` or ``migrated``."""
    manifest, name = job.manifest, job.job.encode()
    if job.kind == "migrate":
        for end, kinds in (("from", ("aside", "moving")), ("to", ("migrated",))):
            queue = stored_queue(manifest[f"{end}_layout"], manifest[f"{end}_queue"])
            for what in kinds:
                yield b"%b:runqy-loader:%b:%b" % (queue.slot_tag, name, what.encode()), what
        return
    queues = {*own_queues(manifest), *(job.report or {}).get("queues", {}), *listed}
    for queue_name in sorted(queues):
        tag = slot_tag(manifest["layout"], queue_name)
        for key in batches_keys(tag, job.job, manifest):
            yield key, "batches"
