"""The one settings object: every option of a load, with its default and its help, for the API and the CLI alike."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import instant, seconds

if TYPE_CHECKING:
    from loader.wire.target import Target

FormatName = Literal["jsonl", "jsonl.gz", "json", "json.gz"]
EMBEDDED = "embedded"
DISCARD = "discard"
DEFAULT_REDIS = "redis://localhost:6379/0"

_TASKS = Group("Tasks", sort_key=1)
_ASYNQ = Group("Tasks of the asynq layout", sort_key=2)
_TARGET = Group("Target", sort_key=3)
_HTTP = Group("HTTP", sort_key=4)
_INPUT = Group("Input", sort_key=5)
_JOB = Group("Job and failures", sort_key=6)
_SPEED = Group("Throughput", sort_key=7)

_ASYNQ_ONLY = (
    "task_timeout",
    "deadline",
    "retention",
    "header",
    "unique_ttl",
    "process_at",
    "process_in",
    *LIFECYCLE,
)

_HTTP_ONLY = ("api_key_env", "http_mode", "http_connections", "journal")
_REDIS_ONLY = (
    "redis",
    "embedded_dir",
    "queue_check",
    "id_field",
    "on_conflict",
    "layout",
    "profile",
    "type",
    "max_retry",
    *(name for name in _ASYNQ_ONLY if name != "task_timeout"),
    "envelope",
    "processes",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options of a load. Field names are the long options of the command line with underscores."""

    queue: Annotated[str | None, Parameter(group=_TASKS, name=("--queue", "-q"))] = None
    """Queue for the tasks; NAME alone means NAME.default, as in runqy."""

    queue_field: Annotated[str | None, Parameter(group=_TASKS)] = None
    """Take each task's queue from this field of its record; --queue is then the fallback."""

    id_field: Annotated[str | None, Parameter(group=_TASKS)] = None
    """Take each task's id from this field of its record; else ids are made from job, source and record number."""

    on_conflict: Annotated[Literal["fail", "skip"], Parameter(group=_TASKS)] = "fail"
    """A record whose own id is a task already, or whose unique task is there: reject it (fail) or count it as loaded
    already (skip)."""

    layout: Annotated[LayoutName, Parameter(group=_TASKS)] = "documented"
    """Redis keys to write: 'documented' is what runqy's enqueueing guide describes; 'asynq' is what runqy's workers
    since January 2026, and all of asynq's, read. See docs/layouts.md."""

    profile: Annotated[ProfileName | None, Parameter(group=_TASKS)] = None
    """With --layout asynq, whose defaults hold: runqy's (type is the queue's name, 3 retries, timeout 30s, retention
    24h, NAME means NAME.default) or asynq's (--type is needed, 25 retries, timeout 30m). Default: runqy."""

    type: Annotated[str | None, Parameter(group=_TASKS)] = None
    """Task type. Default: 'task' in the documented layout, else as the profile says."""

    max_retry: Annotated[int | None, Parameter(group=_TASKS)] = None
    """How often a worker may retry a task. Default: 3, with --profile asynq 25."""

    task_timeout: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """How long a task may run: seconds, or such as 90s, 5m, 1h30m."""

    deadline: Annotated[str | None, Parameter(group=_ASYNQ)] = None
    """Until when a task may run: RFC 3339, such as 2026-12-24T18:00:00Z, or Unix seconds."""

    retention: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """How long a completed task and its result are kept."""

    header: Annotated[tuple[str, ...], Parameter(group=_ASYNQ, negative="", show_default=False)] = ()
    """A header of every task, as NAME=VALUE; may be given several times."""

    unique_ttl: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """For so long, no second task of the same type, payload and queue is let in; see --on-conflict."""

    process_at: Annotated[str | None, Parameter(group=_ASYNQ)] = None
    """Run no task before this time; they wait in the scheduled set."""

    process_in: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """Run no task before so long from when it is loaded."""

    ttl_completed: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """For runqy's workers: how long a completed task is kept."""

    ttl_archived: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """For runqy's workers: how long a task that failed for good is kept."""

    pending_timeout: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """For runqy's workers: how long a task may wait."""

    active_timeout: Annotated[int | str | None, Parameter(group=_ASYNQ)] = None
    """For runqy's workers: how long a task may run."""

    redis: Annotated[str, Parameter(group=_TARGET, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL), or 'embedded' for the bundled Valkey; 'discard'
    writes nowhere and shows what this machine can do."""

    embedded_dir: Annotated[Path | None, Parameter(group=_TARGET)] = None
    """Where the embedded server keeps its data; without it the data goes when the run ends."""

    queues_file: Annotated[Path | None, Parameter(group=_TARGET)] = None
    """Queues that exist: runqy's YAML file, or a directory of them. Checked before the first write."""

    queue_check: Annotated[Literal["none", "redis"], Parameter(group=_TARGET)] = "none"
    """'redis' checks queues against the server's set asynq:queues before the first write."""

    force_layout: Annotated[bool, Parameter(group=_TARGET, negative="", show_default=False)] = False
    """Load although the target seems to be used with another layout: 'I know'. See docs/doctor.md."""

    timeout: Annotated[float, Parameter(group=_TARGET)] = 30.0
    """Seconds without any reply from the server after which a connection counts as lost. A task's own limit is
    --task-timeout."""

    to: Annotated[str | None, Parameter(group=_HTTP)] = None
    """Send tasks through the HTTP API of the runqy server at this URL, such as http://localhost:3000, instead of to
    Redis. What is guaranteed then is in docs/http.md: less."""

    api_key_env: Annotated[str | None, Parameter(group=_HTTP)] = None
    """Environment variable with the server's API key. Default: RUNQY_API_KEY, if it is set."""

    http_mode: Annotated[Literal["batch", "single"], Parameter(group=_HTTP)] = "batch"
    """'batch' sends --batch-size tasks a request (POST /queue/add-batch), 'single' one (POST /queue/add)."""

    http_connections: Annotated[int, Parameter(group=_HTTP)] = 8
    """Requests under way at a time, each over a connection of its own that is kept."""

    journal: Annotated[Path | None, Parameter(group=_HTTP)] = None
    """Where to note which batches the server has acknowledged. Default: JOB.journal. A resume needs it."""

    format: Annotated[FormatName | None, Parameter(group=_INPUT, name=("--format", "-f"))] = None
    """Format of all inputs; else told by each name, and jsonl for '-'."""

    envelope: Annotated[bool, Parameter(group=_INPUT, negative="", show_default=False)] = False
    """Records are envelopes: objects with 'payload' and, as wanted, id, queue, type, max_retry and further options."""

    max_record_bytes: Annotated[int, Parameter(group=_INPUT)] = 16 * 1024 * 1024
    """Records longer than this are rejected."""

    job: Annotated[str | None, Parameter(group=_JOB, name=("--job", "-j"))] = None
    """Name of the job; the same job never loads a record twice. Else derived from sources and options."""

    rejects: Annotated[Path | None, Parameter(group=_JOB)] = None
    """Where rejected records go, as JSON lines. Default: JOB.rejects.jsonl, made with the first one."""

    ids_out: Annotated[Path | None, Parameter(group=_JOB)] = None
    """Write the id and the queue of every task that is in to this file, for runqy-loader wait. Each run writes it anew,
    batches that were in already included."""

    max_errors: Annotated[int | None, Parameter(group=_JOB)] = None
    """Stop when more than this many records are rejected; 0 stops at the first. Default: set all aside and go on."""

    retry_for: Annotated[float, Parameter(group=_JOB)] = 60.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried without progress."""

    dry_run: Annotated[bool, Parameter(group=_JOB, negative="", show_default=False)] = False
    """Read and validate everything, write nothing to Redis."""

    batch_size: Annotated[int | None, Parameter(group=_SPEED, name=("--batch-size", "-b"))] = None
    """Records a batch, fixed for a job; a batch also ends at 1 MiB of input. Default: 1000; with --to 100, and 1 with
    --http-mode single."""

    processes: Annotated[int | Literal["auto"], Parameter(group=_SPEED, name=("--processes", "-p"))] = 1
    """Processes that share the input, or 'auto' for as many as there are processors. For when one is not enough to
    keep the server busy; a job may be resumed with another number."""

    workers: Annotated[int, Parameter(group=_SPEED, name=("--workers", "-w"))] = 2
    """Pipeline workers of each process, each with its own connection; 1, in one process, keeps the exact order."""

    queue_depth: Annotated[int, Parameter(group=_SPEED)] = 8
    """Batches read ahead of the workers."""

    def check(self, *, queue_needed: bool = True) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other.

        Args:
            queue_needed: Whether something must tell a task's queue.
        """
        self._require(self.records_a_batch >= 1, "batch_size", "must be at least 1")
        for name in ("workers", "queue_depth", "max_record_bytes"):
            self._require(getattr(self, name) >= 1, name, "must be at least 1")
        self._require(self.records_a_batch <= 100_000, "batch_size", "must be at most 100000")
        self._require(self.workers <= 256, "workers", "must be at most 256")
        self._require(self.processes == "auto" or 1 <= self.processes <= 256, "processes", "must be 1 to 256, or auto")
        self._require(
            self.max_retry is None or 0 <= self.max_retry < 2**31, "max_retry", "must be between 0 and 2147483647"
        )
        self._require(self.timeout > 0, "timeout", "must be above 0")
        self._require(self.retry_for >= 0, "retry_for", "must not be negative")
        self._require(self.max_errors is None or self.max_errors >= 0, "max_errors", "must not be negative")
        for name in ("id_field", "queue_field", "type", "job"):
            self._require(getattr(self, name) != "", name, "must not be empty")
        if self.job is not None:
            self._require(is_job_name(self.job), "job", "may hold letters, digits, '.', '_' and '-' only, at most 100")
        self._require(self.type is None or self.type.isprintable(), "type", "must not hold control characters")
        self._check_http()
        self._check_layout()
        if self.queue is not None:
            resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)
        elif queue_needed and self.queue_field is None and not self.envelope:
            raise UsageError("no queue given", "Say --queue NAME, or --queue-field NAME to take it from each record")
        if self.embedded_dir is not None and self.redis != EMBEDDED:
            raise UsageError("--embedded-dir needs --redis embedded", "Give both, or neither")
        if self.ids_out is not None and (self.dry_run or self.redis == DISCARD):
            other = "--dry-run" if self.dry_run else "--redis discard"
            raise UsageError(f"--ids-out and {other} contradict each other", "Without a task there is no id")

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise UsageError(f"--{name.replace('_', '-')} {rule}, not {getattr(self, name)!r}")

    @property
    def target(self) -> Target:
        """Where the tasks go. Whether any are sent at all is another question: see ``dry_run``."""
        from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis  # a millisecond that --help does not need

        if self.to is not None:
            return ToHttp(self.to)
        if self.redis == EMBEDDED:
            return ToEmbedded(self.embedded_dir)
        return ToDiscard() if self.redis == DISCARD else ToRedis(self.redis)

    @property
    def default_queue(self) -> str | None:
        """The full name of ``queue``."""
        return None if self.queue is None else resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)

    @property
    def records_a_batch(self) -> int:
        """``batch_size``, or what holds for the target without it."""
        if self.batch_size is not None:
            return self.batch_size
        if self.to is None:
            return 1000
        return 100 if self.http_mode == "batch" else 1

    @property
    def defaults(self) -> Profile:
        """What holds where the options are silent."""
        return profile_of(self.layout, self.profile)

    @property
    def task_options(self) -> TaskOptions:
        """Options of the tasks whose records bring none of their own.

        Raises:
            UsageError: A duration, a time or a header is not written as one.
        """
        headers = [header.partition("=") for header in self.header]
        for given, (name, equals, _) in zip(self.header, headers, strict=True):
            if not name or not equals:
                raise UsageError(f"--header {given!r} is not of the form NAME=VALUE")
        timeout, deadline = self._seconds("task_timeout"), self._instant("deadline")
        retention = self._seconds("retention")
        return TaskOptions(
            type=self.type or self.defaults.type,
            max_retry=self.defaults.max_retry if self.max_retry is None else self.max_retry,
            timeout=(0 if deadline else self.defaults.timeout) if timeout is None else timeout,
            deadline=deadline or 0,
            retention=self.defaults.retention if retention is None else retention,
            headers=tuple(sorted({name: value for name, _, value in headers}.items())),
            unique_ttl=self._seconds("unique_ttl") or 0,
            process_at=self._instant("process_at") or 0,
            process_in=self._seconds("process_in") or 0,
            **{name: self._seconds(name) or 0 for name in LIFECYCLE},
        )

    def _seconds(self, name: str) -> int | None:
        return self._read(seconds, name)

    def _instant(self, name: str) -> int | None:
        return self._read(instant, name)

    def _read(self, read: Callable[[Any], int], name: str) -> int | None:
        value = getattr(self, name)
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise UsageError(f"--{name.replace('_', '-')}: {error}") from error

    def _check_http(self) -> None:
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        if self.to is None:
            for name in _HTTP_ONLY:
                if getattr(self, name) != fields[name]:
                    raise UsageError(f"--{name.replace('_', '-')} needs --to", "See docs/http.md")
            return
        self._require(1 <= self.http_connections <= 256, "http_connections", "must be 1 to 256")
        # Where the environment tells of a Redis for everything that wants one, that is no contradiction.
        told = {os.environ.get(name) for name in ("RUNQY_LOADER_REDIS", "REDIS_URL")}
        for name in _REDIS_ONLY:
            value = getattr(self, name)
            if value != fields[name] and not (name == "redis" and value in told):
                raise UsageError(
                    f"--{name.replace('_', '-')} and --to contradict each other", "It is for loading into Redis itself"
                )

    def _check_layout(self) -> None:
        if self.layout == "documented":
            if self.profile == "asynq":
                raise UsageError("--profile asynq needs --layout asynq", "asynq's workers read no other layout")
            for name in _ASYNQ_ONLY:
                if getattr(self, name) not in (None, ()) and not (self.to is not None and name == "task_timeout"):
                    raise UsageError(f"--{name.replace('_', '-')} needs --layout asynq", "See docs/layouts.md")
        elif self.defaults.needs_type and self.type is None and not self.envelope:
            raise UsageError("--profile asynq needs --type", "It is the pattern under which the worker has its handler")
        for name in ("id_field", "queue_field"):
            if self.envelope and getattr(self, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} and --envelope contradict each other",
                    f"An envelope has a field '{name.removesuffix('_field')}' of its own",
                )
        if self.process_at is not None and self.process_in is not None:
            raise UsageError("--process-at and --process-in contradict each other", "Give one of them")
        self.task_options  # noqa: B018 - raises what is wrong with it


def is_job_name(name: str) -> bool:
    """Whether a job may have this name: it becomes part of keys, of a connection's name and of a file's name."""
    return 0 < len(name) <= 100 and name.isascii() and all(c.isalnum() or c in "._-" for c in name)
