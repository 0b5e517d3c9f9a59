"""Every option of an export, with its default and its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import DEFAULT_REDIS
from loader.tasks.profiles import LayoutName, ProfileName, profile_of

_FROM = Group("Source", sort_key=1)
_OUT = Group("Output", sort_key=2)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Options of an export. Field names are the long options of the command line with underscores."""

    queue: Annotated[str, Parameter(group=_FROM, name=("--queue", "-q"))]
    """Queue to read; NAME alone means NAME.default, as in runqy."""

    layout: Annotated[LayoutName, Parameter(group=_FROM)] = "documented"
    """Redis keys that hold it: 'documented' is runqy's enqueueing guide; 'asynq' is asynq's workers, and runqy's since
    January 2026."""

    profile: Annotated[ProfileName | None, Parameter(group=_FROM)] = None
    """With --layout asynq: 'asynq' takes the queue's name as it is."""

    by: Annotated[Literal["list", "scan"], Parameter(group=_FROM)] = "list"
    """'list' exports what the pending list names, in the order in which workers would take it; 'scan' looks for the
    tasks' own keys, in no order, for tasks whose list is lost."""

    redis: Annotated[str, Parameter(group=_FROM, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL)."""

    timeout: Annotated[float, Parameter(group=_FROM)] = 30.0
    """Seconds without any reply after which a connection counts as lost."""

    retry_for: Annotated[float, Parameter(group=_FROM)] = 60.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried without progress."""

    format: Annotated[Literal["envelope", "payload"], Parameter(group=_OUT, name=("--format", "-f"))] = "envelope"
    """'envelope' writes id, queue and options around each payload, for load --envelope; 'payload' the payload alone,
    one a line."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other."""
        if self.timeout <= 0:
            raise UsageError(f"--timeout must be above 0, not {self.timeout!r}")
        if self.retry_for < 0:
            raise UsageError(f"--retry-for must not be negative, not {self.retry_for!r}")
        if self.layout == "documented" and self.profile == "asynq":
            raise UsageError("--profile asynq needs --layout asynq", "asynq's workers read no other layout")
        self.full_queue  # noqa: B018 - raises what is wrong with it

    @property
    def full_queue(self) -> str:
        """The full name of ``queue``."""
        return resolve_queue(self.queue, sub_queues=profile_of(self.layout, self.profile).sub_queues)
