"""Metrics in Prometheus's form: at a port, and in a file for node_exporter. This module needs the extra ``metrics``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from loader.errors import LoaderError, UsageError
from loader.outputs.whole import WholeFile
from loader.pace.buckets import SECONDS
from loader.telemetry.names import Metric
from loader.telemetry.samples import Sample

_ANSWER_SECONDS = 5.0
_FILE_SECONDS = 5.0
_READABLE = 0o644
"""node_exporter runs as another user. Metrics hold no payloads."""

log = logging.getLogger("runqy_loader")

Read = Callable[[], Iterable[Sample]]
"""Reads all metrics. It is called in the thread of the event loop, which changes what is read."""


def families(samples: Iterable[Sample], run: tuple[str, str]) -> Iterator[Family]:
    """Samples in the form of prometheus_client, those of a metric together.

    Args:
        run: The values of ``names.RUN_LABELS``.
    """
    found: dict[Metric, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.metric, []).append(sample)
    for metric, own in found.items():
        family = _empty(metric)
        for sample in own:
            _add(family, sample, (*run, *sample.labels) if metric.of_run else sample.labels)
        yield family


def _empty(metric: Metric) -> Family:
    if metric.kind == "histogram":
        return HistogramMetricFamily(metric.family, metric.help, labels=metric.all_labels)
    if metric.kind == "counter":
        return CounterMetricFamily(metric.family, metric.help, labels=metric.all_labels)
    return GaugeMetricFamily(metric.family, metric.help, labels=metric.all_labels)


def _add(family: Family, sample: Sample, labels: tuple[str, ...]) -> None:
    if isinstance(family, HistogramMetricFamily):
        bounds = [*map(str, SECONDS), "+Inf"]
        upto, buckets = 0, []
        for bound, count in zip(bounds, sample.buckets, strict=True):
            upto += count
            buckets.append((bound, float(upto)))
        family.add_metric(labels, buckets, sample.value)
    else:
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)  # noqa: S101 - see _empty
        family.add_metric(labels, sample.value)


class RunCollector(Collector):
    """Gives the metrics of a run to prometheus_client.

    It may be asked in any thread. The event loop reads the metrics; if it does not within a few seconds, or is over,
    they are as they were.

    Args:
        loop: The event loop that changes what is read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, read: Read, run: Callable[[], tuple[str, str]]) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._read = read
        self._run = run
        self._last: list[Family] = []

    def collect(self) -> Iterable[Family]:
        if threading.get_ident() == self._thread:
            self._last = self._now()
        elif not self._loop.is_closed():
            asked: concurrent.futures.Future[list[Family]] = concurrent.futures.Future()
            with contextlib.suppress(TimeoutError, RuntimeError):  # the second: the loop has ended just now
                self._loop.call_soon_threadsafe(self._answer, asked)
                self._last = asked.result(_ANSWER_SECONDS)
        return self._last

    def _answer(self, asked: concurrent.futures.Future[list[Family]]) -> None:
        try:
            asked.set_result(self._now())
        except Exception as error:  # for the thread that asks
            asked.set_exception(error)

    def _now(self) -> list[Family]:
        return list(families(self._read(), self._run()))


@contextlib.asynccontextmanager
async def at_port(collector: Collector, host: str, port: int, ready: Callable[[str], None]) -> AsyncIterator[None]:
    """Shows metrics over HTTP while the block runs, with those of the process.

    Args:
        ready: Called with the address.

    Raises:
        UsageError: Nobody can listen there.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, UnicodeError) as error:  # the second: no name of a host
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"--metrics-port {port}: cannot listen at {host}: {why}", "Give another port") from error
    # What a scraper does to its connection is no fault of the run: socketserver would print a traceback.
    server.handle_error = _passed_over  # type: ignore[method-assign, assignment]
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{server.server_port}/metrics")
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)


def _passed_over(request: object, address: object) -> None:
    log.debug("a scraper at %s has ended its connection: %s", address, sys.exception())


@contextlib.asynccontextmanager
async def in_file(collector: Collector, path: Path) -> AsyncIterator[None]:
    """Keeps a file up to date while the block runs, and writes it once more at its end.

    It has no metrics of the process: node_exporter has its own under the same names.

    Raises:
        LoaderError: It cannot be written at the end. If the block has failed, that matters more, and this is logged.
    """
    registry = CollectorRegistry()
    registry.register(collector)

    def write() -> None:
        with WholeFile(path, "--metrics-file", mode=_READABLE) as file:
            file.write(generate_latest(registry))
            file.keep()

    async def keep_writing() -> None:
        level = logging.WARNING
        while True:
            try:
                write()
            except LoaderError as error:
                log.log(level, "%s", error.args[0])
                level = logging.DEBUG
            await asyncio.sleep(_FILE_SECONDS)

    writing = asyncio.create_task(keep_writing())
    try:
        yield
    except BaseException:
        await _over(writing)
        try:
            write()
        except LoaderError as error:
            log.warning("%s", error.args[0])
        raise
    await _over(writing)
    try:
        write()
    except LoaderError as error:
        raise LoaderError(str(error.args[0]), "Everything else is done") from error


async def _over(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
