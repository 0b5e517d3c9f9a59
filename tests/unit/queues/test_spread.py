"""The sub-queues of ``--spread``: names that lie on different nodes, and which of them a task goes to."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loader.queues.names import resolve_queue
from loader.queues.spread import queue_of_batch, queue_of_id, spread_names
from loader.wire.slots import SLOTS, key_slot


def slots_of(queue: str, parts: int) -> list[int]:
    return [key_slot(b"asynq:{%b}:pending" % name.encode()) for name in spread_names(queue, parts)]


def test_the_names_never_change() -> None:
    """A job that was begun has recorded them, but runqy's configuration has been written with them as well."""
    assert spread_names("inference.default", 3) == [
        "inference.default-11",
        "inference.default-1",
        "inference.default-4",
    ]
    assert spread_names("mail", 2) == ["mail-3", "mail-1"]


@pytest.mark.parametrize("queue", ["inference.default", "mail", "größe.hoch"])
@pytest.mark.parametrize("nodes", [2, 3, 5, 7, 12, 64])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_nodes_with_equal_ranges_get_as_many_sub_queues_each(queue: str, nodes: int, times: int) -> None:
    bounds = [round(node * SLOTS / nodes) for node in range(nodes + 1)]

    slots = slots_of(queue, nodes * times)

    for first, after in pairwise(bounds):
        assert sum(first <= slot < after for slot in slots) == times


@pytest.mark.parametrize("parts", [2, 3, 10, 100, 256])
def test_each_part_of_the_slots_has_one_sub_queue_away_from_its_ends(parts: int) -> None:
    names = spread_names("q.default", parts)

    assert len(set(names)) == parts
    for part, slot in enumerate(slots_of("q.default", parts)):
        assert part + 0.25 <= slot * parts / SLOTS < part + 0.75
    assert all(resolve_queue(name) == name for name in names)


def test_batches_go_to_the_sub_queues_in_turn() -> None:
    names = ["a", "b", "c"]
    assert [queue_of_batch(names, 0, batch) for batch in range(6)] == [*names, *names]
    assert queue_of_batch(names, 1, 0) == "b", "a file of many short shards fills all of them, too"


def test_equal_ids_meet_in_one_sub_queue_and_all_get_about_as_many() -> None:
    names = spread_names("q", 8)
    found = Counter(queue_of_id(names, b"order-%d" % number) for number in range(80_000))

    assert queue_of_id(names, b"order-7") == queue_of_id(names, b"order-7")
    assert set(found) == set(names)
    assert max(found.values()) < 1.1 * min(found.values())
