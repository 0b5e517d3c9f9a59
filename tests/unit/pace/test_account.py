"""What was due against what was sent, second by second."""

from __future__ import annotations

from loader.pace.account import PaceReport, Seconds


def test_tasks_that_are_sent_in_their_second_are_no_error() -> None:
    seconds = Seconds()
    for number in range(30):
        seconds.add([100 + number / 10], 100 + number / 10 + 0.05)
    assert seconds.worst == 0


def test_the_first_second_is_judged_when_it_is_over() -> None:
    seconds = Seconds()
    seconds.add([100.0], 100.0)
    assert seconds.worst is None
    seconds.add([101.0], 101.0)
    assert seconds.worst == 0


def test_a_task_that_is_a_hundredth_of_a_second_late_still_belongs_to_its_second() -> None:
    seconds = Seconds()
    for at in range(100, 105):
        seconds.add([at + 0.999], at + 1.008)
    assert seconds.worst == 0


def test_a_later_one_is_missing_in_its_second_and_too_many_in_the_next() -> None:
    seconds = Seconds()
    for number in range(10):
        seconds.add([100 + number / 10], 100 + number / 10 if number < 9 else 101.05)
    for number in range(10, 30):
        seconds.add([100 + number / 10], 101.05 + number / 100)
    assert seconds.worst is not None and 0.1 <= seconds.worst <= 1


def test_a_stall_is_an_error_of_all_that_was_due_in_it() -> None:
    seconds = Seconds()
    seconds.add([100.0], 100.0)
    for number in range(1, 50):
        at = 100 + number / 10
        seconds.add([at], max(at, 102.0) if number < 20 else at)
    assert seconds.worst == 0.9  # of the first second; in the third there were as many too many


def test_tasks_of_one_batch_count_each_in_its_own_second() -> None:
    seconds = Seconds()
    seconds.add([100.0, 100.99, 101.0], 101.0)
    seconds.add([101.5, 103.0], 103.0)
    seconds.add([104.0], 104.0)
    assert seconds.worst == 1.0  # that of 101.5 was sent in the last second, beside the one that was due there


def test_what_is_left_at_an_early_end_was_due() -> None:
    report = PaceReport("1/s", overdue=lambda now: max(0, int(now - 102)))
    for at in (100.0, 101.0, 102.0):
        report.sends([at], at)
    assert report.intended(102.5) == 3
    report.end(106.5, None)
    assert (report.sent, report.intended(999.0), report.worst_second_error) == (3, 7, 1.0)


def test_no_more_was_due_than_was_left_of_an_input_that_was_read_to_its_end() -> None:
    report = PaceReport("1/s", overdue=lambda now: max(0, int(now - 102)))
    for at in (100.0, 101.0, 102.0):
        report.sends([at], at)
    report.end(106.5, 2)
    assert (report.sent, report.intended(999.0), report.worst_second_error) == (3, 5, 1.0)


def test_at_the_end_of_the_input_nothing_more_was_due() -> None:
    report = PaceReport("1/s", overdue=lambda now: 99)
    for at in (100.0, 101.0):
        report.sends([at], at)
    report.end(106.5, 0)
    assert (report.intended(999.0), report.worst_second_error) == (2, 0)
