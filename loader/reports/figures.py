"""The figures of a JSON report that conditions and comparisons name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Report = Mapping[str, Any]
"""A JSON report; docs/reference.md lists its fields."""

Kind = Literal["ms", "s", "count", "share", "rate", "bytes"]
Needs = Literal["", "latency", "pace", "queue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number of a report.

    Attributes:
        kind: Its unit: milliseconds, seconds, a count, a share (1 is all), tasks a second, or bytes.
        needs: What a load must have, so that its report has this figure.
        what: What it is, for people.
        read: Returns it from a report; None if the report has not got it.
        low_is_good: Whether less of it is better.
    """

    name: str
    kind: Kind
    what: str
    read: Callable[[Report], float | None]
    needs: Needs = ""
    low_is_good: bool = True

    def text(self, value: float) -> str:
        """A value with its unit: ``12.3 ms``."""
        match self.kind:
            case "ms":
                return f"{value:,.3g} ms" if value < 1000 else f"{value:,.0f} ms"
            case "s":
                return f"{value:,.1f} s"
            case "share":
                return f"{100 * value:.3g}%"
            case "rate":
                return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
            case "bytes":
                return _bytes(value)
            case _:
                return f"{value:,.0f}"


def _bytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size:,.1f} B"


def _field(name: str) -> Callable[[Report], float | None]:
    return lambda report: report.get(name)


def _latency(name: str) -> Callable[[Report], float | None]:
    return lambda report: (report.get("latency") or {}).get(name)


def points(report: Report) -> list[dict[str, Any]]:
    """The intervals of a report; none if it was made without ``--series``."""
    found: list[dict[str, Any]] = (report.get("series") or {}).get("points") or []
    return found


def knee(report: Report) -> Mapping[str, Any]:
    """Where consumers fell behind (see ``loader.jobs.knee``); empty if they did not, or it is not known."""
    return (report.get("series") or {}).get("knee") or {}


def _largest(name: str) -> Callable[[Report], float | None]:
    def read(report: Report) -> float | None:
        return max((point[name] for point in points(report) if point.get(name) is not None), default=None)

    return read


def _oldest(report: Report) -> float | None:
    """How long the next task had waited at most; 0 if none ever waited."""
    found = [0.0 if point.get("pending") == 0 else point.get("oldest_pending_seconds") for point in points(report)]
    return max((one for one in found if one is not None), default=None)


def _queue(name: str, what: str, field: str = "", kind: Kind = "count") -> Figure:
    return Figure(name=name, kind=kind, what=f"{what}, at most", read=_largest(field or name), needs="queue")


_MS = tuple(
    Figure(name=name, kind="ms", what=what, read=_latency(field), needs="latency")
    for name, field, what in (
        ("p50", "p50", "latency that half of the tasks had at most"),
        ("p90", "p90", "latency that 90% of the tasks had at most"),
        ("p99", "p99", "latency that 99% of the tasks had at most"),
        ("p99.9", "p99_9", "latency that 99.9% of the tasks had at most"),
        ("max", "max", "longest latency"),
        ("mean", "mean", "mean latency"),
    )
)

FIGURES: Mapping[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            name="tasks_per_second",
            kind="rate",
            what="tasks loaded a second",
            read=_field("tasks_per_second"),
            low_is_good=False,
        ),
        *_MS,
        Figure(name="rejected", kind="count", what="rejected records", read=_field("rejected")),
        Figure(
            name="rate_error",
            kind="share",
            what="by how much the worst second missed the intended rate",
            read=lambda report: (report.get("pace") or {}).get("worst_second_error"),
            needs="pace",
        ),
        Figure(
            name="capacity",
            kind="rate",
            what="tasks that consumers took a second, once the queue grew",
            read=lambda report: knee(report).get("capacity"),
            needs="queue",
            low_is_good=False,
        ),
        _queue("pending", "tasks that wait"),
        _queue("active", "tasks that workers have"),
        _queue("scheduled", "tasks for later"),
        _queue("retry", "tasks that are to be tried again"),
        _queue("archived", "tasks that are given up"),
        Figure(
            name="oldest_pending",
            kind="s",
            what="time that a task has waited, at most",
            read=_oldest,
            needs="queue",
        ),
        Figure(name="seconds", kind="s", what="time of the load", read=_field("seconds")),
        Figure(name="peak_rss", kind="bytes", what="peak memory of the loader", read=_field("peak_rss_bytes")),
        Figure(
            name="server_bytes_a_task",
            kind="bytes",
            what="memory of the server, a task",
            read=_field("server_bytes_a_task"),
            needs="queue",
        ),
    )
}
"""All figures, by name."""


def share_of_records(report: Report) -> float | None:
    """The share of the records that were rejected; None if none was read."""
    read = report.get("records_read")
    return None if not read else report["rejected"] / read
