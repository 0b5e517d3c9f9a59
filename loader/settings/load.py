"""Every option of a load."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from loader.errors import UsageError
from loader.outputs.names import IDS, JOURNAL
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared, check_outputs, implied, in_seconds
from loader.settings.error_limit import ErrorLimit, error_limit
from loader.settings.memory import MemoryThreshold, threshold_problem
from loader.settings.option import BYTES, COUNT, DURATION, TIME, Excludes, Needs, Option, flag_of
from loader.settings.values import convert_values
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.profiles import LayoutChoice, LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import instant

if TYPE_CHECKING:
    from loader.wire.target import Target

EMBEDDED = "embedded"
DISCARD = "discard"
_RETRY_SECONDS = 60.0

_TASKS = "Tasks"
_ASYNQ = "Tasks of the asynq layout"
_HTTP = "HTTP"
_INPUT = "Input"
_SPEED = "Throughput"

_REDIS_ONLY = Excludes("to", hint="The first one is only for loads into Redis")
_HTTP_ONLY = Needs("to", hint="See docs/http.md")
_ASYNQ_ONLY = Needs("layout", "asynq", later="auto", hint="See docs/layouts.md")
_TO_ASYNQ = (_REDIS_ONLY, _ASYNQ_ONLY)


def _asynq(text: str, *, unit: str = DURATION, goes_with: tuple[Needs | Excludes, ...] = _TO_ASYNQ) -> Option:
    return Option(help=text, group=_ASYNQ, unit=unit, goes_with=goes_with)


def _field(text: str, envelope_has: str, *more: Excludes) -> Option:
    own = Excludes("envelope", hint=f"An envelope has a field '{envelope_has}' of its own")
    return Option(help=text, group=_TASKS, unit="FIELD", goes_with=(*more, own))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options of a load. Field names are the long options of the command line with underscores.

    With layout ``auto``, a look at the server chooses the layout, and ``settled`` puts it into the options. Before
    that, ``default_queue`` is final: the layouts differ in the meaning of a name only with profile asynq, which needs
    layout asynq. ``defaults`` and ``task_options`` are those of the layout that other options need, else of the
    documented layout. Only settled options have a ``layout_name``, so nothing is encoded before the choice.
    """

    queue: Annotated[str | None, shared.QUEUE] = None
    queue_field: Annotated[
        str | None,
        _field(
            "Take each task's queue from this field of its record; --queue is for records without it. If none of the "
            "first 1,000 records has it, the load is refused.",
            "queue",
        ),
    ] = None
    id_field: Annotated[
        str | None,
        _field(
            "Take each task's id from this field of its record. Without this option, ids are made from job, source and "
            "record number.",
            "id",
            _REDIS_ONLY,
        ),
    ] = None
    on_conflict: Annotated[
        Literal["fail", "skip"],
        Option(
            help="If a record's own id is already a task, or its unique task already exists: reject the record (fail), "
            "or count it as already loaded (skip).",
            group=_TASKS,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = "fail"
    layout: Annotated[LayoutChoice, shared.LAYOUT.but(goes_with=(_REDIS_ONLY,))] = "auto"
    profile: Annotated[ProfileName | None, shared.PROFILE.but(goes_with=(_REDIS_ONLY, shared.NEEDS_ASYNQ_LAYOUT))] = (
        None
    )
    type: Annotated[str | None, shared.TYPE.but(goes_with=(_REDIS_ONLY,))] = None
    max_retry: Annotated[int | None, shared.MAX_RETRY.but(goes_with=(_REDIS_ONLY,))] = None

    task_timeout: Annotated[
        int | str | None,
        _asynq(
            "How long a task may run. runqy's workers ignore this: use --active-timeout.",
            goes_with=(Needs("layout", "asynq", later="auto", hint="See docs/layouts.md", unless="to"),),
        ),
    ] = None
    deadline: Annotated[
        str | None,
        _asynq(
            "The time until which a task may run: RFC 3339, such as 2026-12-24T18:00:00Z, or Unix seconds. runqy's "
            "workers ignore this.",
            unit=TIME,
        ),
    ] = None
    retention: Annotated[
        int | str | None,
        _asynq(
            "How long a completed task and its result are kept. runqy's workers ignore this: use --ttl-completed.",
        ),
    ] = None
    header: Annotated[
        tuple[str, ...],
        _asynq(
            "A header for every task; runqy's workers ignore headers. The option may be given several times; in the "
            "environment, one a line.",
            unit="NAME=VALUE",
        ),
    ] = ()
    unique_ttl: Annotated[
        int | str | None,
        _asynq("How long no second task with the same type, payload and queue is accepted; see --on-conflict."),
    ] = None
    process_at: Annotated[
        str | None,
        _asynq(
            "Run no task before this time. Until then, tasks wait in the scheduled set.",
            unit=TIME,
            goes_with=(*_TO_ASYNQ, Excludes("process_in", alternative=True)),
        ),
    ] = None
    process_in: Annotated[int | str | None, _asynq("The delay after loading before a task may run.")] = None
    ttl_completed: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a completed task is kept; 0 for ever.")
    ] = None
    ttl_archived: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a task that failed for good is kept; 0 for ever.")
    ] = None
    pending_timeout: Annotated[
        int | str | None,
        _asynq("For runqy's workers: how long a task may wait; 0 for no limit. Those of June 2026 do not observe it."),
    ] = None
    active_timeout: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a task may run; 0 for no limit.")
    ] = None

    redis: Annotated[
        str,
        shared.REDIS.but(
            help="Server: redis://, rediss:// or unix:// URL (also from REDIS_URL), or 'embedded' for the bundled "
            "Valkey. 'discard' writes nothing and shows the speed of this machine.",
            goes_with=(Excludes("to", hint=_REDIS_ONLY.hint, alternative=True),),
        ),
    ] = field(default_factory=shared.REDIS_URL)
    embedded_dir: Annotated[
        Path | None,
        Option(
            help="Directory for the embedded server's data. Without it, the data is deleted at the end of the run.",
            group=shared.SERVER,
            unit="DIR",
            goes_with=(_REDIS_ONLY, Needs("redis", EMBEDDED, hint="Give both, or neither")),
        ),
    ] = None
    queues_file: Annotated[Path | None, shared.QUEUES_FILE] = None
    queue_check: Annotated[Literal["none", "redis"], shared.QUEUE_CHECK.but(goes_with=(_REDIS_ONLY,))] = "none"
    force_layout: shared.ForceLayout = False
    force_queue: Annotated[bool, shared.FORCE_QUEUE.but(goes_with=(_REDIS_ONLY,))] = False
    force_schedule: Annotated[bool, shared.FORCE_SCHEDULE.but(goes_with=(_REDIS_ONLY,))] = False
    timeout: Annotated[
        float, shared.TIMEOUT.but(help=f"{shared.TIMEOUT.help} A task's own limit is --task-timeout.")
    ] = 30.0
    retry_for: Annotated[
        float | None,
        shared.RETRY_FOR.but(
            help=f"{shared.RETRY_FOR.help} If it is given, a server at its memory limit is waited for as well: workers "
            "may make room.",
            default_text="60s",
        ),
    ] = None
    force_memory: Annotated[
        bool,
        Option(
            help="Go on although the tasks do not fit below the server's maxmemory; see docs/doctor.md.",
            group=shared.SERVER,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = False
    stop_at_memory: Annotated[
        str | None,
        Option(
            help="Stop when the server's memory reaches this share of its maxmemory, such as 90%, or this many bytes. "
            "The same command goes on later.",
            group=shared.SERVER,
            unit="PERCENT|BYTES",
            rule=threshold_problem,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = None

    to: Annotated[
        str | None,
        Option(
            help="Send tasks through the HTTP API of the runqy server at this URL, such as http://localhost:3000, "
            "instead of writing to Redis. The guarantees are weaker then; see docs/http.md.",
            group=_HTTP,
            unit="URL",
        ),
    ] = None
    api_key_env: Annotated[str | None, shared.API_KEY_ENV.but(goes_with=(_HTTP_ONLY,))] = None
    http_mode: Annotated[
        Literal["batch", "single"],
        Option(
            help="'batch' sends --batch-size tasks in each request (POST /queue/add-batch), 'single' one task (POST "
            "/queue/add).",
            group=_HTTP,
            goes_with=(_HTTP_ONLY,),
        ),
    ] = "batch"
    http_connections: Annotated[
        int,
        Option(
            help="Requests in flight at a time, each over its own connection, which stays open.",
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
            help="File for the batches that the server has acknowledged. A resume needs it.",
            group=_HTTP,
            unit="FILE",
            writes=JOURNAL,
            goes_with=(_HTTP_ONLY,),
            default_text="JOB.journal",
        ),
    ] = None

    format: Annotated[
        str | None,
        Option(
            help="Format of all inputs: jsonl (JSON lines), json (each file is one task), json-array (each element of "
            "the array is a task) or json-concat (each value is a task, on one line or several), with .gz after it if "
            "they are gzipped.",
            group=_INPUT,
            short="-f",
            unit="FORMAT",
            default_text="from each file name; jsonl for '-'",
        ),
    ] = None
    force_format: Annotated[
        bool,
        Option(
            help="Load inputs although their content looks like something else than --format, or their names, say.",
            group=_INPUT,
        ),
    ] = False
    envelope: Annotated[
        bool,
        Option(
            help="Records are envelopes: objects with 'payload' and, optionally, id, queue, type, max_retry and other "
            "options.",
            group=_INPUT,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = False
    skip_bad_files: Annotated[
        bool,
        Option(
            help="Go on without files that cannot be read: missing, unreadable or damaged ones. The closing lines and "
            "the report name them, and the exit status is 3.",
            group=_INPUT,
        ),
    ] = False
    accept_any_json: Annotated[
        bool,
        Option(
            help="Load records that are JSON by RFC 8259 although consumers do not read them alike: with lone "
            'surrogates ("\\ud800"), numbers beyond a double (1e400), or over 1,024 levels; see docs/reference.md.',
            group=_INPUT,
            goes_with=(_REDIS_ONLY,),
        ),
    ] = False
    max_record_bytes: Annotated[
        int, Option(help="Records longer than this are rejected.", group=_INPUT, unit=BYTES, at_least=1)
    ] = 16 * 1024 * 1024

    require_final_newline: Annotated[
        bool,
        Option(
            help="Fail if the last line of an input has no line end: then the program that wrote it may have died. "
            "Without this option, such a line is loaded if it is valid JSON.",
            group=_INPUT,
        ),
    ] = False

    job: Annotated[str | None, shared.JOB_NAME] = None
    again: Annotated[
        bool,
        Option(
            help="Load input that another job has loaded into this queue before. Without this option, such a load is "
            "refused.",
            group=shared.JOB,
            goes_with=(Excludes("to", hint="Over HTTP, another --job name loads the same input again"),),
        ),
    ] = False
    rejects: Annotated[Path | None, shared.REJECTS] = None
    ids_out: Annotated[
        Path | None,
        Option(
            help="Write the id and the queue of every task that is in to this file, for runqy-loader wait. Each run "
            "writes the whole file again, including batches that were in already.",
            group=shared.JOB,
            unit="FILE",
            writes=IDS,
            goes_with=(
                Excludes("dry_run", hint="Without a task there is no id"),
                Excludes("redis", DISCARD, hint="Without a task there is no id"),
            ),
        ),
    ] = None
    max_errors: Annotated[int | str | None, shared.MAX_ERRORS] = None
    dry_run: Annotated[
        bool, Option(help="Read and validate everything, but write nothing to Redis.", group=shared.JOB)
    ] = False

    batch_size: Annotated[
        int | None,
        Option(
            help="Records in a batch. A resumed job goes on with the size with which it began. A batch also ends at "
            "1 MiB of input.",
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
            help="Processes that share the input, or 'auto' for one per processor. Use several if one cannot keep the "
            "server busy. A job may be resumed with another number.",
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
            help="Pipeline workers of each process, each with its own connection. One worker in one process keeps the "
            "exact order.",
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
        convert_values(self)

    def check(self, *, queue_needed: bool = True) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other.

        Args:
            queue_needed: Whether an option must give the queue.
        """
        check_declared(self)
        check_outputs([self])
        if self.defaults.needs_type and self.type is None and not self.envelope:
            raise UsageError("--profile asynq needs --type", "It is the pattern for which the worker has a handler")
        self.task_options  # noqa: B018 - raises UsageError if it is not valid
        if self.queue is not None:
            resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)
        elif queue_needed and self.queue_field is None and not self.envelope:
            raise UsageError("no queue given", "Give --queue NAME, or --queue-field FIELD to take it from each record")

    @property
    def target(self) -> Target:
        """The target of the tasks. With ``dry_run``, no tasks are sent to it."""
        from loader.wire.target import (
            ToDiscard,
            ToEmbedded,
            ToHttp,
            ToRedis,
        )  # this takes a millisecond that --help does not need

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
    def layout_name(self) -> LayoutName:
        """The layout of settled options. Raises RuntimeError if it is not chosen yet."""
        if self.layout == "auto":
            raise RuntimeError("the layout is not chosen yet: see loader.settings.settled")
        return self.layout

    @property
    def implied_layout(self) -> tuple[LayoutName, str] | None:
        """With layout ``auto``: the layout that another option needs, and that option; None if none needs one."""
        return implied(self, "layout") if self.layout == "auto" else None

    @property
    def layout_without_server(self) -> LayoutName:
        """The layout without a server, or on an empty one: given, needed by other options, or the guide's."""
        if self.layout != "auto":
            return self.layout
        return "documented" if (needed := self.implied_layout) is None else needed[0]

    @property
    def error_limit(self) -> ErrorLimit:
        """How many records may be rejected."""
        return error_limit(self.max_errors)

    @property
    def retry_seconds(self) -> float:
        """``retry_for``, or its default."""
        return _RETRY_SECONDS if self.retry_for is None else self.retry_for

    @property
    def waits_for_memory(self) -> bool:
        """Whether to wait for a server at its memory limit. By default, the load ends: workers may not make room."""
        return self.retry_for is not None

    @property
    def memory_threshold(self) -> MemoryThreshold | None:
        """Where ``stop_at_memory`` stops the load."""
        return None if self.stop_at_memory is None else MemoryThreshold.parse(self.stop_at_memory)

    @property
    def records_a_batch(self) -> int:
        """``batch_size``, or the target's default."""
        if self.batch_size is not None:
            return self.batch_size
        if self.to is None:
            return 1000
        return 100 if self.http_mode == "batch" else 1

    @property
    def defaults(self) -> Profile:
        """The defaults for options that are not given."""
        return profile_of(self.layout_without_server, self.profile)

    @property
    def task_options(self) -> TaskOptions:
        """The options of tasks whose records have no options of their own.

        Raises:
            UsageError: A duration, a time or a header is not valid.
        """
        headers = [header.partition("=") for header in self.header]
        for given, (name, equals, _) in zip(self.header, headers, strict=True):
            if not name or not equals:
                raise UsageError(f"--header {given!r} is not of the form NAME=VALUE")
        timeout, deadline = in_seconds(self, "task_timeout"), self._instant("deadline")
        retention = in_seconds(self, "retention")
        lifecycle: dict[str, Any] = {name: in_seconds(self, name) for name in LIFECYCLE}
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
            **lifecycle,
        )

    def _instant(self, name: str) -> int | None:
        value = getattr(self, name)
        try:
            return None if value is None else instant(value)
        except ValueError as error:
            raise UsageError(f"{flag_of(name)}: {error}") from error


def settled(options: LoadOptions, layout: LayoutName) -> LoadOptions:
    """The options with the layout that was chosen for them."""
    return options if options.layout == layout else replace(options, layout=layout)
