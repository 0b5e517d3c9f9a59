"""Every option of a rollback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.keep import KEEP_JOB
from loader.settings.option import Option
from loader.settings.values import convert_values


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOptions:
    """Options of a rollback. Field names are the long options of the command line with underscores."""

    ids: Annotated[
        Path | None,
        Option(
            help="The ids file of the job (--ids-out), for a job whose ids come from its records. Without this option, "
            "the file that the job's record names.",
            group=shared.JOB,
            unit="FILE",
        ),
    ] = None
    dry_run: Annotated[bool, Option(help="Count what would be taken back, and change nothing.", group=shared.JOB)] = (
        False
    )
    keep_job: Annotated[
        str,
        shared.KEEP_JOB.but(
            help="How long a record stays that says how many tasks were left: a duration, or 'forever'. If none was "
            "left, no record stays."
        ),
    ] = KEEP_JOB
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes."""
        check_declared(self)


def check_job(name: str) -> None:
    """Raises UsageError if no job can have this name."""
    from loader.settings import is_job_name

    if not is_job_name(name):
        raise UsageError(f"{name!r} is no name of a job", "runqy-loader jobs lists them")
