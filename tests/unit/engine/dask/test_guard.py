"""``guarded``: what leaves a Dask task is an error that Dask can send."""

from __future__ import annotations

import logging
import traceback

import pytest

from loader.engine.dask.guard import guarded
from loader.errors import LoaderError, SinkError


def fail(error: Exception, depth: int) -> None:
    if depth:
        fail(error, depth - 1)
    raise error


def who() -> str:
    return "w1"


def test_what_is_returned_is_returned() -> None:
    assert guarded(who, lambda: 7) == 7


@pytest.mark.parametrize("error", [ValueError("so"), KeyError("so"), LoaderError("so", "do that")], ids=type)
def test_an_error_of_any_depth_leaves_with_the_frame_of_the_guard_alone(error: Exception) -> None:
    with pytest.raises(LoaderError) as caught:
        guarded(who, lambda: fail(error, 50))

    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames[1:]] == ["guarded"], "the first is this test"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_error_of_the_loader_is_the_same_one() -> None:
    error = LoaderError("so", "do that")
    with pytest.raises(LoaderError) as caught:
        guarded(who, lambda: fail(error, 1))
    assert caught.value is error


def test_any_other_names_the_worker_and_its_log_has_the_end_of_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("distributed.worker.runqy_loader").addHandler(caplog.handler)  # Dask's loggers keep theirs
    with pytest.raises(SinkError, match=r"^Dask worker w1 failed: ValueError: so\. Its log has"):
        guarded(who, lambda: fail(ValueError("so"), 200))

    (record,) = {id(record): record for record in caplog.records}.values()
    assert record.name.startswith("distributed.worker")
    assert record.getMessage().startswith("ValueError: so\n")
    assert record.getMessage().endswith("raise error\n")
    assert len(record.getMessage().splitlines()) < 100
