"""The due times of tasks by the clock."""

from __future__ import annotations

import pytest

from loader.pace.course import ByRate
from loader.pace.profile import Stretch, Stretches
from loader.pace.rates import profile

NONE = b"{}"


def started(text: str, at: float = 1000.0) -> ByRate:
    course = ByRate(profile(text).schedule)
    course.start(at)
    return course


def test_the_first_task_is_due_at_the_start_and_a_batch_with_its_last() -> None:
    course = started("10/s")
    assert course.due([NONE]) == 1000.0
    assert course.due([NONE] * 3) == pytest.approx(1000.2)
    assert course.take([NONE] * 3) == pytest.approx([1000.0, 1000.1, 1000.2])
    assert course.due([NONE]) == pytest.approx(1000.3)


@pytest.mark.parametrize("text", ["100k/s", "ramp(0, 100k/s, 1s)", "sine(0, 100k/s, 10s)"])
@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_the_batches_do_not_matter(text: str, batch: int) -> None:
    course, each = started(text), profile(text).schedule
    times: list[float] = []
    while len(times) < 700:
        times += course.take([NONE] * batch)
    assert times[:700] == pytest.approx([1000.0 + each.due(number) for number in range(700)], abs=2e-4)


def test_a_shift_delays_all_that_follows() -> None:
    course = started("10/s")
    course.take([NONE])
    course.shift(5.0)
    assert course.due([NONE]) == pytest.approx(1005.1)


def test_after_another_rate_the_profile_goes_on_where_it_would_be_and_makes_up_for_nothing() -> None:
    course = started("steps(10/s, 1/s, 10s)")
    course.take([NONE] * 5)
    course.go_on(1019.5, -0.5)
    assert course.take([NONE] * 2) == pytest.approx([1020.0, 1021.0])
    assert course.rate(1020.0) == 1


@pytest.mark.parametrize("text", ["4/s", "steps(4/s, 1/s, 1h)"])
@pytest.mark.parametrize(("saved", "due"), [(-1.0, 1000.25), (-0.5, 1000.125), (0.0, 1000.0), (1.5, 999.625)])
def test_what_another_rate_has_saved_up_is_kept(text: str, saved: float, due: float) -> None:
    course = ByRate(profile(text).schedule)
    course.go_on(1000.0, saved)
    assert course.saved(1000.0) == pytest.approx(saved)
    assert course.due([NONE]) == pytest.approx(due)
    assert course.take([NONE] * 3) == pytest.approx([due, due + 0.25, due + 0.5])


def test_what_is_saved_up_is_what_was_due_and_is_not_taken() -> None:
    course = started("10/s")
    course.take([NONE])
    assert course.saved(1000.0) == pytest.approx(-1)
    assert course.saved(1000.25) == pytest.approx(1.5)


def test_what_is_overdue_is_what_was_due_and_is_not_taken() -> None:
    course = started("10/s")
    assert course.overdue(1000.0) == 1
    assert course.overdue(1000.95) == 10
    course.take([NONE] * 8)
    assert course.overdue(1000.95) == 2
    assert course.overdue(1000.5) == 0


def test_nothing_is_overdue_while_the_rate_is_0() -> None:
    course = ByRate(Stretches([Stretch(1.0, 4.0, 4.0), Stretch(10.0, 0.0, 0.0), Stretch(float("inf"), 1.0, 1.0)]))
    course.start(0.0)
    course.take([NONE] * 4)
    assert [course.overdue(at) for at in (1.0, 5.0, 10.9, 11.0)] == [0, 0, 0, 1]
