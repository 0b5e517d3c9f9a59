"""Latencies are kept with three digits."""

from __future__ import annotations

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loader.pace.latency import LatencyRecorder, Lateness


def test_each_task_counts_from_its_own_due_time() -> None:
    recorder = LatencyRecorder()
    recorder.record([10.0, 10.5, 10.9], (), 11.0)
    found = recorder.to_dict()
    assert (found["count"], found["unit"]) == (3, "ms")
    assert [found[name] for name in ("min", "p50", "max")] == pytest.approx([100, 500, 1000], rel=1e-3)
    assert found["mean"] == pytest.approx(1600 / 3, rel=1e-3)


def test_tasks_that_are_not_in_do_not_count() -> None:
    recorder = LatencyRecorder()
    recorder.record([10.0, 10.5, 10.9], {0: None, 2: None}, 11.0)
    assert recorder.total.get_total_count() == 1
    assert recorder.milliseconds(100) == pytest.approx([500], rel=1e-3)


@given(latencies=st.lists(st.floats(0, 90_000), min_size=1, max_size=50))
def test_the_histogram_is_that_of_each_value_on_its_own(latencies: list[float]) -> None:
    recorder, alone = LatencyRecorder(), HdrHistogram(1, 24 * 3600 * 1_000_000, 3)
    due = sorted(-latency for latency in latencies)
    recorder.record(due, (), 0.0)
    for at in due:
        alone.record_value(min(24 * 3600 * 1_000_000, max(1, int(-at * 1_000_000))))
    assert recorder.take_interval().encode() == alone.encode()


def test_an_interval_is_taken_once_and_the_total_keeps_it() -> None:
    recorder = LatencyRecorder()
    recorder.record([1.0], (), 1.001)
    assert recorder.take_interval().get_total_count() == 1
    assert recorder.take_interval().get_total_count() == 0
    recorder.record([1.0, 1.0], (), 1.002)
    assert recorder.total.get_total_count() == 3
    assert recorder.take_interval().get_total_count() == 2


def test_the_histogram_of_the_report_is_read_by_the_library() -> None:
    recorder = LatencyRecorder()
    recorder.record([0.0] * 99, (), 0.002)
    recorder.record([0.0], (), 3.0)
    found = recorder.to_dict()
    read = HdrHistogram.decode(found["histogram"])
    assert read.get_total_count() == 100
    assert read.get_value_at_percentile(99) / 1000 == pytest.approx(found["p99"], rel=1e-3)
    assert read.get_max_value() / 1000 == pytest.approx(3000, rel=1e-3)


def test_a_run_without_a_task_has_no_percentiles() -> None:
    recorder = LatencyRecorder()
    found = recorder.to_dict()
    assert found["count"] == 0
    assert {found[name] for name in ("min", "mean", "p50", "p90", "p99", "p99_9", "max")} == {None}
    assert recorder.milliseconds(50) is None


def test_more_than_a_day_counts_as_a_day() -> None:
    recorder = LatencyRecorder()
    recorder.record([0.0], (), 100 * 3600.0)
    assert recorder.to_dict()["max"] == pytest.approx(24 * 3600 * 1000, rel=1e-3)


def test_lateness_is_told_in_milliseconds() -> None:
    lateness = Lateness()
    for _ in range(99):
        lateness.record(0.001)
    lateness.record(0.5)
    found = lateness.to_dict()
    assert [found[name] for name in ("p50", "p99", "max")] == pytest.approx([1, 1, 500], rel=1e-3)
