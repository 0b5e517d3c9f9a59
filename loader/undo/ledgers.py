"""What the ledgers of a load say of its tasks: how many are in, which records they are of, how many are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loader.jobs.job_keys import load_keys, undone_key
from loader.jobs.ledger import PARTS, parse_skipped
from loader.jobs.records import Committed, Ranges, entry_at, set_bits
from loader.jobs.standing import Standing
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """The ledgers of a job for one queue.

    Attributes:
        batches: The number of batches that are in.
        tasks: The number of their tasks; None if an earlier version has committed one of the batches.
        taken_back: How many of them rollbacks have taken out of the queue.
        ranges: Their records; of batches of earlier versions, none.
    """

    batches: int
    tasks: int | None
    taken_back: int
    ranges: Ranges


async def totals_of(servers: Servers, job: Standing, queue: str) -> QueueTotals:
    """Reads the ledgers of a load for one queue (its full name).

    Raises:
        LoaderError: A server refuses, or cannot be reached.
    """
    manifest: dict[str, Any] = job.manifest or {}
    keys = load_keys(job.name, manifest, [queue]).marked
    found = dict(zip(keys, await ask_each(servers, [("GET", key) for key in keys]), strict=True))
    there = {key.removesuffix(PARTS[0]): bitmap for key, bitmap in found.items() if bitmap}
    bases = list(there)
    records = await ask_each(servers, [("GET", base + PARTS[3]) for base in bases])
    skipped = await ask_each(servers, [("HGETALL", base + PARTS[2]) for base in bases])
    (undone,) = await ask_each(servers, [("GET", undone_key(manifest["layout"], queue, job.name))])
    committed: list[Committed | None] = []
    passed_over = 0
    for bitmap, entries, refused in zip(there.values(), records, skipped, strict=True):
        numbers = list(set_bits(bitmap))
        committed += [entry_at(entries or b"", number) for number in numbers]
        passed_over += sum(len(parse_skipped(refused.get(b"%d" % number, b""))) for number in numbers if refused)
    known = [entry for entry in committed if entry is not None]
    tasks = sum(entry.tasks for entry in known) - passed_over if len(known) == len(committed) else None
    return QueueTotals(len(committed), tasks, int(undone or 0), Ranges(known))


def total_tasks(totals: Sequence[QueueTotals]) -> int | None:
    """The number of tasks in several queues; None if it is not known."""
    counts = [one.tasks for one in totals]
    return None if None in counts else sum(count or 0 for count in counts)
