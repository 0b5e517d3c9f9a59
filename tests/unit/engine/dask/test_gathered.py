"""The counts of shards that run more than once, or in part, in one report."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from loader.engine.dask.gathered import Gathered
from loader.engine.dask.messages import Progress, ShardResult
from loader.engine.messages import Counts
from loader.engine.part import Channel, Part
from loader.engine.targets.nowhere import validated
from loader.jobs.counts import SourceCounts
from loader.jobs.lease import Run
from loader.jobs.reject_kinds import RejectKinds
from loader.jobs.report import LoadReport, SourceReport
from loader.settings import LoadOptions
from loader.tasks.reasons import ReasonCode


def gathered(rejects: Path | None = None) -> tuple[Gathered, LoadReport, list[tuple[str, int, list[int]]]]:
    """With its report, and the batches that are to be confirmed."""
    options = LoadOptions(queue="q", layout="documented")
    report = LoadReport("j", "documented", [SourceReport("a", "jsonl", 1), SourceReport("b", "jsonl", 1)])
    part = Part(options, "j", validated, Run.new(), [], [], None, rejects)
    noted: list[tuple[str, int, list[int]]] = []
    channel = Channel(None, note_acknowledged=lambda queue, shard, batches: noted.append((queue, shard, [*batches])))
    return Gathered(part, report, channel), report, noted


def result(loaded: int, *, complete: bool = True, rejects: tuple[bytes, ...] = (), source: int = 1) -> ShardResult:
    counts = Counts(
        sources={source: SourceCounts(records_read=loaded + len(rejects), loaded=loaded, rejected=len(rejects))},
        queues={"q.default": loaded},
        rejected_by_code=Counter({ReasonCode.INVALID_JSON: len(rejects)}),
        kinds=RejectKinds(),
        batches=1,
        compact=0,
        valid=0,
        waiting=0,
        rejects_file=None,
        skipped_files=[],
        last_reject="",
        peak_rss_bytes=0,
    )
    return ShardResult("w1", complete, counts, {"q.default": [0]}, rejects)


def test_a_shard_counts_once_whatever_runs_of_it_say() -> None:
    found, report, noted = gathered()

    async def scenario() -> None:
        found.progress(Progress(7, {1: SourceCounts(records_read=5, loaded=5)}, 2))
        assert (report.loaded, found.batches_waiting) == (5, 2)
        found.count(7, result(8, complete=False))
        assert report.loaded == 8, "the counts of a run replace what was told before"
        found.progress(Progress(7, {1: SourceCounts(records_read=3, loaded=3)}, 1))
        assert report.loaded == 3, "another run of it begins anew"
        await found.add(7, result(10))
        await found.add(7, result(10))
        found.progress(Progress(7, {1: SourceCounts(loaded=4)}, 1))
        await found.add(8, result(1, source=0))
        await found.close()

    asyncio.run(scenario())
    assert [source.loaded for source in report.sources] == [1, 10]
    assert report.queues == {"q.default": 11}
    assert report.batches == 2
    assert noted == [("q.default", 7, [0]), ("q.default", 8, [0])]
    assert found.batches_waiting == 0


def test_rejects_of_complete_runs_are_in_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = b'{"source":"b","line":1,"record":"x"}\n'

    async def scenario() -> None:
        for _ in range(2):  # the second time, as a resume finds the file
            found, report, _ = gathered(path)
            await found.add(1, result(1, complete=False, rejects=(line,)))
            await found.add(1, result(2, rejects=(line,)))
            await found.close()
            assert report.rejected == 1
            assert report.rejects_file == str(path)

    asyncio.run(scenario())
    assert path.read_bytes() == line


def test_rejects_of_shards_that_are_not_done_are_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    first, second = (b'{"source":"b","line":%d,"record":"x"}\n' % line for line in (1, 2))

    async def scenario() -> None:
        found, report, _ = gathered(path)
        found.count(1, result(1, complete=False, rejects=(first,)))
        found.count(1, result(1, complete=False, rejects=(first, second)))
        found.count(2, result(1, complete=False, rejects=(b"of a run that another one follows",)))
        await found.add(2, result(2))
        assert not path.exists(), "runs may follow"
        await found.keep_early()
        await found.close()
        assert report.rejects_file == str(path)
        assert (report.loaded, report.queues, report.batches) == (3, {"q.default": 3}, 2)
        assert (report.rejected, report.rejected_by_code) == (2, {ReasonCode.INVALID_JSON: 2})

    asyncio.run(scenario())
    assert path.read_bytes() == first + second
