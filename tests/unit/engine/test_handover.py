"""Deliveries wait for limits and for their due time, and never for longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from loader.engine.handover import Handover
from loader.engine.limits import limits
from loader.jobs.holding import Holding
from loader.pace.account import PaceReport
from loader.pace.course import ByRate
from loader.pace.rates import profile
from loader.sinks.base import Delivery
from loader.sources.batch import RawBatch
from loader.sources.validate import validate
from tests.unit.engine.bench import LONG, settled

SLOW = "1/h"
FAST = "1000/s"


def deliveries(count: int, tasks: int = 1) -> list[Delivery]:
    batch = validate(RawBatch(0, 0, [b"{}"] * tasks), 0, 0, parsed=False, shard=0, any_json=False, limit="")
    return [Delivery(batch, "q.default", b"", [b"i"] * tasks, batch.payloads, range(tasks)) for _ in range(count)]


def course(text: str) -> ByRate:
    return ByRate(profile(text).schedule)


class Hold:
    """A limit that holds until it is let go.

    Attributes:
        seconds: For how long it has held so far.
    """

    def __init__(self) -> None:
        self.holds = True
        self.seconds = 0.0

    async def clear(self, delivery: Delivery, stopping: Callable[[], bool], held: Callable[[float], None]) -> None:
        began = time.monotonic()
        while self.holds and not stopping():
            await asyncio.sleep(0.001)
        self.seconds += (seconds := time.monotonic() - began)
        held(seconds)

    def passed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def landed(self, delivery: Delivery) -> None:
        """Nothing to note."""


def test_without_limits_and_due_times_nothing_waits() -> None:
    async def run() -> None:
        handover = Handover()
        (delivery,) = deliveries(1)
        await asyncio.wait_for(handover.wait(delivery), LONG)
        assert delivery.due == ()

    asyncio.run(run())


def test_a_delivery_is_handed_over_when_its_last_task_is_due_and_not_before() -> None:
    async def run() -> None:
        report = PaceReport("200/s")
        handover = Handover(course=course("200/s"), report=report)
        began = time.monotonic()
        for delivery in deliveries(5, tasks=3):
            await handover.wait(delivery)
            assert time.monotonic() >= delivery.due[-1]
        assert delivery.due[-1] - began >= 14 / 200
        assert report.sent == 15

    asyncio.run(run())


def test_due_times_do_not_depend_on_when_deliveries_come() -> None:
    async def run() -> None:
        handover = Handover(course=course(FAST))
        first, second, third = deliveries(3)
        await handover.wait(first)
        await asyncio.sleep(0.05)
        await handover.wait(second)
        await handover.wait(third)
        assert [each.due[0] - first.due[0] for each in (second, third)] == pytest.approx([0.001, 0.002])

    asyncio.run(run())


def test_several_workers_get_their_deliveries_in_order() -> None:
    async def run() -> None:
        handover, order = Handover(course=course(FAST)), []

        async def take(number: int, delivery: Delivery) -> None:
            await handover.wait(delivery)
            order.append(number)

        await asyncio.gather(*(take(number, delivery) for number, delivery in enumerate(deliveries(50))))
        assert order == list(range(50))

    asyncio.run(run())


def test_a_stop_wakes_all_who_wait() -> None:
    async def run() -> None:
        handover = Handover(course=course(SLOW))
        waiting = [asyncio.ensure_future(handover.wait(delivery)) for delivery in deliveries(4)]
        await settled()
        assert [task.done() for task in waiting] == [True, False, False, False]
        handover.stop()
        await asyncio.wait_for(asyncio.gather(*waiting), LONG)

    asyncio.run(run())


@pytest.mark.parametrize("text", [None, SLOW, FAST])
def test_a_pause_holds_everything_and_shifts_the_schedule(text: str | None) -> None:
    async def run() -> None:
        report = PaceReport(text)
        handover = Handover(course=course(text) if text else None, report=report)
        handover.pause()
        (delivery,) = deliveries(1)
        waiting = asyncio.ensure_future(handover.wait(delivery))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        handover.resume()
        await waiting
        assert report.sent == 1

    asyncio.run(run())


def test_a_limit_holds_deliveries_back_and_what_it_held_is_not_made_up_for() -> None:
    async def run() -> None:
        limit, report = Hold(), PaceReport(FAST)
        limit.holds = False
        handover = Handover(limit, course(FAST), report)
        first, second = deliveries(2)
        await handover.wait(first)
        limit.holds, limit.seconds = True, 0.0
        waiting = asyncio.ensure_future(handover.wait(second))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        limit.holds = False
        await waiting
        assert limit.seconds >= 0.05
        assert second.due[0] - first.due[0] == pytest.approx(0.001 + limit.seconds)

    asyncio.run(run())


class Always:
    """A limit that always holds, and is asked again and again."""

    name = "always"

    async def hold(self, delivery: Delivery) -> limits.Hold | None:
        return limits.Hold("it holds", 0.05)

    def passed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def landed(self, delivery: Delivery) -> None:
        """Nothing to note."""


@pytest.mark.parametrize("by_limit", [True, False])
def test_what_was_due_never_becomes_less_while_a_limit_or_a_pause_holds(by_limit: bool) -> None:
    """It is a counter for Prometheus, which takes each fall for a new beginning."""

    async def run() -> None:
        report = PaceReport("10000/s")
        begun = course("10000/s")
        begun.start(time.monotonic())
        handover = Handover(limits.Limits([Always()], Holding()) if by_limit else None, begun, report)
        if not by_limit:
            handover.pause()
        waiting = asyncio.create_task(handover.wait(*deliveries(1)))
        due = []
        for _ in range(60):
            await asyncio.sleep(0.02)
            due.append(report.intended(time.monotonic()))
        handover.stop()
        await waiting
        assert due == sorted(due)

    asyncio.run(run())


def test_a_stop_ends_a_limit() -> None:
    async def run() -> None:
        handover = Handover(Hold())
        waiting = [asyncio.ensure_future(handover.wait(delivery)) for delivery in deliveries(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        handover.stop()
        await asyncio.wait_for(asyncio.gather(*waiting), LONG)

    asyncio.run(run())


def test_another_rate_applies_at_once_and_until_it_is_taken_back() -> None:
    async def run() -> None:
        handover = Handover(course=course(SLOW))
        all_of_them = deliveries(6)
        await handover.wait(all_of_them[0])
        waiting = asyncio.ensure_future(handover.wait(all_of_them[1]))
        await settled()
        assert not waiting.done()

        handover.change_rate(5)
        await waiting
        for delivery in all_of_them[2:5]:
            await handover.wait(delivery)
        assert all_of_them[4].due[0] - all_of_them[2].due[0] == pytest.approx(0.4)

        handover.change_rate(None)
        waiting = asyncio.ensure_future(handover.wait(all_of_them[5]))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        handover.stop()
        await waiting

    asyncio.run(run())


def test_a_rate_that_changes_often_does_not_starve_a_batch() -> None:
    """What the batch that waits has saved up is kept."""

    async def run() -> None:
        handover = Handover(course=course("100/s"))
        first, second = deliveries(2, tasks=10)
        await handover.wait(first)
        waiting = asyncio.ensure_future(handover.wait(second))
        for change in range(400):
            await asyncio.sleep(0.005)
            if waiting.done():
                break
            handover.change_rate(100 + change % 2)
        assert waiting.done()
        assert second.due[-1] - first.due[-1] == pytest.approx(0.1, rel=0.02)

    asyncio.run(run())


def test_a_rate_that_changes_often_lets_nothing_more_go() -> None:
    async def run() -> None:
        handover = Handover(course=course(SLOW))
        waiting = [asyncio.ensure_future(handover.wait(delivery)) for delivery in deliveries(5)]
        for change in range(4):
            await settled()
            handover.change_rate(None if change == 2 else 1 / (3600 + change))
        await settled()
        assert [task.done() for task in waiting] == [True, False, False, False, False]
        handover.stop()
        await asyncio.gather(*waiting)

    asyncio.run(run())


def test_a_load_without_a_rate_can_be_given_one_and_lose_it() -> None:
    async def run() -> None:
        handover = Handover()
        first, second, third = deliveries(3)
        handover.change_rate(1 / 3600)
        await handover.wait(first)
        waiting = asyncio.ensure_future(handover.wait(second))
        await settled()
        assert not waiting.done()
        handover.change_rate(None)
        await waiting
        await handover.wait(third)
        assert third.due == ()

    asyncio.run(run())


def test_an_input_that_rests_shifts_the_schedule() -> None:
    """Otherwise what comes after it is sent at full speed, with latencies that no server has caused."""

    async def run() -> None:
        report, queue = PaceReport(FAST), asyncio.Queue[Delivery | None]()
        handover = Handover(course=course("100/s"), report=report)
        all_of_them = deliveries(8)
        for delivery in all_of_them[:2]:
            await handover.wait(delivery)
        coming = asyncio.ensure_future(handover.next_of(queue))
        await asyncio.sleep(0.3)
        assert report.intended(time.monotonic()) <= 3  # while it rests, nothing more is due
        came_at = time.monotonic()
        queue.put_nowait(all_of_them[2])
        assert await coming is all_of_them[2]
        for delivery in all_of_them[2:]:
            await handover.wait(delivery)
        assert all_of_them[2].due[0] >= came_at
        assert all_of_them[7].due[0] - all_of_them[2].due[0] == pytest.approx(0.05)

    asyncio.run(run())


def test_an_input_shifts_nothing_when_the_server_stalls_or_nothing_is_due_yet_or_another_task_is_held() -> None:
    async def run() -> None:
        queue = asyncio.Queue[Delivery | None]()
        handover = Handover(course=course("2/s"))
        all_of_them = deliveries(4)
        first, second, third, fourth = all_of_them
        await handover.wait(first)
        coming = asyncio.ensure_future(handover.next_of(queue))
        await settled()
        queue.put_nowait(second)  # before it is due
        await handover.wait(await coming or first)
        queue.put_nowait(third)
        await asyncio.sleep(1)  # no worker waits for the input
        assert await handover.next_of(queue) is third
        handover.pause()
        paused_at = time.monotonic()
        waiting = asyncio.ensure_future(handover.wait(third))
        await settled()
        coming = asyncio.ensure_future(handover.next_of(queue))
        await asyncio.sleep(0.05)
        queue.put_nowait(fourth)
        assert await coming is fourth
        handover.resume()
        await waiting
        paused = time.monotonic() - paused_at
        await handover.wait(fourth)
        assert second.due[0] - first.due[0] == pytest.approx(0.5)
        assert 0.5 < third.due[0] - second.due[0] <= 0.5 + paused
        assert fourth.due[0] - third.due[0] == pytest.approx(0.5)

    asyncio.run(run())


def test_a_slow_iterable_is_loaded_at_its_rate_after_a_rest(tmp_path: Path) -> None:
    from tests.unit.engine.bench import Bench, worker_that

    bench = Bench(tmp_path, {"workers": 3})
    due: list[float] = []

    async def deliver(delivery: Delivery, observer: Any) -> None:
        due.extend(delivery.due)
        observer.loaded(delivery)

    async def records() -> AsyncIterator[Any]:
        for number in range(3):
            yield {"n": number}
        await asyncio.sleep(0.5)
        for number in range(10):
            yield {"n": number}

    bench.handover = Handover(course=course("50/s"))
    assert bench.run(records(), worker_that(deliver)).loaded == 13
    due.sort()
    assert due[3] - due[2] >= 0.4
    assert due[12] - due[3] == pytest.approx(9 / 50)


def test_no_more_was_due_than_the_input_had(tmp_path: Path) -> None:
    """It is read to its end, its first task is on its way and lost, and the others wait."""
    from tests.unit.engine.bench import Bench, worker_that

    bench, report = Bench(tmp_path, {"workers": 2}), PaceReport(FAST)
    bench.handover = handover = Handover(course=course(FAST), report=report)

    async def deliver(delivery: Delivery, observer: Any) -> None:
        await asyncio.sleep(LONG)

    async def run() -> int | None:
        pipeline, _ = bench.pipeline([{"n": n} for n in range(5)], worker_that(deliver))
        running = asyncio.ensure_future(pipeline.run())
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])
        return pipeline.left

    left = bench.drive(run())
    assert (left, report.sent, report.intended(time.monotonic()) > 5) == (5, 2, True)
    handover.end(left)
    assert report.intended(time.monotonic()) == 5


def test_a_cancelled_wait_leaves_the_next_one_its_turn() -> None:
    async def run() -> None:
        handover = Handover(course=course(FAST))
        first, second, third = deliveries(3)
        await handover.wait(first)
        cancelled = asyncio.ensure_future(handover.wait(second))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait_for(handover.wait(third), LONG)
        assert third.due[0] - first.due[0] == pytest.approx(0.001)

    asyncio.run(run())


def test_a_pipeline_that_stops_drops_what_was_waiting(tmp_path: Path) -> None:
    from tests.unit.engine.bench import Bench, take_into, worker_that

    bench = Bench(tmp_path, {"workers": 3})
    taken: list[bytes] = []

    async def run() -> Any:
        pipeline, report = bench.pipeline([{"n": n} for n in range(100)], worker_that(take_into(taken)))
        pipeline._handover = Handover(course=course(SLOW))
        running = asyncio.ensure_future(pipeline.run())
        await settled()
        await asyncio.sleep(0.02)
        pipeline.stop()
        await asyncio.wait_for(running, LONG)
        return pipeline, report

    pipeline, report = bench.drive(run())
    assert (report.loaded, len(taken), pipeline.complete) == (1, 1, False)
