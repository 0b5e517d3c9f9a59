"""Every option of a load."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from loader.errors import UsageError
from loader.outputs.names import IDS, JOURNAL
from loader.outputs.place import place_of, place_problem
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared, check_outputs
from loader.settings.engine_fields import EngineFields
from loader.settings.error_limit import ErrorLimit, error_limit
from loader.settings.keep import KEEP_JOB
from loader.settings.load_tasks import REDIS_ONLY
from loader.settings.memory import MemoryThreshold, threshold_problem
from loader.settings.option import BYTES, COUNT, Excludes, Needs, Option, flag_of
from loader.settings.sql_fields import from_variable
from loader.settings.values import convert_values
from loader.tasks.profiles import LayoutName

if TYPE_CHECKING:
    from loader.wire.target import Target

EMBEDDED = "embedded"
DISCARD = "discard"
_RETRY_SECONDS = 60.0

_HTTP = "HTTP"
_INPUT = "Input"
_SPEED = "Throughput"

_PLACE = (
    "With --engine dask, a folder (with / at its end) or s3://BUCKET/PREFIX/ may be given instead: workers write one "
    "file a shard there."
)
_HTTP_ONLY = Needs("to", hint="See docs/http.md")
_KEPT = (REDIS_ONLY, Excludes("redis", DISCARD, hint="Nothing is written there"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions(EngineFields):
    """Options of a load. Field names are the long options of the command line with underscores."""

    redis: Annotated[
        str,
        shared.REDIS.but(
            help="Server: redis://, rediss:// or unix:// URL, or redis+sentinel:// for one that Sentinel watches (also "
            "from REDIS_URL); see docs/servers.md. 'embedded' is the bundled Valkey; 'discard' writes nothing and "
            "shows the speed of this machine.",
            goes_with=(Excludes("to", hint=REDIS_ONLY.hint, alternative=True),),
        ),
    ] = field(default_factory=shared.REDIS_URL)
    redis_password_file: Annotated[
        Path | None,
        shared.REDIS_PASSWORD_FILE.but(goes_with=(REDIS_ONLY, *shared.REDIS_PASSWORD_FILE.goes_with)),
    ] = None
    redis_password_command: Annotated[str | None, shared.REDIS_PASSWORD_COMMAND.but(goes_with=(REDIS_ONLY,))] = None
    embedded_dir: Annotated[
        Path | None,
        Option(
            help="Directory for the embedded server's data. Without it, the data is deleted at the end of the run.",
            group=shared.SERVER,
            unit="DIR",
            goes_with=(REDIS_ONLY, Needs("redis", EMBEDDED, hint="Give both, or neither")),
        ),
    ] = None
    queues_file: Annotated[Path | None, shared.QUEUES_FILE] = None
    queue_check: Annotated[Literal["none", "redis"], shared.QUEUE_CHECK.but(goes_with=(REDIS_ONLY,))] = "none"
    force_layout: shared.ForceLayout = False
    force_queue: Annotated[bool, shared.FORCE_QUEUE.but(goes_with=(REDIS_ONLY,))] = False
    force_schedule: Annotated[bool, shared.FORCE_SCHEDULE.but(goes_with=(REDIS_ONLY,))] = False
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
            goes_with=(REDIS_ONLY,),
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
            goes_with=(REDIS_ONLY,),
        ),
    ] = None

    wait_replicas: Annotated[
        int,
        Option(
            help="Count a batch as loaded only when this many replicas have it (WAIT); with --wait-fsync, when they "
            "have it on disk.",
            group=shared.SERVER,
            unit=COUNT,
            at_least=0,
            goes_with=_KEPT,
        ),
    ] = 0
    wait_fsync: Annotated[
        bool,
        Option(
            help="Count a batch as loaded only when the server has it on disk (WAITAOF; needs Redis 7.2 or newer, or "
            "Valkey, and appendonly yes).",
            group=shared.SERVER,
            goes_with=_KEPT,
        ),
    ] = False
    max_replica_lag: Annotated[
        int | None,
        Option(
            help="Pause while a replica is more bytes than this behind. Replicas report once a second, so give at "
            "least what is written in a second, such as 100000000.",
            group=shared.SERVER,
            unit=BYTES,
            at_least=1,
            default_text="no limit",
            goes_with=_KEPT,
        ),
    ] = None

    compact: Annotated[shared.CompactMode, shared.COMPACT.but(goes_with=(REDIS_ONLY,))] = "auto"

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
            "the array is a task), json-concat (each value is a task, on one line or several), csv or tsv (each row is "
            "a task), tar or zip (their members are read as their names say), with .gz, .zst, .xz, .bz2, .lz4 or .sz "
            "after it if they are compressed; parquet, arrow or feather.",
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
            goes_with=(REDIS_ONLY,),
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
            goes_with=(REDIS_ONLY,),
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
    keep_job: Annotated[
        str,
        shared.KEEP_JOB.but(goes_with=(Excludes("to", hint="Over HTTP, the journal is the job's record"),)),
    ] = KEEP_JOB
    rejects: Annotated[
        Path | str | None,
        shared.REJECTS.but(help=f"{shared.REJECTS.help} {_PLACE}", rule=place_problem),
    ] = None
    ids_out: Annotated[
        Path | str | None,
        Option(
            help="Write the id and the queue of every task that is in to this file, for runqy-loader wait. Each run "
            "writes the whole file again, including batches that were in already. With --engine dask, a folder or a "
            "bucket may be given as for --rejects.",
            group=shared.JOB,
            unit="FILE",
            writes=IDS,
            rule=place_problem,
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
            default_text="1000; with --to 100, and 1 with --http-mode single; with a rate, a thousandth of it at most",
        ),
    ] = None
    processes: Annotated[
        int | Literal["auto"],
        Option(
            help="Processes that share the input. 'auto' is one; up to 4 for files of JSON lines or Parquet from 128 "
            "MiB on, if there are at least 4 processors and several workers. A job may be resumed with another number.",
            group=_SPEED,
            short="-p",
            unit="COUNT|auto",
            at_least=1,
            at_most=256,
            goes_with=(REDIS_ONLY,),
        ),
    ] = "auto"
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
        self._check_places()
        if self.defaults.needs_type and self.type is None and not self.envelope:
            raise UsageError("--profile asynq needs --type", "It is the pattern for which the worker has a handler")
        self.task_options  # noqa: B018 - raises UsageError if it is not valid
        self.tables  # noqa: B018 - the same
        self.rates  # noqa: B018 - the same
        self.check_query()
        if self.from_ is not None and not self.is_query and not from_variable(self.from_):
            raise UsageError("--from names a database, and there is no query", "Give --sql or --sql-file as well")
        if self.queue is not None:
            resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)
        elif queue_needed and not self.records_name_queues:
            raise UsageError(
                "no queue given",
                "Give --queue NAME, or --queue-field FIELD to take it from each record (or --queue-from)",
            )

    def _check_places(self) -> None:
        for name in ("rejects", "ids_out"):
            if (place := place_of(getattr(self, name))) is not None and self.engine != "dask":
                raise UsageError(
                    f"{flag_of(name)} {place} is a place for one file a shard, which only --engine dask writes",
                    "Name one file",
                )

    @property
    def own_ids(self) -> str | None:
        """The option by which ids come from the records, as a flag; None if they are generated."""
        return next((flag_of(name) for name in ("envelope", "id_field", "id_from") if getattr(self, name)), None)

    @property
    def records_name_queues(self) -> bool:
        """Whether records may name their queues."""
        return self.queue_field is not None or self.queue_from is not None or self.envelope

    @property
    def target(self) -> "Target":
        """The target of the tasks. With ``dry_run``, no tasks are sent to it."""
        # This import takes a millisecond that --help does not need.
        from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis

        if self.to is not None:
            return ToHttp(self.to)
        if self.redis == EMBEDDED:
            return ToEmbedded(self.embedded_dir)
        return ToDiscard() if self.redis == DISCARD else ToRedis(self.redis)

    @property
    def writes_nothing(self) -> bool:
        """Whether no task is written or sent anywhere: a dry run, or a preview."""
        return self.dry_run or self.preview is not None

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
        return self.retry_for is not None or self.memory_headroom is not None

    @property
    def memory_threshold(self) -> MemoryThreshold | None:
        """Where ``stop_at_memory`` stops the load."""
        return None if self.stop_at_memory is None else MemoryThreshold.parse(self.stop_at_memory)

    @property
    def records_a_batch(self) -> int:
        """``batch_size``, or the default of the target, the pace and the limits."""
        if self.batch_size is not None:
            return self.batch_size
        return min(most for most in (self.unpaced_batch, self.paced_batch, self.limited_batch) if most is not None)

    @property
    def unpaced_batch(self) -> int:
        """``batch_size``, or the target's default."""
        if self.batch_size is not None:
            return self.batch_size
        if self.to is None:
            return 1000
        return 100 if self.http_mode == "batch" else 1


def settled(options: LoadOptions, layout: LayoutName) -> LoadOptions:
    """The options with the layout that was chosen for them."""
    return options if options.layout == layout else replace(options, layout=layout)
