"""Every option of a load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared, in_seconds
from loader.settings.option import BYTES, COUNT, DURATION, Excludes, Needs, Option, flag_of
from loader.settings.values import with_paths
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import instant

if TYPE_CHECKING:
    from loader.wire.target import Target

EMBEDDED = "embedded"
DISCARD = "discard"

_TASKS = "Tasks"
_ASYNQ = "Tasks of the asynq layout"
_HTTP = "HTTP"
_INPUT = "Input"
_SPEED = "Throughput"

_REDIS_ONLY = Excludes("to", hint="It is for loading into Redis itself")
_HTTP_ONLY = Needs("to", hint="See docs/http.md")
_ASYNQ_ONLY = Needs("layout", "asynq", hint="See docs/layouts.md")
_TO_ASYNQ = (_REDIS_ONLY, _ASYNQ_ONLY)


def _asynq(text: str, *, unit: str = DURATION, goes_with: tuple[Needs | Excludes, ...] = _TO_ASYNQ) -> Option:
    return Option(help=text, group=_ASYNQ, unit=unit, goes_with=goes_with)


def _field(text: str, envelope_has: str, *more: Excludes) -> Option:
    own = Excludes("envelope", hint=f"An envelope has a field '{envelope_has}' of its own")
    return Option(help=text, group=_TASKS, unit="FIELD", goes_with=(*more, own))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options of a load. Field names are the long options of the command line with underscores."""

    queue: Annotated[str | None, shared.QUEUE] = None
    queue_field: Annotated[
        str | None,
        _field("Take each task's queue from this field of its record; --queue is then the fallback.", "queue"),
    ] = None
    id_field: Annotated[
        str | None,
        _field(
            "Take each task's id from this field of its record; else ids are made from job, source and record number.",
            "id",
            _REDIS_ONLY,
        ),
    ] = None
    on_conflict: Annotated[
        Literal["fail", "skip"],
        Option(
            help="A record whose own id is a task already, or whose unique task is there: reject it (fail) or count it "
            "as loaded already (skip).",
            group=_TASKS,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = "fail"
    layout: Annotated[LayoutName, shared.LAYOUT.but(goes_with=(_REDIS_ONLY,))] = "documented"
    profile: Annotated[ProfileName | None, shared.PROFILE.but(goes_with=(_REDIS_ONLY, shared.NEEDS_ASYNQ_LAYOUT))] = (
        None
    )
    type: Annotated[str | None, shared.TYPE.but(goes_with=(_REDIS_ONLY,))] = None
    max_retry: Annotated[int | None, shared.MAX_RETRY.but(goes_with=(_REDIS_ONLY,))] = None

    task_timeout: Annotated[
        int | str | None,
        _asynq(
            "How long a task may run.",
            goes_with=(Needs("layout", "asynq", hint="See docs/layouts.md", unless="to"),),
        ),
    ] = None
    deadline: Annotated[
        str | None,
        _asynq("Until when a task may run: RFC 3339, such as 2026-12-24T18:00:00Z, or Unix seconds.", unit="TIME"),
    ] = None
    retention: Annotated[int | str | None, _asynq("How long a completed task and its result are kept.")] = None
    header: Annotated[
        tuple[str, ...],
        _asynq("A header of every task; may be given several times.", unit="NAME=VALUE"),
    ] = ()
    unique_ttl: Annotated[
        int | str | None,
        _asynq("For so long, no second task of the same type, payload and queue is let in; see --on-conflict."),
    ] = None
    process_at: Annotated[
        str | None,
        _asynq(
            "Run no task before this time; they wait in the scheduled set.",
            unit="TIME",
            goes_with=(*_TO_ASYNQ, Excludes("process_in")),
        ),
    ] = None
    process_in: Annotated[int | str | None, _asynq("Run no task before so long from when it is loaded.")] = None
    ttl_completed: Annotated[int | str | None, _asynq("For runqy's workers: how long a completed task is kept.")] = None
    ttl_archived: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a task that failed for good is kept.")
    ] = None
    pending_timeout: Annotated[int | str | None, _asynq("For runqy's workers: how long a task may wait.")] = None
    active_timeout: Annotated[int | str | None, _asynq("For runqy's workers: how long a task may run.")] = None

    redis: Annotated[
        str,
        shared.REDIS.but(
            help="Server: redis://, rediss:// or unix:// URL (also from REDIS_URL), or 'embedded' for the bundled "
            "Valkey; 'discard' writes nowhere and shows what this machine can do.",
            goes_with=(_REDIS_ONLY,),
        ),
    ] = shared.DEFAULT_REDIS
    embedded_dir: Annotated[
        Path | None,
        Option(
            help="Where the embedded server keeps its data; without it the data goes when the run ends.",
            group=shared.SERVER,
            unit="DIR",
            goes_with=(_REDIS_ONLY, Needs("redis", EMBEDDED, hint="Give both, or neither")),
        ),
    ] = None
    queues_file: Annotated[Path | None, shared.QUEUES_FILE] = None
    queue_check: Annotated[Literal["none", "redis"], shared.QUEUE_CHECK.but(goes_with=(_REDIS_ONLY,))] = "none"
    force_layout: shared.ForceLayout = False
    timeout: Annotated[
        float, shared.TIMEOUT.but(help=f"{shared.TIMEOUT.help} A task's own limit is --task-timeout.")
    ] = 30.0
    retry_for: shared.RetryFor = 60.0

    to: Annotated[
        str | None,
        Option(
            help="Send tasks through the HTTP API of the runqy server at this URL, such as http://localhost:3000, "
            "instead of to Redis. What is guaranteed then is in docs/http.md: less.",
            group=_HTTP,
            unit="URL",
        ),
    ] = None
    api_key_env: Annotated[str | None, shared.API_KEY_ENV.but(goes_with=(_HTTP_ONLY,))] = None
    http_mode: Annotated[
        Literal["batch", "single"],
        Option(
            help="'batch' sends --batch-size tasks a request (POST /queue/add-batch), 'single' one (POST /queue/add).",
            group=_HTTP,
            goes_with=(_HTTP_ONLY,),
        ),
    ] = "batch"
    http_connections: Annotated[
        int,
        Option(
            help="Requests under way at a time, each over a connection of its own that is kept.",
            group=_HTTP,
            unit=COUNT,
            at_least=1,
            at_most=256,
            goes_with=(_HTTP_ONLY,),
        ),
    ] = 8
    journal: Annotated[
        Path | None,
        Option(
            help="Where to note which batches the server has acknowledged. A resume needs it.",
            group=_HTTP,
            unit="FILE",
            goes_with=(_HTTP_ONLY,),
            default_text="JOB.journal",
        ),
    ] = None

    format: Annotated[
        str | None,
        Option(
            help="Format of all inputs: jsonl or json, and .gz after it where they are gzipped.",
            group=_INPUT,
            short="-f",
            unit="FORMAT",
            default_text="told by each name, and jsonl for '-'",
        ),
    ] = None
    envelope: Annotated[
        bool,
        Option(
            help="Records are envelopes: objects with 'payload' and, as wanted, id, queue, type, max_retry and further "
            "options.",
            group=_INPUT,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = False
    max_record_bytes: Annotated[
        int, Option(help="Records longer than this are rejected.", group=_INPUT, unit=BYTES, at_least=1)
    ] = 16 * 1024 * 1024

    job: Annotated[str | None, shared.JOB_NAME] = None
    rejects: Annotated[Path | None, shared.REJECTS] = None
    ids_out: Annotated[
        Path | None,
        Option(
            help="Write the id and the queue of every task that is in to this file, for runqy-loader wait. Each run "
            "writes it anew, batches that were in already included.",
            group=shared.JOB,
            unit="FILE",
            goes_with=(
                Excludes("dry_run", hint="Without a task there is no id"),
                Excludes("redis", DISCARD, hint="Without a task there is no id"),
            ),
        ),
    ] = None
    max_errors: Annotated[int | None, shared.MAX_ERRORS] = None
    dry_run: Annotated[bool, Option(help="Read and validate everything, write nothing to Redis.", group=shared.JOB)] = (
        False
    )

    batch_size: Annotated[
        int | None,
        Option(
            help="Records a batch, fixed for a job; a batch also ends at 1 MiB of input.",
            group=_SPEED,
            short="-b",
            unit=COUNT,
            at_least=1,
            at_most=100_000,
            default_text="1000; with --to 100, and 1 with --http-mode single",
        ),
    ] = None
    processes: Annotated[
        int | Literal["auto"],
        Option(
            help="Processes that share the input, or 'auto' for as many as there are processors. For when one is not "
            "enough to keep the server busy; a job may be resumed with another number.",
            group=_SPEED,
            short="-p",
            unit="COUNT|auto",
            at_least=1,
            at_most=256,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = 1
    workers: Annotated[
        int,
        Option(
            help="Pipeline workers of each process, each with its own connection; 1, in one process, keeps the exact "
            "order.",
            group=_SPEED,
            short="-w",
            unit=COUNT,
            at_least=1,
            at_most=256,
        ),
    ] = 2
    queue_depth: Annotated[
        int, Option(help="Batches read ahead of the workers.", group=_SPEED, unit=COUNT, at_least=1)
    ] = 8

    def __post_init__(self) -> None:
        with_paths(self)

    def check(self, *, queue_needed: bool = True) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other.

        Args:
            queue_needed: Whether something must tell a task's queue.
        """
        check_declared(self)
        if self.defaults.needs_type and self.type is None and not self.envelope:
            raise UsageError("--profile asynq needs --type", "It is the pattern under which the worker has its handler")
        self.task_options  # noqa: B018 - raises what is wrong with it
        if self.queue is not None:
            resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)
        elif queue_needed and self.queue_field is None and not self.envelope:
            raise UsageError("no queue given", "Say --queue NAME, or --queue-field NAME to take it from each record")

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
        timeout, deadline = in_seconds(self, "task_timeout"), self._instant("deadline")
        retention = in_seconds(self, "retention")
        return TaskOptions(
            type=self.type or self.defaults.type,
            max_retry=self.defaults.max_retry if self.max_retry is None else self.max_retry,
            timeout=(0 if deadline else self.defaults.timeout) if timeout is None else timeout,
            deadline=deadline or 0,
            retention=self.defaults.retention if retention is None else retention,
            headers=tuple(sorted({name: value for name, _, value in headers}.items())),
            unique_ttl=in_seconds(self, "unique_ttl") or 0,
            process_at=self._instant("process_at") or 0,
            process_in=in_seconds(self, "process_in") or 0,
            **{name: in_seconds(self, name) or 0 for name in LIFECYCLE},
        )

    def _instant(self, name: str) -> int | None:
        value = getattr(self, name)
        try:
            return None if value is None else instant(value)
        except ValueError as error:
            raise UsageError(f"{flag_of(name)}: {error}") from error
