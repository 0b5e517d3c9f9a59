"""The metrics that ``GET /metrics`` shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

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
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector

from loader.pace.buckets import SECONDS
from loader.telemetry import names
from loader.telemetry.names import Metric
from loader.telemetry.queue_labels import QueueLabels
from loader.telemetry.samples import of_program

CONTENT_TYPE = CONTENT_TYPE_LATEST

SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable in which prometheus_client looks for the place that processes share."""

_RUN = ("serve", "")
"""The values of ``names.RUN_LABELS``: a gateway has no job."""

_TASKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000)


class Metrics:
    """The gateway's metrics, in a registry of their own. ``loader.telemetry.names`` has their names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._answers = self._counter(names.REQUESTS)
        self._seconds = self._histogram(names.REQUEST_SECONDS, SECONDS)
        self._tasks = self._counter(names.TASKS_ENQUEUED)
        self._writes = self._histogram(names.WRITE_TASKS, _TASKS)
        self._replays = self._counter(names.REPLAYS)
        for sample in of_program():
            self._gauge(sample.metric, "livemax").labels(*_RUN, *sample.labels).set(sample.value)
        # Children are kept here, because a look-up by labels costs more than counting.
        self._queues: dict[str, Counter] = {}
        self._labels = QueueLabels()
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self._routes: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.family, metric.help, metric.all_labels, registry=self.registry)

    def _histogram(self, metric: Metric, buckets: Sequence[float]) -> Histogram:
        return Histogram(metric.family, metric.help, metric.all_labels, buckets=buckets, registry=self.registry)

    def _gauge(self, metric: Metric, mode: Literal["livesum", "livemin", "livemax"]) -> Gauge:
        return Gauge(metric.family, metric.help, metric.all_labels, registry=self.registry, multiprocess_mode=mode)

    @property
    def is_shared(self) -> bool:
        """Whether several processes add up their metrics (prometheus_client, "Multiprocess Mode")."""
        return SHARED_DIRECTORY in os.environ

    def watch(self, metric: Metric, value: Callable[[], float]) -> None:
        """Adds a gauge. ``value`` is called whenever the metrics are read. Of several processes, the sum is shown."""
        self._watched.append((self._gauge(metric, "livesum"), value))

    def watch_redis(self, is_up: Callable[[], bool]) -> None:
        """Adds the gauge for the connection to Redis. Of several processes, the worst is shown."""
        self._watched.append((self._gauge(names.REDIS_UP, "livemin").labels(*_RUN), is_up))

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
        """Counts tasks that are in."""
        if (child := self._queues.get(queue)) is None:
            label = self._labels.label(queue)
            child = self._tasks.labels(*_RUN, label)
            if label == queue:
                self._queues[queue] = child
        child.inc(tasks)

    def replayed(self) -> None:
        """Counts a request that was answered with the tasks of an earlier request."""
        self._replays.inc()

    def collect(self) -> Iterable[Family]:
        """The metrics of this process."""
        self.refresh()
        return self.registry.collect()

    def page(self) -> bytes:
        """All metrics in Prometheus's text format, of all processes."""
        self.refresh()
        if not self.is_shared:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
