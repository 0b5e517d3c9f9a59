"""Every option of an inspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.option import Excludes, Option

_WHAT = "What to show"
_JOB_ALONE = "--job shows a job alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """Options of an inspection. Field names are the long options of the command line with underscores."""

    queue: Annotated[
        str | None,
        shared.QUEUE.but(
            help="This queue only (NAME also finds NAME.default); with --task, where to look for it.", group=_WHAT
        ),
    ] = None
    job: Annotated[
        str | None,
        Option(
            help="One job in full.",
            group=_WHAT,
            short="-j",
            unit="NAME",
            goes_with=(
                Excludes("task", hint=_JOB_ALONE, alternative=True),
                Excludes("queue", hint=_JOB_ALONE, alternative=True),
            ),
        ),
    ] = None
    task: Annotated[str | None, Option(help="One task in full, by its id.", group=_WHAT, short="-t", unit="ID")] = None
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 10.0

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other."""
        check_declared(self)
