"""The names of all metrics: of loads, of migrations and of the gateway.

They follow Prometheus's rules: base units, a counter's name ends in ``_total``, and one name means the same everywhere
(https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "runqy_loader_"

Kind = Literal["counter", "gauge", "histogram"]
Of = Literal["load", "migrate", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        short: Its name without ``PREFIX``, and without the ``_total`` of counters.
        labels: The names of its own labels; ``command`` and ``job_name`` come before them, if ``of_run``.
        commands: Which commands have it.
        of_run: Whether it tells of one run of a command, which its labels name.
    """

    kind: Kind
    short: str
    help: str
    commands: tuple[Of, ...]
    labels: tuple[str, ...] = ()
    of_run: bool = True

    @property
    def name(self) -> str:
        """The name of its samples (of a histogram, without ``_bucket``, ``_sum`` and ``_count``)."""
        return f"{self.family}_total" if self.kind == "counter" else self.family

    @property
    def family(self) -> str:
        """The name without the ``_total`` of counters, as prometheus_client takes it."""
        return PREFIX + self.short

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Its labels in the order of the values."""
        return (*RUN_LABELS, *self.labels) if self.of_run else self.labels


RUN_LABELS = ("command", "job_name")
"""``job`` would be taken: Prometheus gives that label to what it reads."""

_RUNS: tuple[Of, ...] = ("load", "migrate")
_ALL: tuple[Of, ...] = ("load", "migrate", "serve")

BUILD_INFO = Metric(
    kind="gauge", short="build_info", help="1; the version.", commands=_ALL, labels=("version", "python")
)
RUN_STATUS = Metric(
    kind="gauge", short="run_status", help="1 for the status of the run, 0 for the others.", commands=_RUNS,
    labels=("status",),
)  # fmt: skip
RUN_EXIT_STATUS = Metric(
    kind="gauge", short="run_exit_status", help="Exit status of the run, once it is over.", commands=_RUNS
)
RUN_START = Metric(
    kind="gauge",
    short="run_start_time_seconds",
    help="When the run began, in seconds since 1970.",
    commands=_RUNS,
)
RUN_DURATION = Metric(
    kind="gauge", short="run_duration_seconds", help="Seconds since the run began, or that it took.", commands=_RUNS
)
TASKS_ENQUEUED = Metric(
    kind="counter", short="tasks_enqueued", help="Tasks that are in Redis.", commands=_ALL, labels=("queue",)
)
TASKS_ALREADY = Metric(
    kind="counter",
    short="tasks_already_enqueued",
    help="Tasks that were in Redis before, by an earlier run of the job.",
    commands=_RUNS,
)
TASKS_COMPACT = Metric(
    kind="counter", short="tasks_written_compact", help="Tasks that were written by RESTORE.", commands=("load",)
)
TASKS_DUE = Metric(
    kind="counter", short="tasks_due", help="Tasks that were due by the schedule of the load.", commands=("load",)
)
TASKS_WAITING = Metric(
    kind="gauge", short="source_tasks", help="Pending tasks of the source at the beginning.", commands=("migrate",)
)
TASKS_MISSING = Metric(
    kind="counter",
    short="tasks_missing",
    help="Ids whose task was gone, as a worker had taken it.",
    commands=("migrate",),
)
TASKS_PUT_BACK = Metric(
    kind="counter", short="tasks_put_back", help="Tasks that were put back into the source.", commands=("migrate",)
)
TASKS_HELD = Metric(
    kind="gauge",
    short="tasks_held",
    help="Tasks that were taken and are neither moved nor put back: the job must be run again.",
    commands=("migrate",),
)
RECORDS_READ = Metric(kind="counter", short="records_read", help="Records that were read.", commands=("load",))
READ_BYTES = Metric(kind="counter", short="read_bytes", help="Bytes of input that were read.", commands=("load",))
INPUT_BYTES = Metric(
    kind="gauge", short="input_bytes", help="Size of the whole input, if it is known.", commands=("load",)
)
REJECTED = Metric(
    kind="counter",
    short="records_rejected",
    help="Records or tasks that were set aside.",
    commands=_RUNS,
    labels=("reason",),
)
LEFT_OUT = Metric(
    kind="counter",
    short="records_left_out",
    help="Records that the options of shaping leave out.",
    commands=("load",),
    labels=("reason",),
)
BATCHES = Metric(kind="counter", short="batches_enqueued", help="Batches that are in Redis.", commands=("load",))
BATCHES_WAITING = Metric(
    kind="gauge", short="batches_waiting", help="Batches that wait for a connection.", commands=("load",)
)
HELD_SECONDS = Metric(
    kind="counter",
    short="held_seconds",
    help="Seconds for which a limit or a pause held the load back.",
    commands=("load",),
    labels=("reason",),
)
LATENCY = Metric(
    kind="histogram",
    short="enqueue_latency_seconds",
    help="Seconds from a task's due time to the server's acknowledgement.",
    commands=("load",),
)
LOG_RECORDS = Metric(kind="counter", short="log_records", help="Lines of the log.", commands=_RUNS, labels=("level",))
REDIS_UP = Metric(
    kind="gauge", short="redis_up", help="Whether Redis answers; 0 while it is waited for.", commands=_ALL
)

WRITE_TASKS = Metric(
    kind="histogram", short="write_tasks", help="Tasks in a shared write.", commands=("serve",), of_run=False
)
REQUESTS = Metric(
    kind="counter",
    short="http_requests",
    help="Answered requests.",
    commands=("serve",),
    labels=("route", "status"),
    of_run=False,
)
REQUEST_SECONDS = Metric(
    kind="histogram",
    short="http_request_duration_seconds",
    help="Seconds from a request's headers to its answer.",
    commands=("serve",),
    labels=("route",),
    of_run=False,
)
REPLAYS = Metric(
    kind="counter",
    short="http_idempotent_replays",
    help="Requests that were answered with the tasks of an earlier request.",
    commands=("serve",),
    of_run=False,
)
IN_PROGRESS = Metric(
    kind="gauge", short="http_requests_in_progress", help="Requests in progress.", commands=("serve",), of_run=False
)
QUEUED = Metric(
    kind="gauge",
    short="http_requests_queued",
    help="Requests that wait until others are done.",
    commands=("serve",),
    of_run=False,
)
WAITING = Metric(
    kind="gauge",
    short="http_requests_waiting",
    help="Requests that wait for a task to end.",
    commands=("serve",),
    of_run=False,
)
BUFFERED = Metric(
    kind="gauge",
    short="http_buffered_bytes",
    help="Bytes of request bodies and of long answers in memory.",
    commands=("serve",),
    of_run=False,
)

METRICS = tuple(one for one in globals().values() if isinstance(one, Metric))
"""All of them, in the order of the page."""
