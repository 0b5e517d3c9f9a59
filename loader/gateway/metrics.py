"""The metrics that ``GET /metrics`` shows."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST

SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable in which prometheus_client looks for the place that processes share."""

_MAX_LABEL_BYTES = 64 * 1024
"""Bytes of all names of queues that are labels: clients choose the names, and each label is kept."""
_OTHER_QUEUES = "(other)"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TASKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._answers = Counter(
            "runqy_gateway_requests", "Answered requests.", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "runqy_gateway_request_seconds",
            "Seconds from a request's headers to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tasks = Counter(
            "runqy_gateway_tasks_enqueued", "Tasks that are in Redis.", ["queue"], registry=self.registry
        )
        self._writes = Histogram(
            "runqy_gateway_write_tasks", "Tasks in a shared write.", buckets=_TASKS, registry=self.registry
        )
        self._replays = Counter(
            "runqy_gateway_idempotent_replays",
            "Requests that were answered with the tasks of an earlier request.",
            registry=self.registry,
        )
        # Children are kept here, because a look-up by labels costs more than counting.
        self._queues: dict[str, Counter] = {}
        self._label_bytes = 0
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self._routes: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether several processes add up their metrics (prometheus_client, "Multiprocess Mode")."""
        return SHARED_DIRECTORY in os.environ

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Adds a gauge. ``value`` is called whenever the metrics are read."""
        gauge = Gauge(f"runqy_gateway_{name}", text, registry=self.registry, multiprocess_mode="livesum")
        self._watched.append((gauge, value))

    def refresh(self) -> None:
        """Reads the values of all gauges."""
        for gauge, value in self._watched:
            gauge.set(value())

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a request.

        Args:
            route: Its path, as in the OpenAPI document. All other paths share one value.
        """
        if (children := self._routes.get((route, status))) is None:
            children = (self._answers.labels(route, str(status)), self._seconds.labels(route))
            self._routes[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def wrote(self, tasks: int) -> None:
        """Counts a shared write."""
        self._writes.observe(tasks)

    def enqueued(self, queue: str, tasks: int) -> None:
        """Counts tasks that are in. Queues have labels until these are 64 KB long."""
        if (child := self._queues.get(queue)) is None:
            size = len(queue.encode())
            if self._label_bytes + size > _MAX_LABEL_BYTES:
                child = self._tasks.labels(_OTHER_QUEUES)
            else:
                self._label_bytes += size
                child = self._queues[queue] = self._tasks.labels(queue)
        child.inc(tasks)

    def replayed(self) -> None:
        """Counts a request that was answered with the tasks of an earlier request."""
        self._replays.inc()

    def page(self) -> bytes:
        """All metrics in Prometheus's text format, of all processes."""
        self.refresh()
        if not self.is_shared:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
