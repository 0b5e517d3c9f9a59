"""Every option of a migration, with its default and its help."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import DEFAULT_REDIS, LoadOptions, is_job_name
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of

_FROM = Group("Source", sort_key=1)
_TO = Group("Target", sort_key=2)
_HOW = Group("How", sort_key=3)
_JOB = Group("Job and failures", sort_key=4)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOptions:
    """Options of a migration. Field names are the long options of the command line with underscores."""

    from_queue: Annotated[str, Parameter(group=_FROM)]
    """Queue to read; NAME alone means NAME.default, as in runqy."""

    from_layout: Annotated[LayoutName, Parameter(group=_FROM)] = "documented"
    """Redis keys that hold it: 'documented' is runqy's enqueueing guide; 'asynq' is asynq's workers, and runqy's since
    January 2026."""

    from_redis: Annotated[
        str, Parameter(group=_FROM, env_var=("RUNQY_LOADER_FROM_REDIS", "RUNQY_LOADER_REDIS", "REDIS_URL"))
    ] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL)."""

    to_queue: Annotated[str | None, Parameter(group=_TO)] = None
    """Queue to write. Default: the same."""

    to_layout: Annotated[LayoutName | None, Parameter(group=_TO)] = None
    """Redis keys to write. Default: the same layout."""

    to_redis: Annotated[str | None, Parameter(group=_TO)] = None
    """Server to write to. Default: the same."""

    profile: Annotated[ProfileName | None, Parameter(group=_TO)] = None
    """In layout asynq, whose rules hold for names and for what a source task leaves unsaid: runqy's or asynq's.
    Default: runqy."""

    type: Annotated[str | None, Parameter(group=_TO)] = None
    """Task type in the target. Default: the source's, but where that is only its layout's usual one, the target's usual
    one: 'task' in the documented layout, else the queue's name."""

    force_layout: Annotated[bool, Parameter(group=_TO, negative="", show_default=False)] = False
    """Migrate although the target queue seems to be used with another layout: 'I know'. See docs/doctor.md."""

    move: Annotated[bool, Parameter(group=_HOW, negative="", show_default=False)] = False
    """Take each task from the source once it is in the target. Without this, tasks are copied."""

    on_conflict: Annotated[Literal["fail", "skip"], Parameter(group=_HOW)] = "fail"
    """A task whose id is a task in the target already, not by this job, or whose unique task is there: reject it and
    leave it in the source (fail), or count it as there already (skip), which with --move takes it from the source."""

    batch_size: Annotated[int, Parameter(group=_HOW, name=("--batch-size", "-b"))] = 1000
    """Tasks a step; fewer where they are large."""

    job: Annotated[str | None, Parameter(group=_JOB, name=("--job", "-j"))] = None
    """Name of the job; the same job never migrates a task twice. Else derived from source and target."""

    rejects: Annotated[Path | None, Parameter(group=_JOB)] = None
    """Where ids of rejected tasks go, as JSON lines. Default: JOB.rejects.jsonl, made with the first one."""

    max_errors: Annotated[int | None, Parameter(group=_JOB)] = None
    """Stop when more than this many tasks are rejected; 0 stops at the first."""

    timeout: Annotated[float, Parameter(group=_JOB)] = 30.0
    """Seconds without any reply after which a connection counts as lost."""

    retry_for: Annotated[float, Parameter(group=_JOB)] = 60.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried without progress."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or options contradict each other."""
        self._require(1 <= self.batch_size <= 5000, "batch_size", "must be between 1 and 5000")
        self._require(self.timeout > 0, "timeout", "must be above 0")
        self._require(self.retry_for >= 0, "retry_for", "must not be negative")
        self._require(self.max_errors is None or self.max_errors >= 0, "max_errors", "must not be negative")
        if self.job is not None:
            self._require(is_job_name(self.job), "job", "may hold letters, digits, '.', '_' and '-' only, at most 100")
        if self.profile == "asynq" and "asynq" not in (self.from_layout, self.target_layout):
            raise UsageError("--profile asynq needs layout asynq", "asynq's workers read no other layout")
        if self.target_profile.needs_type and self.type is None and self.from_layout == "documented":
            raise UsageError("--profile asynq needs --type", "It is the pattern under which the worker has its handler")
        self.target.check()
        self.source_queue  # noqa: B018 - raises what is wrong with it

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise UsageError(f"--{name.replace('_', '-')} {rule}, not {getattr(self, name)!r}")

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
