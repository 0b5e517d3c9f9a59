"""How long tasks take, and which fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.consume.service import Execution, Service, service_time, service_time_problem

TASKS = [b"task-%d" % number for number in range(4000)]


def drawn(text: str, fail_rate: float = 0.0, seed: int = 1) -> list[Execution]:
    service = Service(service_time(text), fail_rate, seed)
    return [service.draw(task, 0) for task in TASKS]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("50ms", 0.05), ("250us", 0.000_25), ("2s", 2), ("1.5s", 1.5), ("3", 3), ("1m30s", 90), ("2h", 7200)],
)
def test_a_duration_is_always_the_same_time(text: str, seconds: float) -> None:
    (always,) = {execution.seconds for execution in drawn(text)}

    assert always == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "mean", "least", "most"),
    [
        ("uniform(10ms, 90ms)", 0.05, 0.01, 0.09),
        ("uniform(1s, 3s)", 2.0, 1.0, 3.0),
        ("exponential(50ms)", 0.05, 0.0, 5.0),
        ("normal(50ms, 10ms)", 0.05, 0.0, 0.2),
        ("normal(1ms, 10ms)", 0.0084, 0.0, 0.1),
        ("lognormal(50ms, 0.5)", 0.0567, 0.0, 2.0),
        ("lognormal(median=50ms, sigma=0.5, max=60ms)", 0.04, 0.0, 0.06),
        ("quantiles(10ms, 20ms, 400ms)", 0.1125, 0.01, 0.4),
    ],
)
def test_a_distribution_has_its_mean_and_limits(text: str, mean: float, least: float, most: float) -> None:
    times = [execution.seconds for execution in drawn(text)]

    assert sum(times) / len(times) == pytest.approx(mean, rel=0.1)
    assert least <= min(times) and max(times) <= most
    assert len(set(times)) > len(times) / 2


@pytest.mark.parametrize("text", ["", "fast", "-1s", "uniform(-1s, 1s)", "normal(1s)", "lognormal(0ms, 1)", "10 ms ms"])
def test_what_is_no_time_is_told(text: str) -> None:
    problem = service_time_problem(text)

    assert problem is not None and problem.startswith("must be a duration such as 50ms, or a distribution")
    assert "{{" not in problem and "docs/" not in problem


def test_failures_have_their_share() -> None:
    failed = [execution.fails for execution in drawn("0", 0.1)]

    assert sum(failed) == pytest.approx(400, rel=0.2)
    assert not any(execution.fails for execution in drawn("0", 0.0))
    assert all(execution.fails for execution in drawn("0", 1.0))
    assert all(execution.fails for execution in drawn("exponential(1ms)", 1.0))


@given(st.integers(0, 2**40), st.binary(max_size=40), st.integers(0, 30))
def test_an_execution_follows_from_seed_task_and_retry(seed: int, task: bytes, retried: int) -> None:
    times = service_time("exponential(1s)")

    assert Service(times, 0.5, seed).draw(task, retried) == Service(times, 0.5, seed).draw(task, retried)
    assert Service(times, 0.5, seed).draw(task, retried) != Service(times, 0.5, seed + 1).draw(task, retried)
    assert Service(times, 0.5, seed).draw(task, retried) != Service(times, 0.5, seed).draw(task, retried + 1)


@pytest.mark.parametrize("text", ["lognormal(50ms, 1000)", "lognormal(50ms, 300)", "3000w"])
def test_no_execution_exceeds_what_a_clock_can_wait_for(text: str) -> None:
    assert max(execution.seconds for execution in drawn(text)) == 365 * 86_400
