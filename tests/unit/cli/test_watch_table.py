"""The table of ``watch``: what it shows at which size of the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from loader.cli.watch_table import WatchTable, text_line, text_remarks
from loader.watch.queue_state import QueueState
from loader.watch.rates import Rates
from loader.watch.times import Percentiles, TaskTimes
from loader.watch.watcher import Observation, WatchedQueue

BUSY = QueueState("inference.premium", 1_234_567, 40, 3, 12, 7, 9000, 95.0, processed=10, failed=1)
RATES = Rates(pending_change=-120.0, enqueued=3000.0, processed=3120.0, failed=2.0)


def seen(*queues: WatchedQueue, missing: tuple[str, ...] = (), left_out: int = 0) -> Observation:
    return Observation(1_764_400_000.0, 3.0, queues, missing, left_out)


def drawn(
    observation: Observation, width: int = 80, height: int = 24, note: str = "", *, is_last: bool = False
) -> list[str]:
    table = WatchTable("127.0.0.1:6379 · every 1 s")
    table.add(observation)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table.draw(width, height, note, is_last=is_last))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def words(line: str) -> str:
    return " ".join(line.split())


def test_a_busy_queue_fits_eighty_columns() -> None:
    lines = drawn(seen(WatchedQueue(BUSY, RATES)))

    assert lines[0].startswith("127.0.0.1:6379 · every 1 s · ") and lines[0].endswith(" · q ends")
    assert words(lines[2]) == "queue pending ±/s active sched retry arch oldest in/s out/s fail/s"
    assert words(lines[3]) == "inference.premium 1.23M -120 40 3 12 7 1m35s 3,000 3,120 2.0"
    assert all(len(line) <= 80 for line in lines)


def test_a_wide_terminal_shows_all_digits_and_whole_words() -> None:
    lines = drawn(seen(WatchedQueue(BUSY, RATES)), width=160)

    assert "scheduled" in lines[2] and "completed" in lines[2] and "trend" in lines[2]
    assert "1,234,567" in lines[3] and "9,000" in lines[3]


@pytest.mark.parametrize("width", [1, 5, 20, 40, 60, 79, 80, 109, 110, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    queues = [WatchedQueue(replace(BUSY, queue=f"{'long' * n}.default"), RATES) for n in range(1, 12)]
    # The pending column is always there, so a terminal of a few characters shows cut cells.
    assert all(len(line) <= width for line in drawn(seen(*queues), width=width))


@pytest.mark.parametrize("width", [60, 80, 160])
def test_two_queues_of_one_name_are_told_apart_at_any_width(width: int) -> None:
    times = TaskTimes(Percentiles(10, 10, 0.2, 0.1, 0.2, 0.3, 0.4, 0.001), None, 0, 0, 0, 0)
    both = [WatchedQueue(replace(BUSY, layout=layout), RATES, times) for layout in ("asynq", "documented")]
    lines = drawn(seen(*both), width=width)
    for layout in ("asynq", "documented"):
        assert sum(layout in line for line in lines) == 2, lines


def test_states_that_no_queue_has_take_no_column() -> None:
    lines = drawn(seen(WatchedQueue(QueueState("q", 1, 0, 0, 0, 0, 0, None), Rates())))

    assert lines[2].split() == ["queue", "pending", "±/s", "trend", "active", "oldest", "in/s", "out/s"]
    assert lines[3].split() == ["q", "1", "-", "█", "0", "-", "-", "-"]


def test_a_state_that_was_seen_keeps_its_column() -> None:
    table = WatchTable("title")
    table.add(seen(WatchedQueue(BUSY, RATES)))
    table.add(seen(WatchedQueue(replace(BUSY, archived=0), Rates())))
    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(table.draw(80, 24))

    assert "arch" in out.getvalue() and "fail/s" in out.getvalue()


def test_if_not_all_queues_fit_those_with_tasks_are_shown() -> None:
    idle = [WatchedQueue(QueueState(f"idle{n}", 0, 0, 0, 0, 0, 0, None), Rates()) for n in range(30)]
    lines = drawn(seen(*idle[:15], WatchedQueue(BUSY, RATES), *idle[15:], left_out=5), height=12)

    text = "\n".join(lines)
    assert "inference.premium" in text and "idle0" in text and "idle20" not in text
    assert "30 more queues: --queue says which to show" in text
    assert len(lines) <= 12


def test_the_picture_that_stays_names_no_key() -> None:
    (first, *_) = drawn(seen(WatchedQueue(BUSY, RATES)), is_last=True)
    assert "every 1 s" in first and "q ends" not in first


def test_layout_and_pause_are_told_where_they_matter() -> None:
    old = QueueState("old", 5, 0, 0, 0, 0, 0, None, layout="documented")
    lines = drawn(seen(WatchedQueue(old, Rates()), WatchedQueue(replace(BUSY, paused=True), Rates())), width=120)
    assert "documented" in lines[3] and "asynq" in lines[4] and "paused" in lines[4] and "paused" not in lines[3]


def test_what_there_is_to_say_beside_the_queues() -> None:
    assert "no queue late yet" in drawn(seen(missing=("late",)))
    assert any("asynq:queues" in line for line in drawn(seen()))
    assert "the server is away" in drawn(seen(), note="the server is away")
    assert [line.split(maxsplit=1)[1] for line in text_remarks(seen(missing=("late",)))] == ["late: no such queue yet"]
    (line,) = text_remarks(seen())
    assert "asynq:queues" in line


def test_before_the_first_look_there_is_the_title() -> None:
    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(WatchTable("server x").draw(80, 24))
    assert out.getvalue().splitlines() == ["server x", "connecting …"]


def test_times_of_sampled_tasks_are_a_table_of_their_own() -> None:
    wait = Percentiles(40, 4000, 2.0, 1.0, 8.0, 20.0, 31.0, 1.0)
    times = TaskTimes(wait, None, unseen=9, following=3, failed=0, lost=0)
    lines = drawn(seen(WatchedQueue(BUSY, RATES, times)))

    at = next(number for number, line in enumerate(lines) if line.startswith("times"))
    assert lines[at].split()[:8] == ["times", "wait", "p50", "p90", "p99", "max", "tasks", "done"]
    assert words(lines[at + 1]) == "inference.premium <1.0s 8.0s 20s 31s 4,000 - - - - -"


def test_a_line_of_text_has_what_is_known() -> None:
    wait = Percentiles(40, 4000, 2.0, 1.0, 8.0, 20.0, 31.0, 1.0)
    one = WatchedQueue(BUSY, RATES, TaskTimes(wait, None, 9, 3, 0, 0))

    assert text_line(seen(), one).split(maxsplit=1)[1] == (
        "inference.premium (asynq): 1,234,567 pending (-120/s) · 40 active · 3 scheduled · 12 retry · 7 archived · "
        "9,000 completed · oldest 1m35s · in 3,000/s · out 3,120/s · failed 2.0/s · "
        "time in queue p50 <1.0s p90 8.0s p99 20s max 31s of 4,000 tasks"
    )


def test_a_name_of_a_queue_cannot_give_the_terminal_orders() -> None:
    evil = WatchedQueue(replace(BUSY, queue="q\x1b[2J[red]"), Rates())
    assert "\x1b" not in "\n".join(drawn(seen(evil))) + text_line(seen(), evil)
    assert r"q\x1b[2J[red]" in "\n".join(drawn(seen(evil)))
