"""``--max-pending``: how long a queue gets, and how often its length is read."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from loader.engine.limits.pending import MaxPending
from loader.sinks.base import Delivery
from tests.unit.engine.limits.making import Clock, delivery


class Queues:
    """Lengths of queues, and how often each was read."""

    def __init__(self) -> None:
        self.lengths = Counter[str]()
        self.reads = Counter[str]()

    async def length(self, queue: str) -> int:
        self.reads[queue] += 1
        return self.lengths[queue]


@given(
    limit=st.integers(1, 3000),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 1000)),
            st.tuples(st.just("land"), st.integers(0, 5)),
            st.tuples(st.just("consume"), st.integers(1, 2000)),
            st.tuples(st.just("pass"), st.floats(0, 2)),
        ),
        max_size=60,
    ),
)
def test_a_queue_exceeds_the_limit_by_less_than_one_batch(limit: int, steps: list[tuple[str, float]]) -> None:
    clock, queues, on_their_way = Clock(), Queues(), list[Delivery]()
    limits = MaxPending(limit, queues.length, clock)

    async def run() -> None:
        for what, amount in steps:
            if what == "send":
                tasks = delivery(int(amount))
                if await limits.hold(tasks) is None:
                    limits.passed(tasks)
                    on_their_way.append(tasks)
            elif what == "land" and on_their_way:
                tasks = on_their_way.pop(min(int(amount), len(on_their_way) - 1))
                queues.lengths["q.default"] += len(tasks.payloads)
                limits.landed(tasks)
                assert queues.lengths["q.default"] < limit + 1000
            elif what == "consume":
                queues.lengths["q.default"] = max(0, queues.lengths["q.default"] - int(amount))
            else:
                clock.now += amount
        in_all = queues.lengths["q.default"] + sum(len(tasks.payloads) for tasks in on_their_way)
        assert in_all < limit + 1000

    asyncio.run(run())


def test_the_length_is_read_at_most_twenty_times_a_second_and_at_least_once() -> None:
    clock, queues = Clock(), Queues()
    limits = MaxPending(1000, queues.length, clock)

    async def run() -> None:
        for _ in range(1000):  # a second, with room
            assert await limits.hold(delivery()) is None
            clock.now += 0.001
        assert 1 <= queues.reads["q.default"] <= 2
        queues.lengths["q.default"] = 5000
        queues.reads.clear()
        clock.now += 1
        for _ in range(1000):  # a second, without
            hold = await limits.hold(delivery())
            assert hold is not None
            assert 0 < hold.seconds <= 0.05
            clock.now += 0.001
        assert 15 <= queues.reads["q.default"] <= 20

    asyncio.run(run())


def test_each_queue_has_its_own_length() -> None:
    queues = Queues()
    queues.lengths["long.default"] = 10
    limits = MaxPending(10, queues.length, Clock())

    async def run() -> None:
        assert await limits.hold(delivery(1, "short.default")) is None
        hold = await limits.hold(delivery(1, "long.default"))
        assert hold is not None
        assert "long.default had 10 pending (--max-pending 10)" in hold.text

    asyncio.run(run())


def test_what_others_push_is_seen_within_a_second() -> None:
    clock, queues = Clock(), Queues()
    limits = MaxPending(1000, queues.length, clock)

    async def run() -> None:
        assert await limits.hold(delivery(1)) is None
        queues.lengths["q.default"] = 2000
        clock.now += 1
        assert await limits.hold(delivery(1)) is not None

    asyncio.run(run())
