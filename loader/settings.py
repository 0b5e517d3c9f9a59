"""The one settings object: every option of a load, with its default and its help, for the API and the CLI alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.task import resolve_queue

FormatName = Literal["jsonl", "jsonl.gz", "json", "json.gz"]
EMBEDDED = "embedded"
DISCARD = "discard"
DEFAULT_REDIS = "redis://localhost:6379/0"

_TASKS = Group("Tasks", sort_key=1)
_TARGET = Group("Target", sort_key=2)
_INPUT = Group("Input", sort_key=3)
_JOB = Group("Job and failures", sort_key=4)
_SPEED = Group("Throughput", sort_key=5)


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
    """With --id-field, a record whose id is a task already: reject it (fail) or count it as loaded already (skip)."""

    type: Annotated[str, Parameter(group=_TASKS)] = "task"
    """Task type."""

    max_retry: Annotated[int, Parameter(group=_TASKS)] = 3
    """How often a worker may retry a task."""

    layout: Annotated[Literal["documented"], Parameter(group=_TASKS)] = "documented"
    """Redis keys to write: 'documented' is what runqy's enqueueing guide describes."""

    redis: Annotated[str, Parameter(group=_TARGET, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL), or 'embedded' for the bundled Valkey; 'discard'
    writes nowhere and shows what this machine can do."""

    embedded_dir: Annotated[Path | None, Parameter(group=_TARGET)] = None
    """Where the embedded server keeps its data; without it the data goes when the run ends."""

    queues_file: Annotated[Path | None, Parameter(group=_TARGET)] = None
    """Queues that exist: runqy's YAML file, or a directory of them. Checked before the first write."""

    queue_check: Annotated[Literal["none", "redis"], Parameter(group=_TARGET)] = "none"
    """'redis' checks queues against the server's set asynq:queues before the first write."""

    timeout: Annotated[float, Parameter(group=_TARGET)] = 30.0
    """Seconds without any reply after which a connection counts as lost."""

    format: Annotated[FormatName | None, Parameter(group=_INPUT, name=("--format", "-f"))] = None
    """Format of all inputs; else told by each name, and jsonl for '-'."""

    max_record_bytes: Annotated[int, Parameter(group=_INPUT)] = 16 * 1024 * 1024
    """Records longer than this are rejected."""

    job: Annotated[str | None, Parameter(group=_JOB, name=("--job", "-j"))] = None
    """Name of the job; the same job never loads a record twice. Else derived from sources and options."""

    rejects: Annotated[Path | None, Parameter(group=_JOB)] = None
    """Where rejected records go, as JSON lines. Default: JOB.rejects.jsonl, made with the first one."""

    max_errors: Annotated[int | None, Parameter(group=_JOB)] = None
    """Stop when more than this many records are rejected; 0 stops at the first. Default: set all aside and go on."""

    retry_for: Annotated[float, Parameter(group=_JOB)] = 60.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried without progress."""

    dry_run: Annotated[bool, Parameter(group=_JOB, negative="", show_default=False)] = False
    """Read and validate everything, write nothing to Redis."""

    batch_size: Annotated[int, Parameter(group=_SPEED, name=("--batch-size", "-b"))] = 1000
    """Records a batch, fixed for a job; a batch also ends at 1 MiB of input."""

    processes: Annotated[int | Literal["auto"], Parameter(group=_SPEED, name=("--processes", "-p"))] = 1
    """Processes that share the input, or 'auto' for as many as there are processors. For when one is not enough to
    keep the server busy; a job may be resumed with another number."""

    workers: Annotated[int, Parameter(group=_SPEED, name=("--workers", "-w"))] = 2
    """Pipeline workers of each process, each with its own connection; 1, in one process, keeps the exact order."""

    queue_depth: Annotated[int, Parameter(group=_SPEED)] = 8
    """Batches read ahead of the workers."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other."""
        for name in ("batch_size", "workers", "queue_depth", "max_record_bytes"):
            self._require(getattr(self, name) >= 1, name, "must be at least 1")
        self._require(self.batch_size <= 100_000, "batch_size", "must be at most 100000")
        self._require(self.workers <= 256, "workers", "must be at most 256")
        self._require(self.processes == "auto" or 1 <= self.processes <= 256, "processes", "must be 1 to 256, or auto")
        self._require(0 <= self.max_retry < 2**31, "max_retry", "must be between 0 and 2147483647")
        self._require(self.timeout > 0, "timeout", "must be above 0")
        self._require(self.retry_for >= 0, "retry_for", "must not be negative")
        self._require(self.max_errors is None or self.max_errors >= 0, "max_errors", "must not be negative")
        for name in ("id_field", "queue_field", "type", "job"):
            self._require(getattr(self, name) != "", name, "must not be empty")
        if self.job is not None:
            self._require(is_job_name(self.job), "job", "may hold letters, digits, '.', '_' and '-' only, at most 100")
        self._require(self.type.isprintable(), "type", "must not hold control characters")
        if self.queue is not None:
            resolve_queue(self.queue)
        elif self.queue_field is None:
            raise UsageError("no queue given", "Say --queue NAME, or --queue-field NAME to take it from each record")
        if self.embedded_dir is not None and self.redis != EMBEDDED:
            raise UsageError("--embedded-dir needs --redis embedded", "Give both, or neither")

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise UsageError(f"--{name.replace('_', '-')} {rule}, not {getattr(self, name)!r}")

    @property
    def default_queue(self) -> str | None:
        """The full name of ``queue``."""
        return None if self.queue is None else resolve_queue(self.queue)


def is_job_name(name: str) -> bool:
    """Whether a job may have this name: it becomes part of keys, of a connection's name and of a file's name."""
    return 0 < len(name) <= 100 and name.isascii() and all(c.isalnum() or c in "._-" for c in name)
