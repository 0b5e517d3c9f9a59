"""Tells other systems of one run, from its beginning to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from loader.errors import LoaderError
from loader.jobs.report import RunReport
from loader.spans import trace_with
from loader.telemetry import names
from loader.telemetry.options import TelemetryOptions, sender
from loader.telemetry.readings import of_status
from loader.telemetry.samples import Sample, of_program

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

R = TypeVar("R", bound=RunReport)

_FAILED, _INTERRUPTED = 1, 130
"""Exit statuses."""

Notify = Callable[[str], None]
"""Shows a line to the user."""

log = logging.getLogger("runqy_loader")


@dataclass(slots=True)
class Outcome:
    """How a run ends.

    Attributes:
        exit_status: None until it is over. The block sets it; an exception that leaves the block sets its own.
    """

    exit_status: int | None = None


@contextlib.asynccontextmanager
async def telling(
    options: TelemetryOptions,
    command: str,
    report: Callable[[], R | None],
    read: Callable[[R], Iterable[Sample]],
    notify: Notify,
    *,
    job: str = "",
) -> AsyncIterator[Outcome]:
    """Tells of a run while the block works, as the options say, which have been checked.

    At the end it waits for those who are told, so the block holds all that the run itself has to do.

    Args:
        job: Its name as long as there is no report. node_exporter refuses what is the same in two files.
        command: Its name, which is the label of that name.
        report: The report, once there is one.
        read: Reads the metrics of the report.

    Raises:
        UsageError: A port cannot be used.
        LoaderError: The file with metrics cannot be written at the end, and nothing else has failed.
    """
    from loader.telemetry.prometheus import RunCollector, at_port, in_file

    lines, outcome = _LogLines(), Outcome()

    def samples() -> Iterator[Sample]:
        yield from of_program()
        if (found := report()) is not None:
            yield from read(found)
        elif (status := outcome.exit_status) is not None:  # it has failed before there was anything to count
            yield from of_status("interrupted" if status == _INTERRUPTED else "failed")
        if found is not None or outcome.exit_status is not None:
            yield from lines.samples()
        if outcome.exit_status is not None:
            yield Sample(names.RUN_EXIT_STATUS, outcome.exit_status)

    def run() -> tuple[str, str]:
        return command, getattr(report(), "job", job)

    collector = RunCollector(asyncio.get_running_loop(), samples, run)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_added(lines))
        if options.metrics_port is not None:
            ready = _shown(notify)
            await stack.enter_async_context(at_port(collector, options.metrics_host, options.metrics_port, ready))
        if options.otlp is not None:
            otlp = sender(options.otlp)
            await stack.enter_async_context(otlp.sending(collector))
            stack.enter_context(_traced(otlp.tracer_provider, command, report))
        if options.metrics_file is not None:
            await stack.enter_async_context(in_file(collector, options.metrics_file))
        try:
            yield outcome
        except BaseException as error:
            outcome.exit_status = error.exit_status if isinstance(error, LoaderError) else _status_of(error)
            lines.count("error")  # the line that tells it is written outside the log
            raise


def _status_of(error: BaseException) -> int:
    return _FAILED if isinstance(error, Exception) else _INTERRUPTED


def _shown(notify: Notify) -> Notify:
    return lambda where: notify(f"metrics are at {where}")


class _LogLines(logging.Handler):
    """Counts the lines of the log, and knows whether a server is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = dict.fromkeys(("info", "warning", "error"), 0)
        self._waits = False

    def emit(self, record: logging.LogRecord) -> None:
        self.count(record.levelname.lower())
        if hasattr(record, "waiting"):
            self._waits = record.waiting is not None

    def count(self, level: str) -> None:
        """Counts a line."""
        self._counts[level] = self._counts.get(level, 0) + 1

    def samples(self) -> Iterator[Sample]:
        for level, count in self._counts.items():
            yield Sample(names.LOG_RECORDS, count, (level,))
        yield Sample(names.REDIS_UP, float(not self._waits))


@contextlib.contextmanager
def _added(handler: logging.Handler) -> Iterator[None]:
    """During the block, the log has one more reader, also of what ``--quiet`` does not show."""
    before = log.level
    log.setLevel(min(before, logging.INFO))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextlib.contextmanager
def _traced(provider: TracerProvider, command: str, report: Callable[[], RunReport | None]) -> Iterator[None]:
    """Makes one span of the run, with one for each step in it. The variable TRACEPARENT names the span that it is in.

    (https://opentelemetry.io/docs/specs/otel/context/env-carriers/)
    """
    from opentelemetry.trace import Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from loader.telemetry.otlp import SCOPE

    tracer = provider.get_tracer(SCOPE)
    carrier = {name.lower(): os.environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in os.environ}
    parent = TraceContextTextMapPropagator().extract(carrier)
    with tracer.start_as_current_span(f"runqy-loader {command}", parent, set_status_on_exception=False) as root:
        events = _Events(root)
        with _added(events):
            trace_with(lambda name: tracer.start_as_current_span(name))
            try:
                yield
            finally:
                trace_with(None)
                found = report()
                failed = sys.exception() is not None or (found is not None and found.status == "failed")
                if found is not None:
                    root.set_attributes(_attributes(found))
                root.set_status(Status(StatusCode.ERROR if failed else StatusCode.OK))


def _attributes(report: RunReport) -> Mapping[str, Any]:
    """The figures of the report, under their names there."""
    figures: dict[str, Any] = report.to_dict()  # type: ignore[attr-defined]
    plain = {name: value for name, value in figures.items() if isinstance(value, str | int | float)}
    return {f"{names.PREFIX[:-1]}.{name}": value for name, value in plain.items()}


class _Events(logging.Handler):
    """Notes warnings and errors in a span."""

    def __init__(self, span: Span) -> None:
        super().__init__(logging.WARNING)
        self._span = span

    def emit(self, record: logging.LogRecord) -> None:
        self._span.add_event(record.getMessage(), {"level": record.levelname.lower()})
