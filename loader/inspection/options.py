"""Every option of an inspection, with its default and its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.settings import DEFAULT_REDIS

_WHAT = Group("What to show", sort_key=1)
_SERVER = Group("Server", sort_key=2)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """Options of an inspection. Field names are the long options of the command line with underscores."""

    queue: Annotated[str | None, Parameter(group=_WHAT, name=("--queue", "-q"))] = None
    """This queue only (NAME also finds NAME.default); with --task, where to look for it."""

    job: Annotated[str | None, Parameter(group=_WHAT, name=("--job", "-j"))] = None
    """One job in full."""

    task: Annotated[str | None, Parameter(group=_WHAT, name=("--task", "-t"))] = None
    """One task in full, by its id."""

    redis: Annotated[str, Parameter(group=_SERVER, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL)."""

    timeout: Annotated[float, Parameter(group=_SERVER)] = 30.0
    """Seconds without any reply after which a connection counts as lost."""

    retry_for: Annotated[float, Parameter(group=_SERVER)] = 10.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried without progress."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other."""
        if self.timeout <= 0:
            raise UsageError(f"--timeout must be above 0, not {self.timeout!r}")
        if self.retry_for < 0:
            raise UsageError(f"--retry-for must not be negative, not {self.retry_for!r}")
        if self.job is not None and (self.task is not None or self.queue is not None):
            raise UsageError("--job shows a job alone", "Leave out --queue and --task")
