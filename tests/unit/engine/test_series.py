"""The recorder of a load's intervals: no task is lost, whatever becomes of the load and of the look at its queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from loader.engine.series import MOST_QUEUES, LookAtQueues, SeriesRecorder
from loader.errors import LoaderError, SinkError
from loader.jobs.measurements import Measurements, QueueLengths
from loader.jobs.report import LoadReport, SourceReport


async def record(look: LookAtQueues | None, *, fails: bool = False, steps: int = 30) -> tuple[LoadReport, Measurements]:
    """A load that counts ten tasks a step."""
    report = LoadReport("j", "asynq", [SourceReport("in.jsonl", "jsonl", None)])
    measured = Measurements(interval=0.02)

    async def work() -> bool:
        for _ in range(steps):
            await asyncio.sleep(0.005)
            report.sources[0].loaded += 10
            report.sources[0].rejected += 1
        if fails:
            raise SinkError("the server is gone")
        return True

    recorder = SeriesRecorder(report, measured, ["q.default"], look)
    if fails:
        with pytest.raises(SinkError):
            await recorder.during(work())
    else:
        assert await recorder.during(work())
    return report, measured


def is_whole(report: LoadReport, measured: Measurements) -> bool:
    points = measured.points
    return (
        sum(one.loaded for one in points) == report.loaded
        and sum(one.rejected for one in points) == report.rejected
        and [one.at for one in points] == sorted(one.at for one in points)
        and all(one.seconds > 0 for one in points)
    )


@pytest.mark.parametrize("fails", [False, True])
def test_the_intervals_have_all_tasks_also_of_a_load_that_fails(fails: bool) -> None:
    async def look(queues: Sequence[str]) -> QueueLengths:
        return QueueLengths(7, 1, 0, 0, 0, 0, 0.5)

    report, measured = asyncio.run(record(look, fails=fails))

    assert is_whole(report, measured)
    assert len(measured.points) > 2
    assert {one.queue for one in measured.points} == {QueueLengths(7, 1, 0, 0, 0, 0, 0.5)}
    assert measured.queues == ["q.default"]


def test_a_look_that_fails_is_told_once_and_fails_no_load(caplog: pytest.LogCaptureFixture) -> None:
    async def look(queues: Sequence[str]) -> QueueLengths:
        raise LoaderError("the server refuses ZCARD")

    with caplog.at_level(logging.WARNING, "runqy_loader"):
        report, measured = asyncio.run(record(look))

    assert is_whole(report, measured)
    assert {one.queue for one in measured.points} == {None}
    assert [line.getMessage() for line in caplog.records] == [
        "the state of the queue could not be read, for the report: the server refuses ZCARD"
    ]


def test_a_load_that_ends_during_a_look_loses_no_task() -> None:
    async def look(queues: Sequence[str]) -> QueueLengths:
        await asyncio.sleep(0.1)
        return QueueLengths(1, 0, 0, 0, 0, 0)

    report, measured = asyncio.run(record(look, steps=13))

    assert is_whole(report, measured)


def test_a_load_that_is_cancelled_keeps_what_was_noted() -> None:
    report = LoadReport("j", "asynq", [SourceReport("in.jsonl", "jsonl", None)])
    measured = Measurements(interval=0.02)

    async def work() -> bool:
        while True:
            await asyncio.sleep(0.005)
            report.sources[0].loaded += 10

    async def cancelled() -> bool:
        loading = asyncio.create_task(SeriesRecorder(report, measured).during(work()))
        while len(measured.points) < 3:
            await asyncio.sleep(0.01)
        loading.cancel()
        await asyncio.wait([loading])
        return loading.cancelled()

    assert asyncio.run(cancelled())
    assert is_whole(report, measured)


def test_of_many_queues_the_first_by_name_are_looked_at() -> None:
    asked: list[Sequence[str]] = []

    async def look(queues: Sequence[str]) -> QueueLengths:
        asked.append(queues)
        return QueueLengths(0, 0, 0, 0, 0, 0)

    report = LoadReport("j", "asynq", [SourceReport("in.jsonl", "jsonl", None)])
    report.queues = {f"q{number:02}.default": 1 for number in range(40)}
    measured = Measurements(interval=1.0)

    async def loaded() -> None:
        await SeriesRecorder(report, measured, [], look).during(asyncio.sleep(0.01))

    asyncio.run(loaded())

    assert asked == [[f"q{number:02}.default" for number in range(MOST_QUEUES)]]
