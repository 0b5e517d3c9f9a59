"""What one task costs, for a length of payloads that need not have been measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loader.planning.figure import How
from loader.planning.figures import Point


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost of one task, and how it is known; see ``Figure`` for the last three."""

    value: float
    how: How
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What one task costs; see ``Point`` for the fields. ``None`` where it was not measured."""

    client_us: Cost
    server_us: Cost
    memory_bytes: Cost
    keys: float
    sent_bytes: Cost
    replicated_bytes: Cost | None
    aof_bytes: Cost | None
    file_bytes: Cost | None


def costs(quiet: Sequence[Point], busy: Sequence[Point], payload: float, source: str) -> Costs:
    """The costs of a task.

    Args:
        quiet: Points of one kind of task, on a server without files and replicas: for memory.
        busy: Points of the same kind on a server as planned, for the rest; the same ones if it has neither.
        payload: Bytes of a payload.
        source: The key of the measurement.

    Raises:
        ValueError: A sequence has no point.
    """

    def required(points: Sequence[Point], of: Callable[[Point], float]) -> Cost:
        if (found := at(points, payload, of, source)) is None:
            raise ValueError("no such task was measured")
        return found

    with_files = [point for point in (*busy, *quiet) if point.file_bytes is not None]
    return Costs(
        client_us=required(quiet, lambda one: one.client_us),
        server_us=required(busy, lambda one: one.server_us),
        memory_bytes=required(quiet, lambda one: one.memory_bytes),
        keys=round(quiet[0].keys),
        sent_bytes=required(quiet, lambda one: one.sent_bytes),
        replicated_bytes=at(busy, payload, lambda one: one.replicated_bytes, source),
        aof_bytes=at(busy, payload, lambda one: one.aof_bytes, source),
        file_bytes=at(with_files, payload, lambda one: one.file_bytes, source),
    )


_SAME = 0.005
"""The share by which two lengths of payloads may differ and still count as the same."""


def at(points: Sequence[Point], payload: float, of: Callable[[Point], float | None], source: str) -> Cost | None:
    """A cost at a length of payloads; None if it was not measured.

    Between two measured lengths, costs lie on a straight line: each further byte of a payload costs the same, apart
    from the steps of the allocator. Beyond the longest, the line of the two nearest goes on. A shorter payload than the
    shortest is said to cost as much as that: its task costs less, but not much.
    """
    known = sorted((point.payload_bytes, value) for point in points if (value := of(point)) is not None)
    if not known:
        return None
    nearest = min(known, key=lambda one: abs(one[0] - payload))
    if len(known) == 1 or abs(nearest[0] - payload) <= _SAME * payload:
        at_length = f"at {nearest[0]:,.0f} bytes"
        is_near = abs(nearest[0] - payload) <= _SAME * payload
        return Cost(nearest[1], "measured" if is_near else "extrapolated", at_length, source)
    if payload < known[0][0]:
        return Cost(known[0][1], "extrapolated", f"as at {known[0][0]:,.0f} bytes, or less", source)
    upper = next((index for index, one in enumerate(known) if one[0] >= payload), len(known) - 1)
    (x0, y0), (x1, y1) = known[upper - 1], known[upper]
    value = y0 + (y1 - y0) * (payload - x0) / (x1 - x0)
    lengths = f"{x0:,.0f} and {x1:,.0f} bytes"
    if payload <= x1:
        return Cost(value, "interpolated", f"on the line from {lengths}", source)
    return Cost(max(y1, value), "extrapolated", f"beyond {lengths}, on their line", source)
