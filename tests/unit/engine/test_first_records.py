"""The first records of a load: held back, judged, and then loaded, or stopped for."""

from __future__ import annotations

import asyncio
import zlib
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.engine.first_records import FEWEST, HELD_BYTES, FirstRecords
from loader.errors import RejectStormError, SourceError, TooManyRejectsError
from loader.jobs.ledger import LedgerState
from loader.settings.error_limit import FIRST_RECORDS, error_limit
from loader.tasks.reasons import ReasonCode
from tests.unit.engine.bench import Bench, Gate, Q, settled, take, worker_that

BATCHES = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), max_size=30).map(
    lambda pairs: [(read, min(read, bad)) for read, bad in pairs]
)


def judged(batches: list[tuple[int, int]], limit: str | None) -> bool | None:
    """Whether a load of these batches (records, and how many of them are bad) is stopped, by its first records."""
    first = FirstRecords(error_limit(limit))
    for read, bad in batches:
        first.count(read, bad, 0)
        if first.is_storm():
            return True
        if first.are_fine():
            return False
    return first.is_storm(all_read=True)


@given(BATCHES, st.sampled_from([None, 0, 5, 30, 80, 100]))
def test_the_verdict_is_that_of_the_first_records_together(batches: list[tuple[int, int]], percent: int | None) -> None:
    read = bad = 0
    for more_read, more_bad in batches:
        if read >= FIRST_RECORDS:
            break
        read, bad = read + more_read, bad + more_bad
    allowed = 50 if percent is None else percent
    too_bad = 100 * bad > allowed * read and (percent is not None or read >= FEWEST)

    verdict = judged(batches, None if percent is None else f"{percent}%")

    if read < FIRST_RECORDS or (len({more for more, _ in batches}) == 1 and FIRST_RECORDS % batches[0][0] == 0):
        assert verdict == too_bad
    elif verdict != too_bad:  # certain before the last of these batches, which has records beyond the first 1,000
        assert read > FIRST_RECORDS


@pytest.mark.parametrize(("bad", "stopped"), [(10, False), (11, True)])
def test_from_20_records_on_more_than_half_is_too_much(bad: int, stopped: bool) -> None:
    assert judged([(20, bad)], None) is stopped
    assert judged([(19, 19)], None) is False
    assert judged([(19, 1)], "5%") is True


@pytest.mark.parametrize("limit", ["none", "100", "0"])
def test_with_none_and_with_a_count_the_first_records_are_not_judged(limit: str) -> None:
    assert not FirstRecords.are_judged(error_limit(limit))
    assert FirstRecords.are_judged(error_limit(None)) and FirstRecords.are_judged(error_limit("5%"))


def test_records_of_many_bytes_are_judged_before_there_are_a_thousand() -> None:
    first = FirstRecords(error_limit(None))
    first.count(30, 16, HELD_BYTES + 1)
    assert first.is_storm()


# --- in the pipeline -----------------------------------------------------------------------------------------------


def lines(*, good: int, bad: int) -> list[bytes]:
    """Bad records first."""
    return [b"bad"] * bad + [b"1"] * good


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, {"batch_size": 100})


def test_a_load_of_mostly_bad_records_stops_before_anything_is_delivered(bench: Bench) -> None:
    gate = Gate()

    error, report, _ = bench.fail(lines(good=480, bad=520) + [b"2"] * 5000, worker_that(gate))

    assert isinstance(error, RejectStormError)
    assert gate.begun == [] and bench.asked == [] and bench.rejects == []
    assert "nothing was loaded: 520 of the first 600 records are bad" in str(error)
    assert "payloads:1: not valid JSON" in str(error)
    assert report.rejected == report.rejected_by_code[ReasonCode.INVALID_JSON] > 500
    assert report.records_read < 1100


def test_a_load_of_mostly_good_records_is_delivered_whole_and_in_order(bench: Bench) -> None:
    gate = Gate()
    gate.opened.set()
    bench.options["batch_size"] = 7

    report = bench.run(lines(good=3000, bad=450), worker_that(gate))

    assert (report.loaded, report.rejected) == (3000, 450)
    assert gate.done == [b"1"] * 3000
    assert len(bench.rejects) == 450


@pytest.mark.parametrize(("limit", "stopped"), [("20%", True), ("50%", False), ("none", False), ("400", False)])
def test_a_share_is_judged_by_the_first_records(bench: Bench, limit: str, stopped: bool) -> None:
    bench.options["max_errors"] = limit
    payloads = lines(good=700, bad=300)

    if stopped:
        error, report, _ = bench.fail(payloads, worker_that(take))
        assert isinstance(error, RejectStormError) and "--max-errors 20%" in str(error)
        assert report.loaded == 0
    else:
        assert bench.run(payloads, worker_that(take)).loaded == 700


def test_a_share_is_judged_on_and_on(bench: Bench) -> None:
    bench.options["max_errors"] = "10%"

    error, report, _ = bench.fail([b"1"] * 1500 + [b"bad"] * 500 + [b"2"] * 5000, worker_that(take))

    assert type(error) is TooManyRejectsError
    assert "more than --max-errors 10%" in str(error)
    assert report.loaded >= 1500 and report.records_read < 2500


def test_a_share_is_judged_at_the_end_of_a_small_load(bench: Bench) -> None:
    bench.options["max_errors"] = "10%"
    error, report, _ = bench.fail([b"1", b"bad", b"2"], worker_that(take))
    assert isinstance(error, RejectStormError) and report.loaded == 0


def test_a_few_records_are_never_too_few_to_load_what_is_good(bench: Bench) -> None:
    report = bench.run([b"bad", b"worse", b"1"], worker_that(take))
    assert (report.loaded, report.rejected) == (1, 2)
    assert len(bench.rejects) == 2


async def never_ending(records: list[bytes], waiting: asyncio.Event) -> AsyncIterator[bytes]:
    for record in records:
        yield record
    waiting.set()
    await asyncio.Event().wait()


@pytest.mark.parametrize(("bad_first", "delivered"), [(False, 3), (True, 0)])
def test_a_live_feed_is_held_back_only_while_most_of_it_is_bad(bench: Bench, bad_first: bool, delivered: int) -> None:
    bench.options["batch_size"] = 1
    gate = Gate()
    gate.opened.set()
    records = [b"bad"] * 4 + [b"1"] * 3 if bad_first else [b"1"] * 3 + [b"bad"] * 4

    async def steps() -> None:
        waiting = asyncio.Event()
        pipeline, _ = bench.pipeline(never_ending(records, waiting), worker_that(gate))
        running = asyncio.create_task(pipeline.run())
        await waiting.wait()
        await settled()
        assert len(gate.done) == delivered
        pipeline.stop()
        await running
        assert not pipeline.complete

    bench.drive(steps())


def test_if_something_of_a_feed_is_in_when_the_storm_comes_it_is_no_error_of_a_load_without_traces(
    bench: Bench,
) -> None:
    bench.options["batch_size"] = 10

    error, report, _ = bench.fail([b"1"] * 100 + [b"bad"] * 2000, worker_that(take))

    assert type(error) is TooManyRejectsError
    assert report.loaded == 100


@pytest.mark.parametrize("in_already", [True, False])
def test_batches_that_a_resumed_job_has_already_count_as_good(bench: Bench, in_already: bool) -> None:
    # 20 bad ones in each batch of 30: more than half.
    payloads = [b"bad" if n % 30 < 20 else b"1" for n in range(990)]
    bench.options["batch_size"] = 30

    async def steps() -> tuple[BaseException | None, int]:
        pipeline, report = bench.pipeline(payloads, worker_that(take))
        report.resumed = True
        try:
            await pipeline.run()
        except TooManyRejectsError as error:
            return error, report.already_loaded
        return None, report.already_loaded

    if in_already:
        checksums = b"".join(checksum(payloads[at : at + 30]) for at in range(0, 990, 30))
        bench.states[Q] = LedgerState(b"\xff" * 5, checksums)
    error, already = bench.drive(steps())

    assert (error is None) == in_already
    assert already == (330 if in_already else 0)


def checksum(records: list[bytes]) -> bytes:
    good = array("I", [number for number, record in enumerate(records) if record != b"bad"])
    return zlib.crc32(good.tobytes(), zlib.crc32(b"\n".join(records))).to_bytes(4, "big")


def test_a_dry_run_is_not_stopped(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "runqy_loader"):
        report = bench.run(lines(good=100, bad=2000), None)

    assert (report.valid, report.rejected, len(bench.rejects)) == (100, 2000, 2000)
    assert "this load would stop: all of the first" in caplog.text


def test_an_input_that_fails_is_judged_by_what_was_read(bench: Bench) -> None:
    async def failing(records: list[bytes]) -> AsyncIterator[bytes]:
        for record in records:
            yield record
        raise SourceError("the input is cut off")

    error, report, _ = bench.fail(failing([b"1"] * 300), worker_that(take))
    assert "cut off" in str(error) and report.loaded == 300

    error, report, _ = bench.fail(failing([b"bad"] * 300), worker_that(take))
    assert "cut off" in str(error) and report.loaded == 0 and report.rejected == 300
    assert bench.rejects == []
