"""Metrics and traces by OTLP over HTTP, with OpenTelemetry's SDK. This module needs the extra ``otel``.

The metrics are those of Prometheus, under the same names; see ``loader.telemetry.names``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family

import loader

SCOPE = "runqy_loader"
_EVERY_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0
"""How long one try may take, unless OTEL_EXPORTER_OTLP_TIMEOUT says it: a command waits so long at its end."""

log = logging.getLogger("runqy_loader")


class Collects(Protocol):
    """What gives metrics; it is asked in the thread of the event loop."""

    def collect(self) -> Iterable[Family]: ...


class Otlp:
    """Sends metrics and traces of this process.

    Args:
        endpoint: The address without ``/v1/metrics`` and ``/v1/traces``.

    Raises:
        ValueError: OpenTelemetry refuses the value of a variable.
    """

    def __init__(self, endpoint: str) -> None:
        self._told = False
        self._abandoned = asyncio.Event()
        self._began = time.time_ns()
        self._is_off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"  # the SDK reads it for traces
        with _own_log(self._tell):
            self._prepare(endpoint)
        self._told = False  # what is wrong with a variable does not hide what is wrong with the collector

    def _prepare(self, endpoint: str) -> None:
        base = endpoint.rstrip("/")
        is_given = any(name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("TIMEOUT") for name in os.environ)
        timeout = None if is_given else _TIMEOUT_SECONDS
        self._resource = resource()
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", timeout=timeout, session=_session("METRICS"))
        self.tracer_provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", timeout=timeout, session=_session("TRACES"))),
        )

    def abandon(self) -> None:
        """Ends the sending at once; what is left is lost."""
        self._abandoned.set()

    @contextlib.asynccontextmanager
    async def sending(self, collector: Collects) -> AsyncIterator[None]:
        """Sends the metrics now and then while the block runs, and all that is left at its end."""
        sending = asyncio.create_task(self._keep_sending(collector))
        try:
            with _own_log(self._tell):
                try:
                    yield
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
                    metrics = partial(self._send, list(collector.collect()))
                    await self._all_sent(metrics, self.tracer_provider.shutdown)
        finally:
            sending.cancel()

    async def _all_sent(self, *works: Callable[[], None]) -> None:
        """Waits for the last metrics and spans, or for ``abandon``."""
        sent = asyncio.ensure_future(self._sent(works))
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        waited: set[asyncio.Future[Any]] = {sent, abandoned}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waited:
                one.cancel()
            await asyncio.wait(waited)
        if not sent.cancelled():
            sent.result()

    async def _sent(self, works: Iterable[Callable[[], None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(_in_thread(work))

    async def _keep_sending(self, collector: Collects) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await _in_thread(partial(self._send, list(collector.collect())))

    def _send(self, families: Iterable[Family]) -> None:
        if self._is_off:
            return
        found = metrics_data(families, self._resource, self._began, time.time_ns())
        if self._metrics.export(found) is not MetricExportResult.SUCCESS:
            self._tell("the metrics could not be sent")

    def _tell(self, why: str) -> None:
        """Tells the first fault; a load goes on without its metrics."""
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        log.log(level, "OpenTelemetry: %s", why)


def _session(signal: str) -> requests.Session | None:
    """What the exporter sends with: a redirect is a failure.

    The exporter does not follow it, and takes it for success: findings/otlp-redirect.sh. None if a variable of
    OpenTelemetry names what makes sessions.
    """
    names = (f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{kind}CREDENTIAL_PROVIDER" for kind in ("", f"{signal}_"))
    if any(name in os.environ for name in names):
        return None
    session = requests.Session()
    session.hooks["response"].append(_refuse_redirect)
    return session


def _refuse_redirect(response: requests.Response, *_: object, **__: object) -> None:
    if 300 <= response.status_code < 400:
        raise requests.RequestException(f"{response.url} redirects to {response.headers.get('location', '?')}")


def resource() -> Resource:
    """What sends: this program, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name it otherwise."""
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {} if named else {"service.name": "runqy-loader"}
    return Resource.create({**own, "service.version": loader.__version__, "service.instance.id": str(uuid.uuid4())})


def metrics_data(families: Iterable[Family], of: Resource, began: int, now: int) -> MetricsData:
    """Metrics of prometheus_client in the form of OpenTelemetry's exporters.

    Args:
        began: When counting began, in nanoseconds since 1970.
        now: The time of the values.
    """
    found = [_metric(family, began, now) for family in families if family.samples]
    scope = ScopeMetrics(InstrumentationScope(SCOPE, loader.__version__), found, "")
    return MetricsData([ResourceMetrics(of, [scope], "")])


def _metric(family: Family, began: int, now: int) -> Metric:
    if family.type == "histogram":
        points = list(_histograms(family, began, now))
        return Metric(
            family.name, family.documentation, _unit(family), Histogram(points, AggregationTemporality.CUMULATIVE)
        )
    is_counter = family.type == "counter"
    name = f"{family.name}_total" if is_counter else family.name
    numbers = [
        NumberDataPoint(_attributes(one.labels), began, now, one.value) for one in family.samples if one.name == name
    ]
    if not is_counter:
        return Metric(name, family.documentation, _unit(family), Gauge(numbers))
    total = Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Metric(name, family.documentation, _unit(family), total)


def _histograms(family: Family, began: int, now: int) -> Iterator[HistogramDataPoint]:
    """One point for each set of labels. Prometheus's buckets hold all smaller values, OpenTelemetry's do not."""
    upto: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for one in family.samples:
        labels = tuple((name, value) for name, value in one.labels.items() if name != "le")
        if one.name == f"{family.name}_bucket":
            upto.setdefault(labels, []).append((float(one.labels["le"]), one.value))
        elif one.name == f"{family.name}_sum":
            sums[labels] = one.value
    for labels, buckets in upto.items():
        counts = [int(count) for _, count in buckets]
        yield HistogramDataPoint(
            attributes=_attributes(dict(labels)),
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=counts[-1],
            sum=sums.get(labels, 0.0),
            bucket_counts=[count - before for count, before in zip(counts, [0, *counts], strict=False)],
            explicit_bounds=[bound for bound, _ in buckets[:-1]],
            min=None,  # type: ignore[arg-type]  # not known; the exporter leaves it out then
            max=None,  # type: ignore[arg-type]
        )


def _attributes(labels: Mapping[str, str]) -> dict[str, Any]:
    """Labels without those that are empty, which in Prometheus are none."""
    return {name: value for name, value in labels.items() if value}


def _unit(family: Family) -> str:
    """The unit in UCUM, from the name: Prometheus writes it at the name's end.

    '' for numbers without one: of a gauge whose unit is "1", the collector's exporter for Prometheus makes ``…_ratio``.
    """
    for ending, unit in (("_seconds", "s"), ("_bytes", "By")):
        if family.name.endswith(ending):
            return unit
    return ""


async def _in_thread(work: Callable[[], None]) -> None:
    """Runs work in a thread that neither the event loop nor the process waits for at its end."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def told(error: BaseException | None) -> None:
        if done.cancelled():
            return
        done.set_result(None) if error is None else done.set_exception(error)

    def run() -> None:
        failed: BaseException | None = None
        try:
            work()
        except BaseException as error:  # it is raised where the work is waited for
            failed = error
        with contextlib.suppress(RuntimeError):  # the event loop is over
            loop.call_soon_threadsafe(told, failed)

    threading.Thread(target=run, name="otlp", daemon=True).start()
    await done


_OF_SENDING = ("opentelemetry.exporter", "opentelemetry.sdk")
"""What else OpenTelemetry logs is about headers of clients: these must not use up the one warning."""


class _ToLog(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        text = _without_headers(" ".join(record.getMessage().split()))
        if record.name.startswith((*_OF_SENDING, "opentelemetry.util")):
            self._tell(text)
        else:
            log.debug("OpenTelemetry: %s", text)


def _without_headers(text: str) -> str:
    """A text without what OTEL_EXPORTER_OTLP_HEADERS and its like hold: keys of access, as a rule."""
    for name, value in os.environ.items():
        if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("HEADERS"):
            for header in filter(None, (" ".join(one.split()) for one in value.split(","))):
                text = text.replace(header, "…")
    return text


@contextlib.contextmanager
def _own_log(tell: Callable[[str], None]) -> Iterator[None]:
    """During the block, what OpenTelemetry logs is told as ours: it would write lines of its own to standard error."""
    theirs = logging.getLogger("opentelemetry")
    before = theirs.handlers[:], theirs.propagate
    theirs.handlers[:], theirs.propagate = [_ToLog(tell)], False
    try:
        yield
    finally:
        theirs.handlers[:], theirs.propagate = before
