"""What the metrics of a load or a migration are now, read from its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from loader.jobs.report import LoadReport, RunReport
from loader.migrate.report import MigrateReport
from loader.tasks.reasons import ReasonCode
from loader.telemetry import names
from loader.telemetry.queue_labels import QueueLabels
from loader.telemetry.samples import Sample

if TYPE_CHECKING:
    from loader.pace.latency import LatencyRecorder

STATUSES = ("running", "completed", "interrupted", "failed")


def of_status(status: str) -> Iterator[Sample]:
    """The status of a run."""
    for one in STATUSES:
        yield Sample(names.RUN_STATUS, float(one == status), (one,))


def of_load(report: LoadReport, waiting: int, queues: QueueLabels) -> Iterator[Sample]:
    """The metrics of a load.

    Args:
        waiting: Batches that wait for a connection.
        queues: The labels of queues so far; it is written.
    """
    yield from _of_run(report)
    by_label: dict[str, int] = {}
    for queue, tasks in report.queues.items():
        label = queues.label(queue)
        by_label[label] = by_label.get(label, 0) + tasks
    for label, tasks in by_label.items():
        yield Sample(names.TASKS_ENQUEUED, tasks, (label,))
    counts = report.counts
    yield Sample(names.TASKS_ALREADY, counts.already_loaded)
    yield Sample(names.TASKS_COMPACT, report.compact)
    yield Sample(names.RECORDS_READ, counts.records_read)
    yield Sample(names.READ_BYTES, counts.bytes_read)
    sizes = [source.size for source in report.sources]
    if None not in sizes:
        yield Sample(names.INPUT_BYTES, sum(size for size in sizes if size is not None))
    left_out = {
        "filtered": counts.filtered,
        "not_sampled": counts.not_sampled,
        "duplicates": counts.duplicates,
        "outside": counts.outside,
    }
    for reason, count in left_out.items():
        yield Sample(names.LEFT_OUT, count, (reason,))
    yield Sample(names.BATCHES, report.batches)
    yield Sample(names.BATCHES_WAITING, waiting)
    for reason, seconds in report.holding.seconds.items():
        yield Sample(names.HELD_SECONDS, seconds, (reason,))
    if report.pace is not None and report.pace.profile is not None:
        yield Sample(names.TASKS_DUE, report.pace.intended(time.monotonic()))
    if report.latency is not None:
        yield _latency(report.latency)


def of_migrate(report: MigrateReport) -> Iterator[Sample]:
    """The metrics of a migration."""
    yield from _of_run(report)
    if report.target_queue:
        yield Sample(names.TASKS_ENQUEUED, report.migrated, (report.target_queue,))
    yield Sample(names.TASKS_ALREADY, report.already)
    yield Sample(names.TASKS_WAITING, report.waiting)
    yield Sample(names.TASKS_MISSING, report.missing)
    yield Sample(names.TASKS_PUT_BACK, report.put_back)
    yield Sample(names.TASKS_HELD, report.held)


def _of_run(report: RunReport) -> Iterator[Sample]:
    yield from of_status(report.status)
    yield Sample(names.RUN_START, report.started_at)
    yield Sample(names.RUN_DURATION, report.seconds)
    # All reasons from the beginning: Prometheus sees no increase in a counter that begins with what it has counted.
    for code in ReasonCode:
        yield Sample(names.REJECTED, report.rejected_by_code[code], (code.value,))


def _latency(recorder: LatencyRecorder) -> Sample:
    found = recorder.buckets
    return Sample(names.LATENCY, found.seconds, (), found.counts)
