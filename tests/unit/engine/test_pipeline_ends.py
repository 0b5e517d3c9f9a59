"""How a pipeline ends before its time: by a stop, a cancellation, or a failure; and which failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from loader.errors import LoaderError, SinkError, SourceError, TooManyRejectsError
from loader.sinks.base import Delivery, Observer
from loader.sources.iterable import Payload
from tests.unit.engine.bench import LONG, Bench, Gate, settled, take, worker_that

# --- stop -------------------------------------------------------------------------------------------------------------


def test_a_stop_finishes_what_is_under_way_and_begins_nothing_more(bench: Bench) -> None:
    bench.options = {"workers": 2, "queue_depth": 4}

    async def run() -> None:
        gate = Gate()
        pipeline, report = bench.pipeline(range(100), worker_that(gate))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        pipeline.stop()
        pipeline.stop()  # once more changes nothing
        await settled()
        assert not running.done()
        gate.opened.set()
        await running
        assert gate.done == gate.begun == [b"0", b"1"]
        assert (report.loaded, pipeline.complete) == (2, False)

    bench.drive(run())


def test_a_stop_before_the_start_reads_nothing(bench: Bench) -> None:
    async def run() -> None:
        gate = Gate()
        pipeline, report = bench.pipeline(range(100), worker_that(gate))
        pipeline.stop()
        await pipeline.run()
        assert (gate.begun, report.records_read, pipeline.complete) == ([], 0, False)

    bench.drive(run())


def test_a_stop_ends_a_source_that_has_nothing_to_give(bench: Bench) -> None:
    async def endless() -> AsyncIterator[Payload]:
        yield 1
        await asyncio.sleep(LONG)

    async def run() -> None:
        pipeline, report = bench.pipeline(endless(), worker_that(take))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        assert report.loaded == 1
        pipeline.stop()
        await running
        assert not pipeline.complete

    bench.drive(run())


def test_a_stop_ends_a_source_that_catches_its_cancellation(bench: Bench) -> None:
    async def stubborn() -> AsyncIterator[Payload]:
        n = 0
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(LONG if n == 3 else 0)
            yield n
            n += 1

    async def run() -> None:
        pipeline, report = bench.pipeline(stubborn(), worker_that(take))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        assert report.loaded == 3
        pipeline.stop()
        await running
        assert (report.loaded, report.records_read) == (3, 3)

    bench.drive(run())


def test_a_stop_after_all_was_read_still_delivers_only_what_is_under_way(bench: Bench) -> None:
    bench.options = {"queue_depth": 8}

    async def run() -> None:
        gate = Gate()
        pipeline, report = bench.pipeline(range(3), worker_that(gate))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        assert (report.records_read, pipeline.waiting) == (3, 3)  # two deliveries and the end
        pipeline.stop()
        gate.opened.set()
        await running
        assert (gate.done, pipeline.complete) == ([b"0"], False)

    bench.drive(run())


def test_a_cancellation_ends_the_workers_as_well(bench: Bench) -> None:
    ended: list[str] = []

    async def run() -> None:
        async def deliver(delivery: Delivery, observer: Observer) -> None:
            try:
                await asyncio.sleep(LONG)
            finally:
                ended.append("worker")

        bench.options = {"workers": 2}
        pipeline, _ = bench.pipeline(range(100), worker_that(deliver))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    bench.drive(run())
    assert ended == ["worker", "worker"]


# --- failures -----------------------------------------------------------------------------------------------------


def _torn(good: int) -> Any:
    yield from range(good)
    raise SourceError("the input is torn")


def test_what_was_read_before_the_input_failed_is_delivered_first(bench: Bench) -> None:
    error, report, pipeline = bench.fail(_torn(5), worker_that(take))

    assert (type(error), str(error)) == (SourceError, "the input is torn")
    assert (report.records_read, report.loaded, pipeline.complete) == (5, 5, False)


def test_a_server_that_fails_ends_it_at_once(bench: Bench) -> None:
    bench.options = {"queue_depth": 4}

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        if delivery.payloads == [b"2"]:
            raise SinkError("the server is full")
        observer.loaded(delivery)

    error, report, _ = bench.fail(range(10_000), worker_that(deliver))

    assert (type(error), str(error)) == (SinkError, "the server is full")
    assert report.loaded == 2
    assert report.records_read < 20


def test_a_server_that_fails_after_the_input_did_is_what_is_told(bench: Bench) -> None:
    async def deliver(delivery: Delivery, observer: Observer) -> None:
        await settled()  # the input has failed by then
        raise SinkError("the server is full")

    error, report, _ = bench.fail(_torn(3), worker_that(deliver))

    assert (type(error), report.loaded) == (SinkError, 0)


def test_of_workers_that_fail_together_the_first_is_told(bench: Bench) -> None:
    bench.options = {"workers": 3}
    both = asyncio.Event()

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        number = int(delivery.payloads[0])
        if number == 2:
            both.set()
        await both.wait()
        raise SinkError(f"failure {number}")

    error, _, _ = bench.fail(range(3), worker_that(deliver))
    assert isinstance(error, SinkError)
    assert str(error) in {"failure 0", "failure 1", "failure 2"}


def test_the_other_workers_are_cancelled_when_one_fails(bench: Bench) -> None:
    bench.options = {"workers": 2}
    ended: list[str] = []

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        if delivery.payloads == [b"1"]:
            raise SinkError("the server is full")
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    error, _, _ = bench.fail(range(10), worker_that(deliver))
    assert (type(error), ended) == (SinkError, ["cancelled"])


def test_a_mistake_in_a_worker_or_a_program_is_raised_as_it_is(bench: Bench) -> None:
    def wrong() -> Any:
        yield 1
        raise ZeroDivisionError("of the caller's")

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        raise KeyError("of ours")

    assert type(bench.fail(wrong(), worker_that(take))[0]) is ZeroDivisionError
    assert type(bench.fail(range(3), worker_that(deliver))[0]) is KeyError


def test_too_many_bad_records_end_it_with_the_one_that_was_too_many(bench: Bench) -> None:
    bench.options = {"max_errors": 1, "batch_size": 3}

    error, report, _ = bench.fail([b"1", b"2", b"bad", b"worse", b"3", b"worst"], worker_that(take))

    assert isinstance(error, TooManyRejectsError)
    assert error.args[0].startswith("payloads:4: not valid JSON")
    assert "more than --max-errors 1 record rejected" in error.args[0]
    assert (report.loaded, report.rejected) == (2, 3)
    assert [each["record"] for each in bench.rejects] == ["bad", "worse", "worst"]


def test_a_rejects_file_that_cannot_be_written_ends_it_before_the_batch_is_delivered(bench: Bench) -> None:
    (bench.folder / "rejects.jsonl").mkdir()

    error, report, _ = bench.fail([b"1", b"bad", b"2"], worker_that(take))

    assert isinstance(error, LoaderError)
    assert "cannot be written: Is a directory" in str(error)
    assert (report.loaded, report.rejected) == (1, 0)
