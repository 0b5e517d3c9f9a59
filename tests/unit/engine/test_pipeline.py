"""The pipeline: what is delivered, how far it reads ahead, what it passes over, and what workers tell it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loader.errors import SourceChangedError
from loader.jobs.ids_file import IdsFile, begin_ids_file
from loader.jobs.ledger import LedgerState
from loader.sinks.base import Delivery, Feed, Observer
from loader.sources.batch import RawBatch
from loader.sources.validate import validate
from loader.tasks.reasons import Reason, ReasonCode
from tests.unit.engine.bench import Bench, Gate, Q, settled, take, take_into, worker_that

# --- what is delivered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_every_record_is_delivered_once_and_counted(bench: Bench, workers: int) -> None:
    bench.options = {"workers": workers, "batch_size": 4}
    taken: list[bytes] = []
    ended: list[int] = []

    async def work(feed: Feed, observer: Observer) -> None:
        while (delivery := await feed()) is not None:
            await asyncio.sleep(0)
            taken.extend(delivery.payloads)
            observer.loaded(delivery)
        ended.append(1)

    report = bench.run(range(50), work)

    assert sorted(taken, key=int) == [b"%d" % n for n in range(50)]
    assert len(ended) == workers
    assert (report.records_read, report.loaded, report.already_loaded, report.rejected) == (50, 50, 0, 0)
    assert (report.queues, report.batches) == ({Q: 50}, 13)
    assert report.sources[0].bytes_read == sum(map(len, taken))


def test_nothing_at_all_is_complete(bench: Bench) -> None:
    report = bench.run([], worker_that(take))

    assert (report.records_read, report.batches) == (0, 0)
    assert bench.asked == []


def test_one_worker_keeps_the_order(bench: Bench) -> None:
    taken: list[bytes] = []

    bench.run(range(20), worker_that(take_into(taken)))
    assert taken == [b"%d" % n for n in range(20)]


def test_bad_records_are_set_aside_with_their_place_and_the_others_go_on(bench: Bench) -> None:
    bench.options = {"batch_size": 3}

    report = bench.run([b"1", b"bad", b"2", b"3", b"[", b""], worker_that(take))

    assert (report.records_read, report.loaded, report.rejected) == (5, 3, 2)
    assert [(each["source"], each["line"], each["record"]) for each in bench.rejects] == [
        ("payloads", 2, "bad"),
        ("payloads", 5, "["),
    ]
    assert report.last_reject.startswith("payloads:5: not valid JSON")


def test_without_a_worker_records_are_only_counted(bench: Bench) -> None:
    report = bench.run([b"1", b"bad", b"2"], None)

    assert (report.records_read, report.valid, report.loaded, report.rejected) == (3, 2, 0, 1)
    assert bench.asked == []


# --- back-pressure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "depth"), [(1, 1), (1, 3), (2, 2)])
def test_a_source_is_read_no_further_than_the_queue_has_room(bench: Bench, workers: int, depth: int) -> None:
    bench.options = {"workers": workers, "queue_depth": depth}
    read = 0

    def payloads() -> Any:
        nonlocal read
        for n in range(100):
            read += 1
            yield n

    async def run() -> None:
        gate = Gate()
        pipeline, report = bench.pipeline(payloads(), worker_that(gate))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        assert len(gate.begun) == workers
        assert pipeline.waiting == depth
        assert read == workers + depth + 1  # that one waits for room
        gate.opened.set()
        await running
        assert (report.loaded, pipeline.waiting <= 1) == (100, True)

    bench.drive(run())


# --- what a run before has loaded -------------------------------------------------------------------------------------


def _checksum(*records: bytes) -> bytes:
    return validate(RawBatch(0, 0, list(records)), 0, 0, parsed=False).checksum.to_bytes(4, "big")


def test_batches_that_are_in_are_passed_over_and_the_ledger_is_asked_once_a_queue(bench: Bench) -> None:
    bench.states = {Q: LedgerState(bytes([0b1010_0000]), _checksum(b"0") + bytes(4) + _checksum(b"2"))}
    taken: list[bytes] = []

    report = bench.run(range(4), worker_that(take_into(taken)))

    assert taken == [b"1", b"3"]
    assert (report.loaded, report.already_loaded, report.records_read) == (2, 2, 4)
    assert bench.asked == [(Q, 0)]


def test_a_batch_that_is_not_the_one_that_was_loaded_is_told_with_its_place(bench: Bench) -> None:
    bench.states = {Q: LedgerState(bytes([0b0100_0000]), bytes(4) + _checksum(b"something else"))}

    error, report, _ = bench.fail(range(4), worker_that(take))

    assert isinstance(error, SourceChangedError)
    assert "payloads:2 (byte 2): the 1 records from here on are not the ones that job j has loaded" in error.args[0]
    assert report.loaded == 1


def test_tasks_that_a_run_before_has_skipped_are_rejected_again(bench: Bench) -> None:
    bench.options = {"batch_size": 3, "id_field": "id"}
    records = [b'{"id":"a"}', b'{"id":"b"}', b'{"id":"c"}']
    bench.states = {Q: LedgerState(b"\x80", _checksum(*records), {0: {1: Reason.of(ReasonCode.ID_TAKEN)}})}

    report = bench.run(records, worker_that(take))

    assert (report.loaded, report.already_loaded, report.rejected) == (0, 2, 1)
    assert [(each["line"], each["reason"]) for each in bench.rejects] == [(2, "its task id is a task already")]


def test_ids_of_batches_that_are_in_are_written_as_well(bench: Bench) -> None:
    path = bench.folder / "ids"
    begin_ids_file(path, "j", "documented")
    bench.ids = IdsFile(path)
    bench.options = {"id_field": "id"}
    records = [b'{"id":"a"}', b'{"id":"b"}']
    bench.states = {Q: LedgerState(b"\x80", _checksum(records[0]))}

    async def run() -> None:
        pipeline, _ = bench.pipeline(records, worker_that(take))
        assert bench.ids is not None
        await bench.ids.open()
        await pipeline.run()
        await bench.ids.close()

    bench.drive(run())
    assert path.read_bytes().splitlines()[1:] == [b"a\tq.default", b"b\tq.default"]


TAKEN = Reason.of(ReasonCode.ID_TAKEN)
OTHER_TYPE = Reason.of(ReasonCode.WRONG_TYPE)
NO_QUEUE = Reason(ReasonCode.UNKNOWN_QUEUE, "no such queue")


# --- what a worker tells ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_conflict", "why", "loaded", "already", "rejected"),
    [
        ("fail", TAKEN, 2, 0, 1),
        ("skip", TAKEN, 2, 1, 0),
        ("skip", OTHER_TYPE, 2, 0, 1),
        ("fail", NO_QUEUE, 2, 0, 1),
        ("skip", NO_QUEUE, 2, 0, 1),
    ],
)
def test_a_task_that_cannot_be_loaded_is_rejected_or_counted_as_in(
    bench: Bench, on_conflict: str, why: Reason, loaded: int, already: int, rejected: int
) -> None:
    bench.options = {"batch_size": 3, "on_conflict": on_conflict}

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        positions = {1: why}
        delivery.skipped.update(positions)
        await observer.skipped(delivery, positions)
        observer.loaded(delivery)

    report = bench.run([b"1", b"2", b"3"], worker_that(deliver))

    assert (report.loaded, report.already_loaded, report.rejected) == (loaded, already, rejected)
    found = [(each["line"], each["code"], each["reason"]) for each in bench.rejects]
    assert found == [(2, why.code, why.text)] * rejected


def test_a_batch_in_doubt_is_named_once_and_noted_as_repeated_when_it_is_in(bench: Bench) -> None:
    bench.options = {"batch_size": 2}

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        if delivery.batch.number == 1:
            await observer.in_doubt(delivery, "no answer")
            await observer.in_doubt(delivery, "no answer, again")
            assert [doubt.repeated for doubt in report.in_doubt] == [False]
        observer.loaded(delivery)

    async def run() -> None:
        await pipeline.run()

    pipeline, report = bench.pipeline(range(6), worker_that(deliver))
    bench.drive(run())
    (doubt,) = report.in_doubt
    assert (doubt.queue, doubt.records, doubt.repeated) == (Q, 2, True)
    assert "no answer" in str(doubt) and "again" not in str(doubt)
