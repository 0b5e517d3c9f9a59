"""The options of ``runqy-loader serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.settings import DEFAULT_REDIS, DISCARD, EMBEDDED, LoadOptions
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import seconds

_HTTP = Group("HTTP", sort_key=1)
_TASKS = Group("Tasks", sort_key=2)
_TARGET = Group("Target", sort_key=3)
_LIMITS = Group("Limits", sort_key=4)

LONGEST_TIMEOUT = 2**31 - 1
"""Seconds: the most that a request may ask for as a task's timeout."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of the gateway. Field names are the long options of the command line with underscores."""

    host: Annotated[str, Parameter(group=_HTTP)] = "127.0.0.1"
    """Address to listen at."""

    port: Annotated[int, Parameter(group=_HTTP)] = 3000
    """Port to listen at; 0 for any that is free, which is then shown."""

    api_key_env: Annotated[str | None, Parameter(group=_HTTP)] = None
    """Name of the environment variable that holds the API keys, separated by commas."""

    no_auth: Annotated[bool, Parameter(group=_HTTP, show_default=False)] = False
    """Let everybody in. Without this, the gateway does not start without keys."""

    layout: Annotated[LayoutName, Parameter(group=_TASKS)] = "documented"
    """Redis keys to write: 'documented' is what runqy's enqueueing guide describes; 'asynq' is what runqy's workers
    since January 2026, and all of asynq's, read. See docs/layouts.md."""

    profile: Annotated[ProfileName | None, Parameter(group=_TASKS)] = None
    """With --layout asynq, whose defaults hold: runqy's or asynq's. Default: runqy."""

    type: Annotated[str | None, Parameter(group=_TASKS)] = None
    """Task type. Default: 'task' in the documented layout, else as the profile says."""

    max_retry: Annotated[int | None, Parameter(group=_TASKS)] = None
    """How often a worker may retry a task. Default: 3, with --profile asynq 25."""

    task_timeout: Annotated[int | str | None, Parameter(group=_TASKS)] = None
    """With --layout asynq, how long a task may run whose request says nothing: seconds, or such as 90s, 5m."""

    retention: Annotated[int | str | None, Parameter(group=_TASKS)] = None
    """With --layout asynq, how long a completed task and its result are kept."""

    redis: Annotated[str, Parameter(group=_TARGET, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL)."""

    queues_file: Annotated[Path | None, Parameter(group=_TARGET)] = None
    """Queues that exist: runqy's YAML file, or a directory of them. Others are answered with 404."""

    queue_check: Annotated[Literal["none", "redis"], Parameter(group=_TARGET)] = "none"
    """'redis' takes the queues in the server's set asynq:queues as those that exist."""

    force_layout: Annotated[bool, Parameter(group=_TARGET, show_default=False)] = False
    """Serve although the target seems to be used with another layout: 'I know'. See docs/doctor.md."""

    timeout: Annotated[float, Parameter(group=_TARGET)] = 10.0
    """Seconds without any reply after which a connection to Redis counts as lost."""

    max_body_bytes: Annotated[int, Parameter(group=_LIMITS)] = 16 * 1024 * 1024
    """Longer request bodies are answered with 413."""

    max_jobs: Annotated[int, Parameter(group=_LIMITS)] = 10_000
    """Requests with more jobs are answered with 413."""

    max_requests: Annotated[int, Parameter(group=_LIMITS)] = 512
    """Requests worked on at the same time; further ones are answered with 503."""

    max_buffered_bytes: Annotated[int, Parameter(group=_LIMITS)] = 256 * 1024 * 1024
    """Bytes of bodies held at the same time; further requests are answered with 503."""

    max_waiting: Annotated[int, Parameter(group=_LIMITS)] = 1000
    """GET requests with wait=true at the same time; further ones are answered with 503."""

    wait_timeout: Annotated[float, Parameter(group=_LIMITS)] = 30.0
    """Seconds that such a request waits at most."""

    body_timeout: Annotated[float, Parameter(group=_LIMITS)] = 30.0
    """Seconds within which a request's body must arrive."""

    shutdown_timeout: Annotated[float, Parameter(group=_LIMITS)] = 30.0
    """Seconds that requests in flight have to finish once the gateway is told to stop."""

    idempotency_ttl: Annotated[int | str, Parameter(group=_LIMITS)] = "24h"
    """How long an Idempotency-Key is remembered."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other."""
        for name in ("max_body_bytes", "max_jobs", "max_requests", "max_buffered_bytes", "max_waiting"):
            self._require(getattr(self, name) >= 1, name, "must be at least 1")
        for name in ("timeout", "wait_timeout", "body_timeout", "shutdown_timeout"):
            self._require(getattr(self, name) > 0, name, "must be above 0")
        self._require(0 <= self.port < 65_536, "port", "must be between 0 and 65535")
        self._require(
            self.max_buffered_bytes >= self.max_body_bytes, "max_buffered_bytes", "must not be below --max-body-bytes"
        )
        self._require(self.idempotency_seconds >= 1, "idempotency_ttl", "must be at least a second")
        if self.redis in (EMBEDDED, DISCARD):
            raise UsageError(f"--redis {self.redis} is for load only", "Give the URL of a server")
        if self.no_auth and self.api_key_env is not None:
            raise UsageError("--no-auth and --api-key-env contradict each other", "Give one of them")
        self.load_options().check()

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise UsageError(f"--{name.replace('_', '-')} {rule}, not {getattr(self, name)!r}")

    @property
    def idempotency_seconds(self) -> int:
        """Raises UsageError if it is not written as a duration."""
        try:
            return seconds(self.idempotency_ttl)
        except ValueError as error:
            raise UsageError(f"--idempotency-ttl: {error}") from error

    @property
    def defaults(self) -> Profile:
        """What holds where the options are silent."""
        return profile_of(self.layout, self.profile)

    def load_options(self, timeout: int = 0) -> LoadOptions:
        """The options of a load whose encoders write the gateway's tasks.

        Args:
            timeout: Seconds a task may run; 0 for what the options or the profile say. The documented layout has no
                place for it.
        """
        return LoadOptions(
            queue="any",
            layout=self.layout,
            profile=self.profile,
            type=self.type,
            max_retry=self.max_retry,
            task_timeout=timeout if timeout and self.layout == "asynq" else self.task_timeout,
            retention=self.retention,
        )
