"""Comparisons of reports: figures, what is beyond noise, and what else differs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loader.reports.comparison import Change, compare
from loader.reports.conditions import Condition
from tests.unit.reports.reports import around, report


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Change]:
    return {one.figure.name: one for one in compare(before, after).changes}


def test_a_slower_load_is_beyond_noise_and_an_equal_one_is_not() -> None:
    first, same, slower = (report(around(rate, 62, seed)) for rate, seed in ((1000, 4), (1000, 5), (800, 6)))

    assert changes([first], [same])["tasks_per_second"].judgement.beyond is False
    found = changes([first], [slower])["tasks_per_second"]
    assert found.judgement.beyond is True
    assert found.change == pytest.approx(-0.2, abs=0.03)


def test_latencies_are_judged_by_the_histograms_of_the_intervals() -> None:
    rates = around(60, 62, 1)
    first, same, slower = (report(rates, seed=seed, latency_ms=ms) for seed, ms in ((1, 10), (2, 10), (3, 20)))

    equal, found = changes([first], [same]), changes([first], [slower])

    assert [equal[name].judgement.beyond for name in ("p50", "p90", "p99")] == [False] * 3
    assert [found[name].judgement.beyond for name in ("p50", "p90", "p99")] == [True] * 3
    low, high = found["p50"].judgement.low, found["p50"].judgement.high
    assert low is not None and high is not None
    assert low < 1 < high, "twice as long: a change of 100%"


def test_without_series_latencies_are_judged_by_batches_and_the_rate_is_not() -> None:
    first, slower = (report(around(300, 20, 1), seed=seed, latency_ms=ms) for seed, ms in ((1, 10), (3, 30)))
    for one in (first, slower):
        del one["series"]

    found = changes([first], [slower])

    assert found["p50"].judgement.beyond is True
    assert "independent" in found["p50"].judgement.by
    assert found["p99.9"].judgement.beyond is None, "600 batches are too few for 99.9%"


def test_without_series_the_rate_is_not_judged() -> None:
    found = changes([report([100])], [report([120])])["tasks_per_second"]

    assert found.judgement.beyond is None
    assert "--series" in found.judgement.by


def test_a_longest_latency_of_one_run_is_not_judged() -> None:
    first, second = (report([50] * 5, seed=seed, latency_ms=5) for seed in (1, 2))

    assert changes([first], [second])["max"].judgement.beyond is None


def test_sets_of_runs_are_judged_by_the_runs() -> None:
    before = [report([rate]) for rate in (100, 101, 102, 103, 104)]
    after = [report([rate]) for rate in (110, 111, 112, 113, 114)]

    found = changes(before, after)["tasks_per_second"]

    assert (found.before, found.after) == (102, 112)
    assert (found.judgement.beyond, found.judgement.by) == (True, "runs")


def test_too_few_runs_are_said_to_be() -> None:
    found = changes([report([100]), report([101])], [report([200])])["tasks_per_second"]

    assert found.judgement.beyond is None
    assert found.judgement.by == "5 runs of each are needed, there are 1"


def test_a_figure_that_a_report_has_not_got_is_left_out() -> None:
    assert "p99" not in changes([report([50], latency_ms=5)], [report([50])])


def test_what_differs_beside_the_figures_is_named() -> None:
    first, second = report([100]), report([100, 100])
    second["layout"], second["processes"] = "documented", 4
    second["bytes_read"] *= 3
    second["options"] = {"--workers": "8", "--job": "other"}
    second["server"]["version"] = "8.0.0"
    second["status"] = "interrupted"

    assert compare([first], [second]).differences == [
        "job j is interrupted: its figures are those up to then",
        "layout: asynq → documented",
        "processes: 1 → 4",
        "server: valkey 9.1.2 → valkey 8.0.0",
        "records: 100 → 200",
        "bytes a record: 100 → 300",
        "--workers: not given → 8",
    ]


def test_the_same_load_twice_differs_in_nothing() -> None:
    assert compare([report([100])], [report([100])]).differences == []


def test_a_change_beyond_noise_meets_a_condition_and_one_within_noise_does_not() -> None:
    first, same, slower = (report(around(rate, 62, seed)) for rate, seed in ((1000, 4), (1000, 5), (800, 6)))
    falls, any_fall = (Condition.parse(f"tasks_per_second<{text}", of_changes=True) for text in ("-5%", "0.9%"))

    (line,) = compare([first], [slower], [falls]).failed_conditions
    assert re.match(r"tasks_per_second<-5%: tasks_per_second changed by -[12]\d\.\d%", line)
    assert line.endswith("(beyond noise)")
    assert compare([first], [same], [falls]).failed_conditions == []
    assert compare([first], [same], [any_fall]).failed_conditions == [], "noise fails nothing"


def test_a_change_that_cannot_be_judged_meets_a_condition() -> None:
    condition = Condition.parse("peak_rss>1%", of_changes=True)
    first, second = report([100]), report([100])
    second["peak_rss_bytes"] = 2 * first["peak_rss_bytes"]

    assert compare([first], [second], [condition]).failed_conditions == [
        "peak_rss>1%: peak_rss changed by +100.0% (noise is not known)"
    ]


def failed(condition: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return compare([before], [after], [Condition.parse(condition, of_changes=True)]).failed_conditions


def with_rejects(count: int) -> dict[str, Any]:
    return {**report([100]), "rejected": count}


def test_what_was_0_and_is_0_has_not_changed_and_what_is_more_now_has_changed_without_bound() -> None:
    assert failed("rejected>0%", with_rejects(0), with_rejects(0)) == []
    assert failed("rejected>10%", with_rejects(0), with_rejects(500)) == [
        "rejected>10%: rejected changed from 0 to 500 (noise is not known)"
    ]
    assert failed("rejected<-10%", with_rejects(0), with_rejects(500)) == []


def test_any_figure_can_have_a_condition_also_if_the_table_has_not_got_it() -> None:
    def taking(capacity: float) -> dict[str, Any]:
        found = report([100, 100])
        found["series"]["knee"] = {"at": 1.0, "offered": 90.0, "capacity": capacity, "seconds": 9.0}
        found["series"]["points"][0]["retry"] = round(capacity)
        return found

    assert failed("capacity<-5%", taking(100), taking(90)) == [
        "capacity<-5%: capacity changed by -10.0% (noise is not known)"
    ]
    assert failed("capacity<-20%", taking(100), taking(90)) == []
    assert failed("retry>5%", taking(100), taking(110)) == ["retry>5%: retry changed by +10.0% (noise is not known)"]
    assert "capacity" in changes([taking(100)], [taking(90)])
