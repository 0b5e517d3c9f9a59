"""Waiting for limits: what is told, what is counted, and that a stop ends it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from loader.engine.handover import Handover
from loader.engine.limits.hours import OnlyBetween
from loader.engine.limits.limits import Hold, Limits
from loader.engine.pipeline import Pipeline
from loader.errors import TransientError
from loader.jobs.holding import Holding
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.pace.course import ByRate
from loader.pace.schedule import Constant
from loader.settings.hours import Hours
from loader.sinks.base import Delivery, Feed, Observer
from tests.unit.engine.bench import Bench
from tests.unit.engine.limits.making import delivery

LONG = 600.0
"""Seconds that no test waits."""


class Times:
    """Holds each delivery so many times."""

    name = "times"

    def __init__(self, times: int, seconds: float = 0.001) -> None:
        self.left = times
        self.seconds = seconds
        self.seen: list[str] = []

    async def hold(self, delivery: Delivery) -> Hold | None:
        if not self.left:
            return None
        self.left -= 1
        return Hold(f"{self.left} times more", self.seconds)

    def passed(self, delivery: Delivery) -> None:
        self.seen.append("passed")

    def landed(self, delivery: Delivery) -> None:
        self.seen.append("landed")


class Stalled(Times):
    """Its server does not answer until the test says so."""

    name = "stalled"

    def __init__(self) -> None:
        super().__init__(0)
        self.answers = asyncio.Event()

    async def hold(self, delivery: Delivery) -> Hold | None:
        await self.answers.wait()
        return None


def never() -> bool:
    return False


def nothing(seconds: float) -> None:
    """Nothing to note."""


class Slow(Times):
    """Its server takes its time for each answer, and gives none after some.

    Attributes:
        asking: For how many seconds each answer was waited for.
    """

    name = "slow"

    def __init__(self, times: int, answers: int = 99) -> None:
        super().__init__(times)
        self.answers = answers
        self.asking: list[float] = []

    async def hold(self, delivery: Delivery) -> Hold | None:
        began = time.monotonic()
        await asyncio.sleep(0.03)
        self.asking.append(time.monotonic() - began)
        if len(self.asking) > self.answers:
            raise TransientError("the server is away")
        return await super().hold(delivery)


def test_what_is_held_lasts_from_the_first_answer_that_it_must_wait_to_the_last_one() -> None:
    """Questions between two sleeps are part of it: otherwise a load at a rate makes up for them."""
    limit, held = Slow(4), list[float]()

    async def run() -> float:
        began = time.monotonic()
        await Limits([limit, Times(2)], Holding()).clear(delivery(), never, held.append)
        return time.monotonic() - began

    lasted = asyncio.run(run())

    assert len(limit.asking) == 6  # five times, and once again after the hold of the other limit
    assert sum(limit.asking[1:]) <= sum(held) <= lasted - limit.asking[0]


def test_a_question_that_fails_is_no_part_of_what_is_held() -> None:
    limit, held = Slow(9, answers=2), list[float]()

    async def run() -> float:
        began = time.monotonic()
        with pytest.raises(TransientError):
            await Limits([limit], Holding()).clear(delivery(), never, held.append)
        return time.monotonic() - began

    lasted = asyncio.run(run())

    assert limit.asking[1] <= sum(held) <= lasted - limit.asking[0] - limit.asking[2]


def test_a_long_hold_is_told_piece_by_piece() -> None:
    """The schedule goes on while it lasts; otherwise what is not due yet would count as due."""

    async def run() -> None:
        held: list[float] = []
        waiting = asyncio.create_task(Limits([Times(1, LONG)], Holding()).clear(delivery(), lambda: stops, held.append))
        stops = False
        while len(held) < 3:
            await asyncio.sleep(0.01)
        assert max(held) < LONG
        stops = True
        await asyncio.wait_for(waiting, LONG / 10)

    asyncio.run(run())


def test_a_reason_is_told_once_and_its_time_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "runqy_loader")
    holding, limit = Holding(), Times(3)

    async def run() -> None:
        limits = Limits([limit], holding)
        held: list[float] = []
        await limits.clear(delivery(), never, held.append)
        assert sum(held) >= 3 * limit.seconds
        assert holding.seconds["times"] >= sum(held)
        limit.left = 2
        held.clear()
        await limits.clear(delivery(), never, held.append)
        assert sum(held) > 0

    asyncio.run(run())

    assert [record.getMessage() for record in caplog.records] == ["2 times more"]
    assert holding.text == ""


def test_an_earlier_limit_is_asked_again_after_a_later_one_has_held() -> None:
    first, second = Times(0), Times(1)

    async def hold(delivery: Delivery) -> Hold | None:
        first.seen.append("asked")
        return None

    first.hold = hold  # type: ignore[method-assign]
    asyncio.run(Limits([first, second], Holding()).clear(delivery(), never, nothing))

    assert first.seen == ["asked", "asked"]


@pytest.mark.parametrize("limit", [lambda: Times(9, LONG), Stalled], ids=["it holds", "its server is silent"])
def test_a_stop_ends_the_wait(limit: Callable[[], Times]) -> None:
    async def run() -> None:
        handover = Handover(Limits([limit()], Holding()))
        waiting = asyncio.create_task(handover.wait(delivery()))
        await asyncio.sleep(0)
        handover.stop()
        await asyncio.wait_for(waiting, LONG / 10)

    asyncio.run(run())


def test_a_stop_ends_a_pause() -> None:
    async def run() -> None:
        handover = Handover()
        handover.order(Orders(paused=1.0))
        waiting = asyncio.create_task(handover.wait(delivery()))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        handover.stop()
        await asyncio.wait_for(waiting, LONG / 10)

    asyncio.run(run())


def test_what_a_limit_or_a_pause_holds_shifts_the_schedule_and_a_silent_server_does_not() -> None:
    async def run() -> None:
        stalled = Stalled()
        course = ByRate(Constant(1_000_000))
        shifts: list[float] = []
        course.shift = shifts.append  # type: ignore[assignment, method-assign]
        handover = Handover(Limits([stalled, Times(2, 0.01)], Holding()), course)
        waiting = asyncio.create_task(handover.wait(delivery()))
        await asyncio.sleep(0.1)
        assert not shifts
        stalled.answers.set()
        await waiting
        assert 0.02 <= sum(shifts) < 0.1

        handover.order(Orders(paused=1.0))
        shifts.clear()
        waiting = asyncio.create_task(handover.wait(delivery()))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        handover.order(Orders())
        await waiting
        assert sum(shifts) >= 0.04

    asyncio.run(run())


def test_a_limit_learns_what_goes_and_what_is_in() -> None:
    limit = Times(0)

    async def run() -> None:
        handover = Handover(Limits([limit], Holding()))
        await handover.wait(delivery())
        handover.landed(delivery())

    asyncio.run(run())

    assert limit.seen == ["passed", "landed"]


def test_hours_say_when_the_load_goes_on() -> None:
    moment = 1_767_614_400.0  # 2026-01-05 12:00 UTC
    limit = OnlyBetween(Hours.parse("22:00-06:00 UTC"), lambda: moment)

    async def run() -> None:
        nonlocal moment
        hold = await limit.hold(delivery())
        assert hold is not None
        assert hold.text == "waiting until 2026-01-05 22:00 UTC (--only-between 22:00-06:00 UTC)"
        moment += 10 * 3600
        assert await limit.hold(delivery()) is None

    asyncio.run(run())


def test_an_ordered_rate_is_shared_by_the_processes() -> None:
    assert Orders(rate=9000.0).shared(3) == Orders(rate=3000.0)
    assert Orders(paused=5.0).shared(3) == Orders(paused=5.0)


def test_a_delivery_whose_worker_loses_its_connection_while_it_waits_goes_to_the_next_who_asks(bench: Bench) -> None:
    """A worker that has to begin anew cancels its question for the next delivery."""
    taken: list[bytes] = []

    async def work(feed: Feed, observer: Observer) -> None:
        asked = asyncio.ensure_future(feed())
        await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
        handover.order(Orders())
        while (delivery := await feed()) is not None:
            taken.extend(delivery.payloads)
            observer.loaded(delivery)

    bench.handover = handover = Handover()
    handover.order(Orders(paused=1.0))
    bench.run([b"1", b"2", b"3"], work)

    assert taken == [b"1", b"2", b"3"]


def test_a_stop_drops_deliveries_that_were_given_back(bench: Bench) -> None:
    """The queue has no room for another end after a stop: it has one already, and one is its depth."""

    async def work(feed: Feed, observer: Observer) -> None:
        asked = asyncio.ensure_future(feed())
        await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])
        running[0].stop()
        await asyncio.sleep(0.01)
        assert await feed() is None
        assert await feed() is None

    running: list[Pipeline] = []
    bench.options["queue_depth"] = 1
    bench.handover = handover = Handover()
    handover.order(Orders(paused=1.0))

    async def run() -> LoadReport:
        pipeline, report = bench.pipeline([b"1", b"2", b"3"], work)
        running.append(pipeline)
        await pipeline.run()
        return report

    assert bench.drive(run()).loaded == 0


def test_a_delivery_whose_limit_does_not_reach_its_server_goes_to_the_next_who_asks(bench: Bench) -> None:
    taken: list[bytes] = []
    limit = Times(0)

    async def hold(delivery: Delivery) -> Hold | None:
        if not limit.seen:
            limit.seen.append("asked")
            raise TransientError("the server is away")
        return None

    async def work(feed: Feed, observer: Observer) -> None:
        with pytest.raises(TransientError):
            await feed()
        while (delivery := await feed()) is not None:
            taken.extend(delivery.payloads)
            observer.loaded(delivery)

    limit.hold = hold  # type: ignore[method-assign]
    bench.handover = Handover(Limits([limit], Holding()))
    bench.run([b"1", b"2", b"3"], work)

    assert taken == [b"1", b"2", b"3"]
