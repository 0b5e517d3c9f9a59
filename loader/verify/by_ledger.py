"""Compares what a job's ledgers say with Redis, for a job whose input is not at hand.

The ledger has, of each batch, which records it holds and a checksum of them. So ids that the loader has made are known
without the input. Where each record of a batch is a task, the checksum also tells whether the payloads are unchanged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

from loader.jobs.job_keys import load_keys
from loader.jobs.ledger import PARTS, parse_skipped
from loader.jobs.records import Committed, entry_at, set_bits
from loader.jobs.standing import Standing
from loader.layouts.task_message import MessageError
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.tasks.ids import id_suffixes
from loader.verify.listed import Listed, Wanted
from loader.verify.look import Stored
from loader.verify.options import is_chosen
from loader.verify.report import Difference, Kind, VerifyReport

Look = Callable[[str, Sequence[bytes]], Awaitable[list[Stored | None]]]
"""What Redis has of tasks of a queue; None for those that are not there."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that is in.

    Attributes:
        skipped: How many of its tasks were not placed.
    """

    number: int
    held: Committed | None
    checksum: int
    skipped: int


class LedgerComparison:
    """Compares one queue of a job with Redis.

    Args:
        look: Looks tasks up.
        listed: Where to note the tasks for the comparison with the pending list.
    """

    def __init__(
        self, servers: Servers, job: Standing, report: VerifyReport, look: Look, listed: Listed, share: float
    ) -> None:
        self._servers = servers
        self._job = job
        self._report = report
        self._look = look
        self._listed = listed
        self._share = share

    async def compare(self, queue: str, is_stopping: Callable[[], bool]) -> bool:
        """Compares the batches of a queue (its full name). Returns whether it was not stopped before.

        Raises:
            LoaderError: The server refuses, or cannot be reached.
        """
        shard = 0
        async for batches in self._shards(queue):
            for batch in batches:
                if is_stopping():
                    return False
                if batch.held is None:
                    self._report.unknown_batches += 1
                elif is_chosen(shard, batch.number, self._share):
                    await self._compare(queue, batch, batch.held)
                else:
                    self._report.not_sampled += batch.held.tasks
            shard += 1
        return True

    async def _shards(self, queue: str) -> AsyncIterator[list[_Batch]]:
        for bitmap_key in load_keys(self._job.name, self._job.manifest or {}, [queue]).marked:
            base = bitmap_key.removesuffix(PARTS[0])
            bitmap, checksums, skipped, records = await ask_each(
                self._servers,
                [
                    ("GET", base + PARTS[0]),
                    ("GET", base + PARTS[1]),
                    ("HGETALL", base + PARTS[2]),
                    ("GET", base + PARTS[3]),
                ],
            )
            yield [
                _Batch(
                    number,
                    entry_at(records or b"", number),
                    int.from_bytes((checksums or b"")[4 * number : 4 * number + 4]),
                    len(parse_skipped(skipped.get(b"%d" % number, b""))),
                )
                for number in set_bits(bitmap or b"")
            ]

    async def _compare(self, queue: str, batch: _Batch, held: Committed) -> None:
        report = self._report
        ids = [held.prefix + suffix for suffix in id_suffixes(held.first, held.records)]
        found = await self._look(queue, ids)
        if held.tasks < held.records:  # the others were rejected, or are in another queue of the job
            found = [None if one is not None and one.queue is not None else one for one in found]
        there = [one for one in found if one is not None]
        report.compared += held.tasks
        report.records_read += held.records
        report.set_aside += batch.skipped
        gone = max(0, held.tasks - batch.skipped - len(there))
        report.gone += gone
        for task_id, one in zip(ids, found, strict=True):
            if one is None:
                continue
            kind, detail = one.misplaced()
            if kind is None:
                report.same += 1
                report.states[one.state] += 1
            else:
                report.add(Difference(kind, task_id.decode(), queue, detail=detail))
        if self._is_changed(batch, held, there):
            report.same -= 1
            text = f"of the {held.records:,} tasks from this one on, at least one has another payload"
            report.add(Difference(Kind.CHANGED, ids[0].decode(), queue, detail=text))
        if gone and report.undrained:
            text = f"{gone:,} of the {held.tasks:,} tasks from this one on"
            report.note(Difference(Kind.GONE, ids[0].decode(), queue, detail=text))
        if self._share == 1:
            rows = [
                (task_id, Wanted.NOT_LISTED if one is None else one.wanted(undrained=report.undrained))
                for task_id, one in zip(ids, found, strict=True)
            ]
            self._listed.add(queue, held.prefix, rows)

    def _is_changed(self, batch: _Batch, held: Committed, there: Sequence[Stored]) -> bool:
        """Whether a payload differs from its record. False where this cannot be told."""
        manifest = self._job.manifest or {}
        if manifest.get("envelope") or not len(there) == held.tasks == held.records:
            return False
        try:
            return crc32(b"\n".join(one.payload() for one in there)) != batch.checksum
        except MessageError:
            return True
