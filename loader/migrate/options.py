"""Every option of a migration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import LoadOptions, shared
from loader.settings.check import check_declared
from loader.settings.option import COUNT, Option
from loader.settings.values import with_paths
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of

_FROM = "Source"
_TO = "Target"
_HOW = "How"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOptions:
    """Options of a migration. Field names are the long options of the command line with underscores."""

    from_queue: Annotated[
        str, shared.QUEUE.but(help="Queue to read; NAME alone means NAME.default, as in runqy.", group=_FROM, short="")
    ]
    from_layout: Annotated[LayoutName, shared.LAYOUT_TO_READ] = "documented"
    from_redis: Annotated[str, shared.REDIS.but(group=_FROM, env=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = (
        shared.DEFAULT_REDIS
    )
    to_queue: Annotated[
        str | None, shared.QUEUE.but(help="Queue to write.", group=_TO, short="", default_text="the same")
    ] = None
    to_layout: Annotated[
        LayoutName | None, Option(help="Redis keys to write.", group=_TO, default_text="the same layout")
    ] = None
    to_redis: Annotated[
        str | None, Option(help="Server to write to.", group=_TO, unit="URL", default_text="the same")
    ] = None
    profile: Annotated[
        ProfileName | None,
        Option(
            help="In layout asynq, whose rules hold for names and for what a source task leaves unsaid: runqy's or "
            "asynq's.",
            group=_TO,
            default_text="runqy",
        ),
    ] = None
    type: Annotated[
        str | None,
        shared.TYPE.but(
            help="Task type in the target.",
            group=_TO,
            default_text="the source's, but where that is only its layout's usual one, the target's usual one: 'task' "
            "in the documented layout, else the queue's name",
        ),
    ] = None
    force_layout: Annotated[bool, shared.FORCE_LAYOUT.but(group=_TO)] = False
    move: Annotated[
        bool,
        Option(
            help="Take each task from the source once it is in the target. Without this, tasks are copied.", group=_HOW
        ),
    ] = False
    on_conflict: Annotated[
        Literal["fail", "skip"],
        Option(
            help="A task whose id is a task in the target already, not by this job, or whose unique task is there: "
            "reject it and leave it in the source (fail), or count it as there already (skip), which with --move takes "
            "it from the source.",
            group=_HOW,
        ),
    ] = "fail"
    batch_size: Annotated[
        int,
        Option(
            help="Tasks a step; fewer where they are large.",
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
    rejects: Annotated[
        Path | None,
        shared.REJECTS.but(help="Where ids of rejected tasks go, as JSON lines. The file is made with the first one."),
    ] = None
    max_errors: Annotated[
        int | None,
        shared.MAX_ERRORS.but(help="Stop when more than this many tasks are rejected; 0 stops at the first."),
    ] = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        with_paths(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or options contradict each other."""
        check_declared(self)
        if self.profile == "asynq" and "asynq" not in (self.from_layout, self.target_layout):
            raise UsageError("--profile asynq needs layout asynq", "asynq's workers read no other layout")
        if self.target_profile.needs_type and self.type is None and self.from_layout == "documented":
            raise UsageError("--profile asynq needs --type", "It is the pattern under which the worker has its handler")
        self.target.check()
        self.source_queue  # noqa: B018 - raises what is wrong with it

    @property
    def target_layout(self) -> LayoutName:
        return self.to_layout or self.from_layout

    @property
    def target_profile(self) -> Profile:
        return profile_of(self.target_layout, self.profile)

    @property
    def source_queue(self) -> str:
        """Full name of the queue to read."""
        return resolve_queue(self.from_queue, sub_queues=profile_of(self.from_layout, self.profile).sub_queues)

    @property
    def target_queue(self) -> str:
        """Full name of the queue to write."""
        if self.to_queue is None:
            return self.source_queue
        return resolve_queue(self.to_queue, sub_queues=self.target_profile.sub_queues)

    @property
    def target(self) -> LoadOptions:
        """What a load into the target would be given."""
        asynq = self.target_layout == "asynq"
        return LoadOptions(
            queue=self.target_queue,
            layout=self.target_layout,
            profile=self.profile if asynq else None,
            # A source in this layout brings its own types.
            type=self.type or ("task" if self.target_profile.needs_type else None),
            force_layout=self.force_layout,
            timeout=self.timeout,
            retry_for=self.retry_for,
        )

    def manifest(self) -> dict[str, Any]:
        """All that must stay the same when a job goes on; see ``loader.jobs.job.Job``."""
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
        }

    def job_name(self, source: str, target: str) -> str:
        """The given name, or one derived from what is migrated.

        Args:
            source: Address and database of the source.
            target: Address and database of the target.
        """
        if self.job is not None:
            return self.job
        parts = repr((source, target, sorted(self.manifest().items())))
        return f"migrate-{hashlib.blake2b(parts.encode(), digest_size=6).hexdigest()}"
