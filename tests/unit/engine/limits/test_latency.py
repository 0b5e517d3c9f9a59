"""``--max-latency``: the rate that the controller settles at, against servers that get slow at some rate."""

from __future__ import annotations

import asyncio
import random

import pytest

from loader.engine.limits.latency import ANSWERS_A_SECOND, FLOOR, Controller, MaxLatency
from tests.unit.engine.limits.making import Clock, delivery

LIMIT = 0.005


def rates(controller: Controller, clock: Clock, knee: float, seconds: int, noise: random.Random) -> list[float]:
    """The rate before each answer of a server whose answers are slow the more often the faster it is loaded.

    At ``knee`` tasks a second, one answer of a hundred is slower than the limit, and ten times as many at 1.5 times
    the knee.
    """
    seen = []
    for _ in range(seconds * ANSWERS_A_SECOND):
        seen.append(controller.rate)
        share = min(1.0, 0.01 * (controller.rate / knee) ** 5.7)
        controller.answered(3 * LIMIT if noise.random() < share else LIMIT / 10, is_used=True)
        clock.now += 1 / ANSWERS_A_SECOND
    return seen


@pytest.mark.parametrize("knee", [3_000, 20_000, 300_000])
def test_the_rate_settles_where_one_answer_of_a_hundred_is_too_slow(knee: float) -> None:
    clock = Clock()
    controller = Controller(LIMIT, clock)
    rates(controller, clock, knee, 60, random.Random(1))

    later = rates(controller, clock, knee, 600, random.Random(2))

    assert 0.6 * knee < sum(later) / len(later) < 1.3 * knee


def test_a_server_that_is_always_slow_gets_the_lowest_rate_and_the_load_comes_back_when_it_is_fast() -> None:
    clock = Clock()
    controller = Controller(LIMIT, clock)
    rates(controller, clock, 50_000, 60, random.Random(1))
    before = controller.rate
    for _ in range(60 * ANSWERS_A_SECOND):
        controller.answered(1.0, is_used=True)
        clock.now += 1 / ANSWERS_A_SECOND
    assert controller.rate == FLOOR

    for _ in range(5 * ANSWERS_A_SECOND):
        controller.answered(0.0001, is_used=True)
    assert controller.rate > 0.5 * before


def test_slow_answers_at_the_same_time_lower_the_rate_once() -> None:
    clock = Clock()
    controller = Controller(LIMIT, clock)
    controller.rate = 90_000

    lowered = [controller.answered(0.1, is_used=True) for _ in range(5)]

    assert lowered == [True, False, False, False, False]
    assert controller.rate == pytest.approx(60_300)


def test_a_load_that_is_slower_than_it_may_be_gets_no_higher_rate() -> None:
    controller = Controller(LIMIT, Clock())
    before = controller.rate

    for _ in range(1000):
        controller.answered(0.0001, is_used=False)

    assert controller.rate == before


def test_deliveries_go_at_the_rate_and_what_was_not_used_is_not_made_up_for() -> None:
    clock = Clock()
    limit = MaxLatency(LIMIT, "5ms", clock)
    limit.controller.rate = 2000

    async def send() -> float:
        """Waits until a delivery of 100 tasks may go, and sends it. Returns the time."""
        while (hold := await limit.hold(delivery(100))) is not None:
            assert not hold.is_news
            clock.now += hold.seconds
        limit.passed(delivery(100))
        return clock.now

    async def run() -> None:
        start = await send()
        assert [await send() - start for _ in range(3)] == pytest.approx([0.05, 0.1, 0.15])
        clock.now += 100
        start = await send()
        assert await send() - start == pytest.approx(0.05)

    asyncio.run(run())


def test_a_rate_that_rises_counts_for_a_delivery_that_waits() -> None:
    clock = Clock()
    limit = MaxLatency(LIMIT, "5ms", clock)
    limit.controller.rate = FLOOR

    async def run() -> None:
        limit.passed(delivery(1000))
        assert await limit.hold(delivery(100)) is not None
        limit.controller.rate = 100 * FLOOR
        clock.now += 0.011
        assert await limit.hold(delivery(100)) is None

    asyncio.run(run())
