"""What a load makes of the queues that exist, where a file tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.engine.known_queues import KnownQueues, queues_in_file
from loader.errors import UnknownQueueError, UsageError
from loader.settings import LoadOptions


def test_without_a_file_no_queue_is_refused() -> None:
    known = queues_in_file(LoadOptions(queue="q"))
    known.check("any.default")
    assert known.names is None


def test_a_file_tells_which_queues_exist_and_is_named_where_one_does_not(tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text("queues: {a: {sub_queues: [{name: high}]}, b: {}}")
    known = queues_in_file(LoadOptions(queue="a", queues_file=file))
    assert known == KnownQueues(frozenset({"a.high", "b.default"}), str(file))
    known.check("a.high")
    known.check()  # each record names its own
    with pytest.raises(UnknownQueueError, match=r"queue a\.low does not exist in .*queues\.yaml\. Use one of these: a"):
        known.check("a.low")


def test_of_a_file_without_queues_none_exists(tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text("queues: {}")
    with pytest.raises(UnknownQueueError, match="none at all"):
        queues_in_file(LoadOptions(queue="a", queues_file=file)).check("a.default")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.yaml"):
        queues_in_file(LoadOptions(queue="a", queues_file=tmp_path / "missing.yaml"))
