"""Reports of loads, made up: as ``LoadReport.to_dict`` makes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from loader.jobs.latencies import of_histogram
from loader.jobs.measurements import Measurements, Point, QueueLengths
from loader.jobs.report import LoadReport, SourceReport
from loader.pace.account import PaceReport
from loader.pace.latency import LatencyRecorder

MACHINE = {
    "cpu": "Some CPU",
    "cores": 4,
    "memory_gib": 16,
    "virtual": "no",
    "kernel": "Linux 6",
    "distribution": "Debian",
    "python": "3.11.7",
}
SERVER = {
    "address": "localhost:6379",
    "make": "valkey",
    "version": "9.1.2",
    "persistence": None,
    "maxmemory_bytes": 0,
    "policy": "noeviction",
    "primaries": 0,
    "round_trip_ms": 0.1,
}


def report(
    rates: Sequence[int] = (), *, seed: int = 1, latency_ms: float | None = None, job: str = "j", loaded: int = 0
) -> dict[str, Any]:
    """The report of a completed load.

    Args:
        rates: Tasks loaded in each second.
        latency_ms: The middle of the latencies; None for a load without a pace.
        loaded: Tasks loaded, if there are no rates.
    """
    chance = random.Random(seed)
    found = LoadReport(job=job, layout="asynq", sources=[SourceReport("in.jsonl", "jsonl", 1000)])
    source = found.sources[0]
    source.loaded = source.records_read = sum(rates) or loaded
    source.bytes_read = 100 * source.records_read
    found.queues = {"q.default": source.loaded}
    found.batches = max(1, source.loaded // 10)
    if rates or latency_ms is not None:
        found.pace = PaceReport()
    whole = LatencyRecorder()
    if rates:
        found.measured = measured = Measurements(interval=1.0, machine=dict(MACHINE), server=dict(SERVER))
        measured.version, measured.started, measured.command = "0.1.0", "2026-11-29T06:00:00+00:00", "runqy-loader load"
        for second, rate in enumerate(rates, 1):
            if latency_ms is not None:
                taken = [latency_ms / 1000 * chance.lognormvariate(0, 0.5) for _ in range(rate)]
                whole.record([-one for one in taken], (), 0.0)
            measured.add(
                Point(
                    second,
                    1.0,
                    rate,
                    0,
                    intended=None if latency_ms is None else rate,
                    latency=of_histogram(whole.take_interval()),
                    queue=QueueLengths(second * rate, second, 0, 0, 0, 0, 0.5),
                )
            )
    if latency_ms is not None:
        found.latency = whole
        assert found.pace is not None
        found.pace.profile = "100/s"
        found.pace.sent = source.loaded
    found.end("completed")
    found._seconds = float(len(rates)) or 1.0
    return found.to_dict()


def around(rate: int, count: int, seed: int, spread: float = 0.05) -> list[int]:
    """Rates that vary by chance."""
    chance = random.Random(seed)
    return [max(1, round(chance.gauss(rate, rate * spread))) for _ in range(count)]
