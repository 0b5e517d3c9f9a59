"""What holds a load back, and for how long."""

from __future__ import annotations

from loader.jobs.holding import Holding


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_reason_has_its_time_also_while_it_lasts() -> None:
    clock = Clock()
    holding = Holding(clock)
    holding.begins("max-pending", "1,000 pending")
    clock.now += 2
    holding.begins("max-pending", "900 pending")
    holding.begins("pause", "paused")
    clock.now += 1

    assert holding.text == "900 pending; paused"
    assert holding.ends("max-pending") == 3
    clock.now += 1
    assert holding.text == "paused"
    assert holding.seconds == {"max-pending": 3, "pause": 2}

    holding.ends("pause")
    holding.begins("pause", "paused")
    clock.now += 5
    assert holding.ends("pause") == 5
    assert holding.seconds == {"max-pending": 3, "pause": 7}


def test_the_end_of_what_never_began_is_nothing() -> None:
    holding = Holding()

    assert holding.ends("pause") == 0
    assert holding.seconds == {}
