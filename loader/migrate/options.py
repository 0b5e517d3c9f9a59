"""Every option of a migration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from loader.errors import LoaderError, QueueNameError, UsageError
from loader.queues.names import resolve_queue
from loader.settings import LoadOptions, shared
from loader.settings.check import check_declared
from loader.settings.keep import KEEP_JOB
from loader.settings.option import COUNT, EXPRESSION, Excludes, Needs, Option
from loader.settings.values import convert_values
from loader.settings.wording import renamed
from loader.shaping.settle import check_expression, read_template
from loader.tasks.profiles import LayoutChoice, LayoutName, Profile, ProfileName, profile_of

SystemName = Literal["arq", "bee-queue", "bullmq", "celery", "dramatiq", "huey", "rq", "saq", "sidekiq", "taskiq"]
"""Systems by the names that ``loader.foreign.registry`` knows."""

_FROM = "Source"
_TO = "Target"
_HOW = "How"


@contextmanager
def target_options_named() -> Iterator[None]:
    """Has errors of the checks of a load into the target name the options of a migration."""
    try:
        yield
    except LoaderError as error:
        error.args, error.hint = (renamed(str(error.args[0]), _OF_TARGET),), renamed(error.hint, _OF_TARGET)
        raise


_ITS_SERVER = "It is the password of that server"

_OF_TARGET = {"queue": "to-queue", "layout": "to-layout", "redis": "to-redis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOptions:
    """Options of a migration. Field names are the long options of the command line with underscores."""

    from_queue: Annotated[
        str, shared.QUEUE.but(help="Queue to read; NAME alone means NAME.default, as in runqy.", group=_FROM, short="")
    ]
    from_system: Annotated[
        SystemName | None,
        Option(
            help="Read the jobs that wait in a queue of another system, which is only read: bee-queue, bullmq, celery, "
            "dramatiq, rq, saq, sidekiq, taskiq; see docs/other-systems.md. arq and huey are refused, because their "
            "jobs are pickles.",
            group=_FROM,
            unit="SYSTEM",
            goes_with=(
                Excludes("from_layout", hint="--from-layout is for runqy's and asynq's queues"),
                Excludes("move", hint="Jobs of another system are only read. Empty the queue with that system's tools"),
            ),
            default_text="runqy or asynq",
        ),
    ] = None
    from_prefix: Annotated[
        str | None,
        Option(
            help="What the keys of that system begin with.",
            group=_FROM,
            goes_with=(Needs("from_system"),),
            default_text="the system's own default",
        ),
    ] = None
    unacked: Annotated[
        bool,
        Option(
            help="Also read jobs that workers have taken and not confirmed (Celery, taskiq's streams). They may be "
            "running now.",
            group=_FROM,
            goes_with=(Needs("from_system"),),
        ),
    ] = False
    from_layout: Annotated[LayoutChoice, shared.LAYOUT_TO_READ] = "auto"
    from_redis: Annotated[str, shared.REDIS.but(group=_FROM, env=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = (
        shared.DEFAULT_REDIS
    )
    from_redis_password_file: Annotated[
        Path | None,
        shared.REDIS_PASSWORD_FILE.but(
            group=_FROM,
            goes_with=(Excludes("from_redis_password_command"),),
        ),
    ] = None
    from_redis_password_command: Annotated[
        str | None,
        shared.REDIS_PASSWORD_COMMAND.but(group=_FROM),
    ] = None
    to_queue: Annotated[
        str | None, shared.QUEUE.but(help="Queue to write.", group=_TO, short="", default_text="the same")
    ] = None
    to_layout: Annotated[
        LayoutName | None,
        Option(
            help="Redis keys to write.",
            group=_TO,
            default_text="the same layout; for jobs of another system, by the use of the target",
        ),
    ] = None
    to_redis: Annotated[
        str | None, Option(help="Server to write to.", group=_TO, unit="URL", default_text="the same")
    ] = None
    to_redis_password_file: Annotated[
        Path | None,
        Option(
            help="File whose first line is the password of the server to write to.",
            group=_TO,
            unit="FILE",
            goes_with=(Needs("to_redis", hint=_ITS_SERVER), Excludes("to_redis_password_command")),
        ),
    ] = None
    to_redis_password_command: Annotated[
        str | None,
        Option(
            help="Command that prints that password.",
            group=_TO,
            unit="COMMAND",
            goes_with=(Needs("to_redis", hint=_ITS_SERVER),),
        ),
    ] = None
    payload: Annotated[
        Literal["args", "envelope", "template"],
        Option(
            help="What becomes the payload of a job of another system: the arguments of its function; all that the "
            "system keeps of it, as one JSON object; or what --select or --payload-template makes of both.",
            group=_TO,
            goes_with=(Needs("from_system"),),
        ),
    ] = "args"
    select: Annotated[
        str | None,
        Option(
            help="With --payload template: make the payload by this expression (JMESPath), which sees an object with "
            "id, name, arguments and job.",
            group=_TO,
            unit=EXPRESSION,
            goes_with=(Needs("from_system"),),
        ),
    ] = None
    payload_template: Annotated[
        Path | None,
        Option(
            help="As --select, with the expression in this file, on any number of lines.",
            group=_TO,
            unit="FILE",
            goes_with=(Needs("from_system"), Excludes("select")),
        ),
    ] = None
    force_schedule: Annotated[bool, shared.FORCE_SCHEDULE.but(group=_TO, goes_with=(Needs("from_system"),))] = False
    profile: Annotated[
        ProfileName | None,
        Option(
            help="In layout asynq, whose rules apply to names and to options that a source task does not have: runqy's "
            "or asynq's.",
            group=_TO,
            default_text="runqy",
        ),
    ] = None
    type: Annotated[
        str | None,
        shared.TYPE.but(
            help="Task type in the target.",
            group=_TO,
            default_text="the source's type. If this is the default of the source's layout, the target's default: "
            "'task' in the documented layout, else the queue's name",
        ),
    ] = None
    force_layout: Annotated[bool, shared.FORCE_LAYOUT.but(group=_TO)] = False
    compact: Annotated[shared.CompactMode, shared.COMPACT.but(group=_TO)] = "auto"
    move: Annotated[
        bool,
        Option(
            help="Remove each task from the source when it is in the target. Without this option, tasks are copied.",
            group=_HOW,
        ),
    ] = False
    on_conflict: Annotated[
        Literal["fail", "skip"],
        Option(
            help="If the id of a task is already a task in the target, not placed by this job, or its unique task is "
            "there: reject it and leave it in the source (fail), or count it as already there (skip). With --move, a "
            "skipped task is removed from the source.",
            group=_HOW,
        ),
    ] = "fail"
    batch_size: Annotated[
        int,
        Option(
            help="Tasks in each step; fewer if they are large.",
            group=_HOW,
            short="-b",
            unit=COUNT,
            at_least=1,
            at_most=5000,
        ),
    ] = 1000
    job: Annotated[
        str | None,
        shared.JOB_NAME.but(
            help="Name of the job; the same job never migrates a task twice.",
            default_text="derived from source and target",
        ),
    ] = None
    keep_job: Annotated[
        str,
        shared.KEEP_JOB.but(
            help="How long the record of the job is kept after a run has come to its end: a duration, or 'forever'. "
            "With it, the same migration places no task a second time.",
            group=_HOW,
        ),
    ] = KEEP_JOB
    rejects: Annotated[
        Path | None,
        shared.REJECTS.but(
            help="File for the ids of rejected tasks, as JSON lines. It is created for the first rejected task."
        ),
    ] = None
    max_errors: Annotated[
        int | str | None,
        shared.MAX_ERRORS.but(
            help="Stop when more than this many tasks are rejected (100; 0 stops at the first) or more than this share "
            "(5%, judged from 1,000 tasks on and at the end).",
            default_text="none: no limit",
        ),
    ] = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if the value of an option is not valid, or options contradict each other.

        If the source's keys must tell its layout, the options must be valid for one of the layouts.
        """
        check_declared(self)
        if self.from_system is not None:
            self._check_target_of_jobs()
            return
        if self.from_layout == "auto":
            try:
                replace(self, from_layout="documented").check()
            except UsageError:
                replace(self, from_layout="asynq").check()
            return
        if self.profile == "asynq" and "asynq" not in (self.from_layout, self.target_layout):
            raise UsageError("--profile asynq needs layout asynq", "asynq's workers read no other layout")
        if self.target_profile.needs_type and self.type is None and self.from_layout == "documented":
            raise UsageError("--profile asynq needs --type", "It is the pattern for which the worker has a handler")
        for option, name in (("--from-queue", "source_queue"), ("--to-queue", "target_queue")):
            try:
                getattr(self, name)
            except QueueNameError as error:
                raise QueueNameError(f"{option}: {error.args[0]}", error.hint) from None
        with target_options_named():
            self.target.check()

    def _check_target_of_jobs(self) -> None:
        """``check`` for jobs of another system, whose names are the types of their tasks."""
        from loader.foreign.registry import system_of  # most migrations need none
        from loader.foreign.system import Where

        system_of(self.from_system or "", Where(self.from_queue))
        if self.unacked and self.from_system not in ("celery", "taskiq"):
            raise UsageError(f"--unacked is for celery and taskiq, not {self.from_system}", "Leave it out")
        has_template = self.select is not None or self.payload_template is not None
        if (self.payload == "template") is not has_template:
            raise UsageError(
                "--payload template and --select EXPRESSION (or --payload-template FILE) need each other",
                "Give both, or neither",
            )
        if self.to_layout is None:
            try:
                replace(self, to_layout="documented").check()
            except UsageError:
                replace(self, to_layout="asynq").check()
            return
        if self.profile == "asynq" and self.to_layout != "asynq":
            raise UsageError("--profile asynq needs --to-layout asynq", "asynq's workers read no other layout")
        try:
            resolve_queue(self.to_queue or self.from_queue, sub_queues=self.target_profile.sub_queues)
        except QueueNameError as error:
            name = "--from-queue" if self.to_queue is None else "--to-queue"
            raise QueueNameError(f"{name}: {error.args[0]}", f"{error.hint}; --to-queue names the target") from None
        with target_options_named():
            self.target.check()

    @property
    def source_layout(self) -> LayoutName:
        """The layout to read.

        Raises:
            RuntimeError: It is not chosen yet.
        """
        if self.from_layout == "auto":
            raise RuntimeError("the layout of the source is not chosen yet")
        return self.from_layout

    @property
    def target_layout(self) -> LayoutName:
        """The layout to write. Raises RuntimeError if it is not chosen yet."""
        return self.to_layout or self.source_layout

    @property
    def target_profile(self) -> Profile:
        return profile_of(self.target_layout, self.profile)

    @property
    def source_queue(self) -> str:
        """Full name of the queue to read. A queue of another system has the name that was given."""
        if self.from_system is not None:
            return self.from_queue
        return resolve_queue(self.from_queue, sub_queues=profile_of(self.source_layout, self.profile).sub_queues)

    @property
    def target_queue(self) -> str:
        """Full name of the queue to write."""
        if self.to_queue is None and self.from_system is None:
            return self.source_queue
        return resolve_queue(self.to_queue or self.from_queue, sub_queues=self.target_profile.sub_queues)

    @property
    def target(self) -> LoadOptions:
        """The options of a load into the target."""
        asynq = self.target_layout == "asynq"
        return LoadOptions(
            queue=self.target_queue,
            layout=self.target_layout,
            profile=self.profile if asynq else None,
            # A source in this layout has its own types.
            type=self.type or ("task" if self.target_profile.needs_type else None),
            force_layout=self.force_layout,
            force_schedule=self.force_schedule,
            compact=self.compact,
            timeout=self.timeout,
            retry_for=self.retry_for,
        )

    def manifest(self) -> dict[str, Any]:
        """Everything that must stay the same when a job is resumed; see ``loader.jobs.job.Job``."""
        return {
            "command": "migrate",
            "move": self.move,
            "from_layout": self.from_layout,
            "from_queue": self.source_queue,
            "to_layout": self.target_layout,
            "to_queue": self.target_queue,
            "profile": self.profile or ("runqy" if "asynq" in (self.from_layout, self.target_layout) else None),
            "type": self.type,
            "tasks": {},
            "sources": [],
            **self._of_system(),
        }

    def _of_system(self) -> dict[str, Any]:
        """What the manifest has of another system."""
        if self.from_system is None:
            return {}
        names = ("from_system", "from_prefix", "payload", *(["select"] if self.select is not None else []))
        return {name: getattr(self, name) for name in names}

    def settled(self) -> MigrateOptions:
        """The same with the template's expression in ``select``, which is valid.

        Raises:
            UsageError: It is not, the template cannot be read, or JMESPath is not installed.
        """
        if self.select is not None:
            check_expression("--select", self.select)
        if self.payload_template is None:
            return self
        return replace(self, select=read_template(self.payload_template), payload_template=None)

    def job_name(self, source: str, target: str) -> str:
        """The given name, or a name derived from the source, the target and the manifest.

        Args:
            source: Address and database of the source.
            target: Address and database of the target.
        """
        if self.job is not None:
            return self.job
        manifest = self.manifest() if self.from_layout != "auto" else self._as_given()
        parts = repr((source, target, sorted(manifest.items())))
        return f"migrate-{hashlib.blake2b(parts.encode(), digest_size=6).hexdigest()}"

    def _as_given(self) -> dict[str, Any]:
        """What names a job before its layout is chosen. A resume has the same name, whatever the keys tell by then.

        For jobs of another system, the layout to write is chosen too. So it names nothing: a run that gives the layout
        goes on with the job of a run that has left it open, and is refused if it gives the other one.
        """
        names = ["move", "from_layout", "from_queue", "to_queue", "profile", "type"]
        names += ["to_layout"] if self.from_system is None else []
        return {name: getattr(self, name) or "" for name in names} | self._of_system()
