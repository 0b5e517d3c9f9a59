"""How much one worker has on the way: two deliveries always, more while they are small, never without bound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from loader.sinks.base import Delivery
from loader.sinks.window import Window
from loader.sources.batch import RawBatch
from loader.sources.validate import validate

MIB = 1024 * 1024


def delivery(tasks: int, record_bytes: int = 2) -> Delivery:
    """A delivery of as many records of this size, at least 2 bytes."""
    records = [b'"%b"' % (b"a" * (record_bytes - 2))] * tasks
    batch = validate(RawBatch(0, 0, records), 0, 0, parsed=False)
    return Delivery(batch, "q.default", b"", records, batch.payloads, range(tasks))


async def has_room(window: Window) -> bool:
    waiting = asyncio.ensure_future(window.room())
    await asyncio.sleep(0)
    if waiting.done():
        return True
    waiting.cancel()
    return False


def admitted(deliveries: Sequence[Delivery]) -> int:
    """How many enter before the first must wait."""

    async def run() -> int:
        window, entered = Window(), 0
        for each in deliveries:
            if not await has_room(window):
                break
            window.enter(each)
            entered += 1
        return entered

    return asyncio.run(run())


def test_two_usual_batches_and_no_third() -> None:
    assert admitted([delivery(1000)] * 5) == 2


def test_two_of_any_size() -> None:
    assert admitted([delivery(5000)] * 5) == 2
    assert admitted([delivery(1, 8 * MIB)] * 5) == 2


def test_small_batches_until_they_hold_as_much_as_two_usual_ones() -> None:
    assert admitted([delivery(300)] * 50) == 7


def test_few_tasks_of_many_bytes() -> None:
    assert admitted([delivery(10, MIB // 16)] * 50) == 4


def test_no_more_than_eight() -> None:
    assert admitted([delivery(1)] * 50) == 8


def test_a_part_of_a_batch_counts_by_its_share() -> None:
    whole = delivery(128, MIB // 64)  # 2 MiB
    part = Delivery(whole.batch, "other.default", b"", whole.ids[:32], whole.payloads[:32], range(32))
    assert part.size == whole.size // 4
    assert admitted([part] * 50) == 4


def test_who_waits_goes_on_when_one_leaves() -> None:
    async def run() -> None:
        window, large = Window(), delivery(1500)
        window.enter(large)
        window.enter(large)
        waiting = asyncio.ensure_future(window.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        window.leave(large)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(1, 1200), st.integers(2, 3000)), max_size=60))
def test_everything_passes_and_little_is_on_the_way(sizes: list[tuple[int, int]]) -> None:
    async def run() -> None:
        window = Window()
        on_the_way: deque[Delivery] = deque()
        for tasks, record_bytes in sizes:
            while not await has_room(window):
                window.leave(on_the_way.popleft())
            assert len(on_the_way) < 8
            if len(on_the_way) >= 2:
                assert sum(len(each.payloads) for each in on_the_way) < 2000
                assert sum(each.size for each in on_the_way) < 2 * MIB
            on_the_way.append(delivery(tasks, record_bytes))
            window.enter(on_the_way[-1])

    asyncio.run(run())
