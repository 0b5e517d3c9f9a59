"""The intervals that a load notes: how many are kept, and what neighbours are together."""

from __future__ import annotations

from loader.jobs.measurements import MOST_POINTS, Measurements, Point, QueueLengths


def point(at: float, loaded: int = 10, *, seconds: float = 1.0, intended: int | None = None) -> Point:
    return Point(at=at, seconds=seconds, loaded=loaded, rejected=1, intended=intended)


def test_two_intervals_together_are_their_sums_and_the_larger_queue() -> None:
    first = Point(1.0, 1.0, 10, 1, 12, queue=QueueLengths(5, 4, 3, 2, 1, 0, 7.5))
    second = Point(2.5, 1.5, 20, 0, 18, queue=QueueLengths(4, 5, 3, 0, 2, 9, None))

    both = first.with_next(second)

    assert both == Point(2.5, 2.5, 30, 1, 30, queue=QueueLengths(5, 5, 3, 2, 2, 9, 7.5))


def test_what_one_of_two_intervals_does_not_know_is_that_of_the_other() -> None:
    queue = QueueLengths(5, 0, 0, 0, 0, 0)

    both = Point(1.0, 1.0, 10, 0).with_next(Point(2.0, 1.0, 0, 0, 3, queue=queue))

    assert (both.intended, both.queue) == (3, queue)


def test_no_more_points_are_kept_than_the_limit_and_none_of_their_tasks_is_lost() -> None:
    measured = Measurements(interval=1.0)

    now, count = 0.0, 0
    while now < 3 * MOST_POINTS:
        now, count = now + measured.interval, count + 1
        measured.add(point(now, seconds=measured.interval))
        assert len(measured.points) <= MOST_POINTS

    assert measured.interval == 4.0
    assert sum(one.loaded for one in measured.points) == 10 * count
    assert sum(one.seconds for one in measured.points) == measured.points[-1].at == now


def test_an_interval_too_many_costs_no_more_than_one_pair_of_neighbours() -> None:
    """To join two histograms takes milliseconds. All of them at once would hold the load for longer than its lease."""
    measured = Measurements(interval=1.0, points=[point(at) for at in range(1, MOST_POINTS + 1)])

    for more in range(1, 4):
        before = {id(one) for one in measured.points}
        measured.add(point(MOST_POINTS + 2.0 * more, seconds=2.0))

        assert sum(id(one) not in before for one in measured.points) == 2  # the new one, and one pair


def test_a_short_end_belongs_to_the_interval_before_it() -> None:
    measured = Measurements(interval=1.0, points=[point(1.0), point(2.0), point(2.3, seconds=0.3)])

    measured.join_short_end()

    assert [(one.at, one.seconds, one.loaded) for one in measured.points] == [(1.0, 1.0, 10), (2.3, 1.3, 20)]


def test_a_load_of_one_short_interval_keeps_it() -> None:
    measured = Measurements(interval=1.0, points=[point(0.2, seconds=0.2)])

    measured.join_short_end()

    assert len(measured.points) == 1


def test_tasks_that_a_schedule_went_on_with_after_the_end_of_the_input_are_not_intended() -> None:
    measured = Measurements(interval=1.0, points=[point(n, intended=due) for n, due in enumerate([5, 5, 5, -3], 1)])

    measured.cap_intended()

    assert [one.intended for one in measured.points] == [5, 5, 2, 0]


def test_without_a_schedule_nothing_is_intended() -> None:
    measured = Measurements(interval=1.0, points=[point(1.0)])

    measured.cap_intended()

    assert measured.points[0].intended is None


def test_no_interval_is_without_length_for_whoever_divides_by_it() -> None:
    assert point(0.0001, seconds=0.0001).to_dict()["seconds"] > 0
