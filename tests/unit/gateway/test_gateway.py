"""Parts of the gateway by themselves: keys, ids, metrics."""

from __future__ import annotations

import gc
import uuid

import pytest

from loader.gateway.encoders import Encoders
from loader.gateway.keys import ApiKeys
from loader.gateway.metrics import Metrics
from loader.gateway.new_ids import ids_from, new_ids
from loader.gateway.options import ServeOptions
from loader.wire.lengths import ByLength


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (b"Bearer one", True),
        (b"bearer two", True),
        (b"BEARER  two ", True),
        (b"Bearer three", False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"one", False),
        (b"Basic one", False),
        (b"Bearer one two", False),
        (b"", False),
        (b"Bearer \xff", False),
    ],
)
def test_a_key_is_right_or_not(header: bytes, allowed: bool) -> None:
    assert ApiKeys([b"one", b"two"]).allow(header) is allowed


def test_without_keys_everybody_is_let_in() -> None:
    keys = ApiKeys([])
    assert not keys.needed
    assert keys.allow(b"")


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS", " one,two ,")
    keys = ApiKeys.from_environment("KEYS")
    assert keys.allow(b"Bearer one")
    assert keys.allow(b"Bearer two")
    assert not keys.allow(b"Bearer ")


@pytest.mark.parametrize("count", [1, 2, 1000, 10_000])
def test_ids_are_distinct_uuids_that_follow_from_the_first(count: int) -> None:
    ids = new_ids(count)
    assert len(set(ids)) == count
    for task_id in (ids[0], ids[-1]):
        found = uuid.UUID(task_id.decode())
        assert (str(found).encode(), found.version, found.variant) == (task_id, 8, uuid.RFC_4122)
    assert ids_from(ids[0], count) == ids


def test_ids_of_two_requests_have_nothing_in_common() -> None:
    assert len({task_id[:23] for _ in range(1000) for task_id in new_ids(1)}) == 1000


def test_what_encoders_keep_by_length_is_bounded_over_all_of_them() -> None:
    encoders = Encoders(ServeOptions(layout="asynq"))
    before = _kept_by_length()
    most = 0
    for queue in range(20):
        for length in range(1, 4000):
            encoders.get(f"queue-{queue}").write_tasks(b"", [b"0" * 36], [b"1" * length])
        most = max(most, _kept_by_length() - before)
    assert 4000 <= most <= 70_000  # dropped between two calls: what one queue adds comes on top


def _kept_by_length() -> int:
    return sum(len(one) for one in gc.get_objects() if isinstance(one, ByLength))


def test_metrics_have_labels_of_queues_up_to_so_many_bytes() -> None:
    metrics = Metrics()
    for number in range(1500):
        metrics.enqueued(f"{number:064}", 2)
    page = metrics.page().decode()
    assert page.count('runqy_loader_tasks_enqueued_total{command="serve",job_name="",queue="0') == 1024
    assert 'runqy_loader_tasks_enqueued_total{command="serve",job_name="",queue="(other)"} 952.0' in page
