"""Every option of waiting for results, for the API and the CLI alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import DEFAULT_REDIS, is_job_name
from loader.tasks.profiles import LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import seconds

_TASKS = Group("Tasks", sort_key=1)
_OUT = Group("Output", sort_key=2)
_TARGET = Group("Server", sort_key=3)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """Options of waiting. Field names are the long options of the command line with underscores."""

    ids: Annotated[Path | None, Parameter(group=_TASKS, allow_leading_hyphen=True)] = None
    """File with the ids to wait for, as a load's --ids-out writes it, or one a line: ID, ID <tab> QUEUE, or
    {"id": …, "queue": …}; '-' for standard input."""

    job: Annotated[str | None, Parameter(group=_TASKS, name=("--job", "-j"))] = None
    """Wait for the tasks of this job, which must have been loaded with --ids-out, on this host."""

    queue: Annotated[str | None, Parameter(group=_TASKS, name=("--queue", "-q"))] = None
    """Queue of ids that come without one. Only the asynq layout needs it, and only where asynq:t:<id> does not tell."""

    layout: Annotated[LayoutName | None, Parameter(group=_TASKS)] = None
    """Redis keys to read. Default: as the ids file or the job says, else documented."""

    profile: Annotated[ProfileName | None, Parameter(group=_TASKS)] = None
    """With --layout asynq, whose queue names --queue follows: runqy's (NAME means NAME.default) or asynq's."""

    timeout: Annotated[float | str | None, Parameter(group=_TASKS)] = None
    """Stop waiting after so long: seconds, or such as 90s, 5m, 1h30m; 0 looks once. Default: wait until all are
    done."""

    out: Annotated[Path | None, Parameter(group=_OUT, allow_leading_hyphen=True)] = None
    """Append results to this file as they come, as JSON lines, and wait for no id that is in it already; '-' for
    standard output."""

    missing: Annotated[Path | None, Parameter(group=_OUT)] = None
    """Where to list the tasks that are not done at the end. Default: OUT.missing.jsonl; with --out -, they follow
    there."""

    redis: Annotated[str, Parameter(group=_TARGET, env_var=("RUNQY_LOADER_REDIS", "REDIS_URL"))] = DEFAULT_REDIS
    """Server: redis://, rediss:// or unix:// URL (also from REDIS_URL)."""

    reply_timeout: Annotated[float, Parameter(group=_TARGET)] = 30.0
    """Seconds without any reply after which a connection counts as lost."""

    retry_for: Annotated[float, Parameter(group=_TARGET)] = 60.0
    """Seconds for which a lost connection, a timeout, LOADING and BUSY are retried."""

    def check(self) -> None:
        """Raises UsageError if a value is out of range, or two options contradict each other."""
        if self.job is not None and not is_job_name(self.job):
            raise UsageError("--job may hold letters, digits, '.', '_' and '-' only, at most 100")
        if self.profile == "asynq" and self.layout == "documented":
            raise UsageError("--profile asynq needs --layout asynq", "asynq's workers read no other layout")
        if self.reply_timeout <= 0:
            raise UsageError(f"--reply-timeout must be above 0, not {self.reply_timeout!r}")
        if self.retry_for < 0:
            raise UsageError(f"--retry-for must not be negative, not {self.retry_for!r}")
        self.timeout_seconds  # noqa: B018 - raises what is wrong with it
        self.default_queue  # noqa: B018 - as above

    @property
    def timeout_seconds(self) -> float | None:
        """``timeout`` in seconds; None to wait for all.

        Raises:
            UsageError: It is no duration.
        """
        if self.timeout is None:
            return None
        try:
            value = float(self.timeout)
            if value < 0 or value != value:
                raise UsageError(f"--timeout must not be negative, not {self.timeout!r}")
        except ValueError:
            try:
                value = seconds(str(self.timeout))
            except ValueError as error:
                raise UsageError(f"--timeout: {error}") from error
        return value

    @property
    def default_queue(self) -> str | None:
        """The full name of ``queue``."""
        rules: Profile = profile_of("asynq", self.profile)
        return None if self.queue is None else resolve_queue(self.queue, sub_queues=rules.sub_queues)
