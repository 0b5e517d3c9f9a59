"""What ``watch`` shows on a terminal: the queues as a table, and below it the times of sampled tasks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loader.cli.fitted_table import Column, fitted_table
from loader.cli.short_numbers import NOTHING, short_count, short_limit, short_rate, short_time, sparkline
from loader.cli.stderr import for_terminal
from loader.watch.watcher import Observation, WatchedQueue

if TYPE_CHECKING:
    from rich.console import RenderableType

    from loader.watch.times import Percentiles

_WIDE = 110
"""From this width on, counts have all their digits, and headers are whole words."""

_HISTORY, _NARROW_HISTORY = 24, 8
_STATES = (("scheduled", "sched", 6, ""), ("retry", "retry", 3, "yellow"), ("archived", "arch", 4, "red"))
_NAME_WIDTH = 20

_Key = tuple[str, str]


class WatchTable:
    """Draws observations. It remembers the last lengths of each queue.

    Args:
        title: What is watched, and how often.
    """

    def __init__(self, title: str) -> None:
        self.last: Observation | None = None
        self._title = title
        self._lengths: dict[_Key, deque[int]] = {}
        self._seen_states: set[str] = set()

    def add(self, observation: Observation) -> None:
        """Takes what a new look has told."""
        self.last = observation
        for one in observation.queues:
            lengths = self._lengths.setdefault(_key(one), deque(maxlen=_HISTORY))
            lengths.append(one.state.pending)
            for name in ("scheduled", "retry", "archived", "completed"):
                if getattr(one.state, name):
                    self._seen_states.add(name)
            if one.rates.failed:
                self._seen_states.add("failed")

    def draw(self, width: int, height: int, note: str = "", *, is_last: bool = False) -> RenderableType:
        """The whole picture.

        Args:
            height: Lines that there are.
            note: A line for the end, such as that the server is away.
            is_last: Whether it stays on the terminal when the command has ended.
        """
        from rich.console import Group
        from rich.text import Text

        def line(text: str, style: str = "") -> Text:
            return Text(for_terminal(text), style=style, no_wrap=True, overflow="ellipsis")

        if self.last is None:
            return Group(line(self._title, "bold"), line(note or "connecting …", "yellow" if note else "dim"))
        keys = "" if is_last else " · q ends"
        rows: list[RenderableType] = [line(f"{self._title} · {_clock(self.last.time)}{keys}", "bold"), line("")]
        shown = self._fitting(self.last.queues, height)
        if shown:
            rows.append(fitted_table(self._columns(shown, width), width, _gap(width)))
        rows += [line(text, "yellow") for text in self._remarks(self.last, len(shown))]
        if any(one.times is not None for one in shown):
            rows += [line(""), fitted_table(_time_columns(shown, width), width, _gap(width))]
        if note:
            rows.append(line(note, "yellow"))
        return Group(*rows)

    def _fitting(self, queues: Sequence[WatchedQueue], height: int) -> list[WatchedQueue]:
        """The queues for which there is room: if not for all, those with tasks come first."""
        timed = any(one.times is not None for one in queues)
        room = max(1, (height - (9 if timed else 6)) // (2 if timed else 1))
        if len(queues) <= room:
            return list(queues)
        busy = sorted(queues, key=lambda one: not (one.state.pending or one.state.active))
        chosen = {_key(one) for one in busy[:room]}
        return [one for one in queues if _key(one) in chosen]

    def _remarks(self, seen: Observation, shown: int) -> list[str]:
        remarks = [f"no queue {name} yet" for name in seen.missing]
        if hidden := len(seen.queues) - shown + seen.left_out:
            remarks.append(f"{hidden:,} more {'queue' if hidden == 1 else 'queues'}: --queue says which to show")
        if not seen.queues and not seen.missing:
            remarks.append("the set asynq:queues names no queue; --queue NAME watches any queue")
        return remarks

    def _columns(self, queues: Sequence[WatchedQueue], width: int) -> list[Column]:
        wide = width >= _WIDE

        def counts(name: str) -> list[str]:
            return [short_count(getattr(one.state, name), full=wide) for one in queues]

        def rate(name: str, *, signed: bool = False) -> list[str]:
            return [short_rate(getattr(one.rates, name), signed=signed) for one in queues]

        bars = _HISTORY if wide else _NARROW_HISTORY
        trend = [sparkline(list(self._lengths[_key(one)])[-bars:]) for one in queues]
        columns = [
            Column("queue", [_name(one) for one in queues], 0, "left", "cyan", least=_NAME_WIDTH),
        ]
        if any(one.state.layout == "documented" for one in queues):
            columns.append(_layout_column(queues, 6))
        if any(one.state.paused for one in queues):
            columns.append(Column("", ["paused" if one.state.paused else "" for one in queues], 1, "left", "yellow"))
        columns += [
            Column("pending", counts("pending"), 0, style="bold"),
            Column("change/s" if wide else "±/s", rate("pending_change", signed=True), 5),
            Column("trend", [bar.rjust(bars) for bar in trend], 7, "left", "cyan"),
            Column("active", counts("active"), 1),
        ]
        for name, short, rank, style in _STATES:
            if name in self._seen_states:
                columns.append(Column(name if wide else short, counts(name), rank, style=style))
        if "completed" in self._seen_states:
            columns.append(Column("completed" if wide else "done", counts("completed"), 8))
        columns += [
            Column("oldest", [short_time(one.state.oldest_pending_seconds) for one in queues], 1),
            Column("in/s", rate("enqueued"), 2),
            Column("out/s", rate("processed"), 1),
        ]
        if "failed" in self._seen_states:
            columns.append(Column("failed/s" if wide else "fail/s", rate("failed"), 6, style="red"))
        return columns


def _time_columns(queues: Sequence[WatchedQueue], width: int) -> list[Column]:
    wide = width >= _WIDE

    def times(kind: str, pick: Callable[[Percentiles], float]) -> list[str]:
        found = [None if one.times is None else getattr(one.times, kind) for one in queues]
        return [NOTHING if one is None else short_limit(pick(one), one.resolution) for one in found]

    def tasks(kind: str) -> list[str]:
        found = [None if one.times is None else getattr(one.times, kind) for one in queues]
        return [NOTHING if one is None else short_count(one.tasks, full=wide) for one in found]

    columns = [Column("times", [_name(one) for one in queues], 0, "left", "cyan", least=_NAME_WIDTH)]
    if _same_names(queues):
        columns.append(_layout_column(queues, 0))
    for kind, name, rank in (("in_queue", "wait", 0), ("to_completion", "done", 1)):
        columns += [
            Column(f"{name} p50", times(kind, lambda one: one.p50), rank),
            Column("p90", times(kind, lambda one: one.p90), rank + 3),
            Column("p99", times(kind, lambda one: one.p99), rank + 1),
            Column("max", times(kind, lambda one: one.max), rank + 4),
            Column("tasks", tasks(kind), rank + 2),
        ]
    return columns


def _layout_column(queues: Sequence[WatchedQueue], rank: int) -> Column:
    """The layouts. Two queues of the same name differ in nothing else, so then the column is always shown."""
    return Column("layout", [one.state.layout for one in queues], 0 if _same_names(queues) else rank, "left")


def _same_names(queues: Sequence[WatchedQueue]) -> bool:
    return len({one.state.queue for one in queues}) < len(queues)


def text_line(seen: Observation, one: WatchedQueue) -> str:
    """A queue as a line of text, for output that is no terminal."""
    state, changes = one.state, one.rates
    change = "" if changes.pending_change is None else f" ({short_rate(changes.pending_change, signed=True)}/s)"
    parts = [f"{state.pending:,} pending{change}", f"{state.active:,} active"]
    further = {name: getattr(state, name) for name in ("scheduled", "retry", "archived", "completed")}
    parts += [f"{count:,} {name}" for name, count in further.items() if count]
    if state.oldest_pending_seconds is not None:
        parts.append(f"oldest {short_time(state.oldest_pending_seconds)}")
    named = (("in", changes.enqueued), ("out", changes.processed), ("failed", changes.failed))
    parts += [f"{name} {short_rate(value)}/s" for name, value in named if value is not None]
    if state.paused:
        parts.append("paused")
    if one.times is not None:
        for name, found in (("time in queue", one.times.in_queue), ("time to completion", one.times.to_completion)):
            if found is not None:
                shares = (("p50", found.p50), ("p90", found.p90), ("p99", found.p99), ("max", found.max))
                values = " ".join(f"{share} {short_limit(value, found.resolution)}" for share, value in shares)
                parts.append(f"{name} {values} of {found.tasks:,} tasks")
    return for_terminal(f"{_clock(seen.time)} {state.queue} ({state.layout}): {' · '.join(parts)}")


def text_remarks(seen: Observation) -> list[str]:
    """Lines for what there is to say beside the queues."""
    lines = [f"{_clock(seen.time)} {name}: no such queue yet" for name in seen.missing]
    if not seen.queues and not seen.missing:
        lines.append(f"{_clock(seen.time)} the server lists no queues (asynq:queues); --queue NAME watches any queue")
    return [for_terminal(line) for line in lines]


def _name(one: WatchedQueue) -> str:
    return for_terminal(one.state.queue)


def _gap(width: int) -> int:
    return 2 if width >= _WIDE else 1


def _key(one: WatchedQueue) -> _Key:
    return one.state.layout, one.state.queue


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
