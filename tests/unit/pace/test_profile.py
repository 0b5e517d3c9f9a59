"""A schedule is the exact inverse of the integral of its rate."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.pace.profile import Sine, Stretch, Stretches
from loader.pace.rates import profile
from loader.pace.schedule import Constant, Schedule

_RATES = st.just(0.0) | st.floats(0.01, 200_000)
_LENGTHS = st.floats(0.01, 10_000)


@st.composite
def stretches(draw: st.DrawFn) -> Stretches:
    parts = [Stretch(draw(_LENGTHS), draw(_RATES), draw(_RATES)) for _ in range(draw(st.integers(0, 4)))]
    if parts and any(part.tasks > 0 for part in parts) and draw(st.booleans()):
        return Stretches(parts, repeated=True)
    last = draw(st.floats(0.01, 200_000))
    return Stretches([*parts, Stretch(math.inf, last, last)])


@st.composite
def sines(draw: st.DrawFn) -> Sine:
    lowest = draw(_RATES)
    return Sine(lowest, lowest + draw(st.floats(0.1, 100_000)), draw(_LENGTHS))


SCHEDULES = stretches() | sines() | st.builds(Constant, st.floats(0.01, 200_000))
COUNTS = st.floats(0, 1_000_000)


def integral(schedule: Schedule, end: float, pieces: int = 20_000) -> float:
    """The tasks until a time, by the rule of the midpoint."""
    width = end / pieces
    return math.fsum(schedule.rate((piece + 0.5) * width) for piece in range(pieces)) * width


@given(schedule=SCHEDULES, count=COUNTS)
def test_so_many_tasks_are_due_before_the_due_time_of_a_task(schedule: Schedule, count: float) -> None:
    due = schedule.due(count)
    # At a jump, and where the rate is 0, a time that is off by its last digit may belong to another stretch.
    near = [schedule.count(max(0.0, due + off)) for off in (-1e-6 - due * 1e-12, 0.0, 1e-6 + due * 1e-12)]
    assert near[0] - 0.5 <= count <= near[2] + 0.5


@given(schedule=SCHEDULES, counts=st.lists(COUNTS, min_size=2, max_size=20))
def test_later_tasks_are_due_later(schedule: Schedule, counts: list[float]) -> None:
    times = [schedule.due(count) for count in sorted(counts)]
    assert all(before <= after + 1e-6 for before, after in itertools.pairwise(times))


def test_the_smallest_count_of_all_is_due_when_the_rate_leaves_0() -> None:
    schedule = Stretches([Stretch(1.0, 0.0, 0.0), Stretch(4.0, 0.0, 1.0)], repeated=True)
    assert schedule.due(math.ulp(0.0)) == 1.0


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("7/s", 30.0),
        ("ramp(100/s, 20000/s, 10m)", 300.0),
        ("ramp(100/s, 20000/s, 10m)", 900.0),
        ("ramp(5000/s, 1/s, 60)", 60.0),
        ("steps(100/s, 400/s, 50/s, 1m)", 150.0),
        ("spikes(100/s, 5000/s, 10s, 1m)", 200.0),
        ("spikes(0, 5000/s, 10s, 1m)", 235.0),
        ("sine(0, 2000/s, 1h)", 1000.0),
        ("sine(100/s, 2000/s, 10)", 33.3),
    ],
)
def test_the_count_is_the_integral_of_the_rate(text: str, end: float) -> None:
    schedule = profile(text).schedule
    assert schedule.count(end) == pytest.approx(integral(schedule, end), rel=1e-3)
    assert schedule.due(schedule.count(end)) == pytest.approx(end, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "dues"),
    [
        ("10/s", [0.0, 0.1, 0.2]),
        ("30/min", [0.0, 2.0, 4.0]),
        ("ramp(0, 8/s, 4s)", [0.0, 1.0, math.sqrt(2)]),
        ("steps(1/s, 2/s, 3s)", [0.0, 1.0, 2.0, 3.0, 3.5]),
        ("steps(1/s, 0, 2/s, 3s)", [0.0, 1.0, 2.0, 6.0, 6.5]),
        ("spikes(0, 2/s, 1s, 10s)", [9.0, 9.5, 19.0, 19.5]),
    ],
)
def test_tasks_are_due_at_these_times(text: str, dues: list[float]) -> None:
    schedule = profile(text).schedule
    assert [schedule.due(number) for number in range(len(dues))] == pytest.approx(dues)


def test_a_sine_begins_at_its_lowest_rate() -> None:
    schedule = profile("sine(10/s, 50/s, 100s)").schedule
    assert [schedule.rate(at) for at in (0.0, 25.0, 50.0, 75.0, 100.0)] == pytest.approx([10, 30, 50, 30, 10])
