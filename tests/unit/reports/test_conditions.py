"""Conditions over figures of a report: what they may say, and when they are met."""

from __future__ import annotations

import pytest

from loader.reports.conditions import Condition, change_problem, condition_problem, failures, missing
from loader.reports.figures import FIGURES
from tests.unit.reports.reports import report


@pytest.mark.parametrize(
    ("text", "name", "sign", "value"),
    [
        ("p99>50ms", "p99", ">", 50),
        ("p99.9 >= 1.5s", "p99.9", ">=", 1500),
        ("max>900us", "max", ">", 0.9),
        ("tasks_per_second<1000", "tasks_per_second", "<", 1000),
        ("rejected>0", "rejected", ">", 0),
        (" rejected > 1% ", "rejected", ">", 0.01),
        ("rate_error>=.5%", "rate_error", ">=", 0.005),
        ("oldest_pending>500ms", "oldest_pending", ">", 0.5),
        ("pending<=10", "pending", "<=", 10),
    ],
)
def test_a_condition_is_a_figure_a_sign_and_a_number_with_a_unit(text: str, name: str, sign: str, value: float) -> None:
    found = Condition.parse(text)

    assert (found.figure.name, found.sign) == (name, sign)
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("p99", "must be a figure, one of > >= < <=, and a number"),
        ("p99=50ms", "must be a figure"),
        ("p99>fast", "must be a figure"),
        ("", "must be a figure"),
        ("p99>1e3ms", "must be a figure"),
        ("p98>50ms", "must name one of the figures tasks_per_second, p50"),
        ("p99>50", "must have one of these units for p99: ms, s, us"),
        ("p99>5%", "must have one of these units for p99: ms, s, us"),
        ("rate_error>5", "must have one of these units for rate_error: %"),
        ("pending>5ms", "must have one of these units for pending: none"),
    ],
)
def test_what_is_wrong_with_a_condition_is_said(text: str, told: str) -> None:
    assert (condition_problem(text) or "").startswith(told)


def test_changes_are_in_percent() -> None:
    assert change_problem("tasks_per_second<-5%") is None
    assert change_problem("p99>+10%") is None
    assert change_problem("p99>50ms") == "must have one of these units for p99: %"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tasks_per_second<100", None),
        ("tasks_per_second<101", "tasks_per_second<101: tasks_per_second was 100"),
        ("tasks_per_second<=100", "tasks_per_second<=100: tasks_per_second was 100"),
        ("rejected>0", "rejected>0: rejected was 5"),
        ("rejected>1%", "rejected>1%: rejected was 2.5%"),
        ("rejected>2.5%", None),
        ("pending>=200", "pending>=200: pending was 200"),
        ("pending>200", None),
    ],
)
def test_a_condition_that_is_met_is_told_with_the_value(text: str, line: str | None) -> None:
    found = report([100, 100])
    found["rejected"] = 5

    assert failures([Condition.parse(text)], found) == ([] if line is None else [line])


def test_a_figure_that_is_not_there_is_no_success() -> None:
    assert failures([Condition.parse("p99>50ms")], report([100])) == ["p99>50ms: the report has no p99"]


def test_a_load_of_nothing_says_so() -> None:
    found = {**report([100]), "loaded": 0, "already_loaded": 7, "latency": None}

    assert failures([Condition.parse("p99>50ms")], found) == [
        "p99>50ms: nothing was loaded; --again loads it a second time"
    ]


def test_consumers_that_kept_up_can_take_the_rate_that_was_loaded() -> None:
    found = report([60] * 8)
    for point in found["series"]["points"]:
        point["pending"] = 0
    kept_up = found["series"]["points"][0]["loaded"] / found["series"]["points"][0]["seconds"]

    assert failures([Condition.parse(f"capacity<{kept_up / 2:.0f}")], found) == []
    (line,) = failures([Condition.parse(f"capacity<{2 * kept_up:.0f}")], found)
    assert f"not known, as consumers did not fall behind, up to {kept_up:.3g}/s" in line


def test_a_queue_in_which_nothing_waits_has_no_old_task() -> None:
    found = report([100, 100])
    for point in found["series"]["points"]:
        point |= {"pending": 0, "oldest_pending_seconds": None}

    assert failures([Condition.parse("oldest_pending>5s")], found) == []
    assert failures([Condition.parse("oldest_pending>=0s")], found) != []


def test_latencies_of_a_report_are_compared() -> None:
    found = report([200, 200], latency_ms=10)

    assert failures([Condition.parse("p50>5ms"), Condition.parse("p50>50ms")], found) == [
        f"p50>5ms: p50 was {found['latency']['p50']:.3g} ms"
    ]


def test_what_a_load_will_not_have_is_named_with_what_it_will_have() -> None:
    found = missing(Condition.parse("p99>1s"), {"queue"})

    assert found is not None
    what, hint = found
    assert what == "this load has not got latencies"
    assert "give --rate" in hint
    assert "tasks_per_second" in hint and "pending" in hint and "p50" not in hint


def test_a_load_that_has_all_can_have_any_condition() -> None:
    units = {"ms": "1ms", "s": "1s", "share": "1%"}
    for name, figure in FIGURES.items():
        condition = Condition.parse(f"{name}>{units.get(figure.kind, '1')}")
        assert missing(condition, {"latency", "pace", "queue"}) is None
