"""Adds up what the workers of a cluster say of the shards of a load, and writes the files of the load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loader.engine.dask.messages import Progress, ShardResult
from loader.engine.messages import Tally
from loader.engine.part import Channel, Part
from loader.jobs.counts import SourceCounts
from loader.jobs.ids_file import IdsFile
from loader.jobs.rejects import RejectsFile
from loader.jobs.report import LoadReport
from loader.outputs.place import file_of, place_of


class Gathered:
    """The counts of all shards in one report.

    Each shard counts once, whatever Dask runs: the counts of its last run replace those of the runs before, and they
    have what earlier runs of this load have loaded (``LedgerState.is_of_this_load``).

    Args:
        channel: The destination as it is open in the driver.
    """

    def __init__(self, part: Part, report: LoadReport, channel: Channel) -> None:
        self._report = report
        self._channel = channel
        self._so_far: dict[int, dict[int, SourceCounts]] = {}  # of shards that are not done
        self._waiting: dict[int, int] = {}
        self._done: set[int] = set()
        self._early: dict[int, ShardResult] = {}  # the last run that has ended of shards that are not done
        self._rejects = RejectsFile(part.rejects, channel.proof)
        self._ids: IdsFile | None = None
        self._ids_path = file_of(part.options.ids_out)
        self._rejects_place = place_of(part.options.rejects)

    @property
    def batches_waiting(self) -> int:
        """Batches in the bounded queues of all workers."""
        return sum(self._waiting.values())

    def progress(self, told: Progress) -> None:
        """A run of a shard goes on."""
        if told.shard not in self._done:
            self._waiting[told.shard] = told.waiting
            self._replace(told.shard, told.sources)

    def count(self, shard: int, result: ShardResult) -> None:
        """A run of a shard has ended early: what it has counted holds until the next run."""
        self._waiting.pop(shard, None)
        if shard not in self._done:
            self._replace(shard, result.counts.sources)
            self._report.last_reject = result.counts.last_reject or self._report.last_reject
            self._note_place(result)
            self._early[shard] = result

    async def add(self, shard: int, result: ShardResult) -> None:
        """A run of a shard has ended in order.

        Raises:
            LoaderError: A file cannot be written, or another run has taken the job over.
        """
        if not result.complete:
            self.count(shard, result)
            return
        if shard in self._done:
            return
        self._done.add(shard)
        self._waiting.pop(shard, None)
        self._replace(shard, {})
        del self._so_far[shard]
        Tally(self._report).add(result.counts)
        self._note_place(result)
        for queue, batches in result.acknowledged.items():
            self._channel.note_acknowledged(queue, shard, batches)
        self._early.pop(shard, None)
        await self._append(result.rejects)
        if self._ids_path is not None and result.ids:
            if self._ids is None:
                self._ids = IdsFile(self._ids_path, self._channel.proof)
                await self._ids.open()
            self._ids.add_lines(result.ids)
            await self._ids.settle()

    async def keep_early(self) -> None:
        """Counts all else of shards that are not done, and writes their rejects, when no run of them follows.

        The rejects may be why the load ends. The next run of the job finds them again, and does not write them again.

        Raises:
            LoaderError: The file cannot be written, or another run has taken the job over.
        """
        early, self._early = self._early, {}
        for result in early.values():
            Tally(self._report).add(replace(result.counts, sources={}))  # these are counted
        for result in early.values():
            await self._append(result.rejects)

    def _note_place(self, result: ShardResult) -> None:
        """Has the report name the place of rejects as the options do: a worker has its absolute path."""
        if result.counts.rejects_file is not None:
            self._report.rejects_file = self._rejects_place

    async def _append(self, rejects: Sequence[bytes]) -> None:
        if rejects:
            await self._rejects.append(rejects)
            self._report.rejects_file = str(self._rejects.path)

    async def close(self) -> None:
        """Closes the files. Raises LoaderError if one cannot be written."""
        self._rejects.close()
        if self._ids is not None:
            await self._ids.close()

    def _replace(self, shard: int, sources: dict[int, SourceCounts]) -> None:
        before = self._so_far.get(shard, {})
        for index in before.keys() | sources.keys():
            more = sources.get(index, SourceCounts()) - before.get(index, SourceCounts())
            self._report.sources[index] += more
        self._so_far[shard] = sources
