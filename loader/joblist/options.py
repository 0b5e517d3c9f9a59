"""Every option of the command that looks after jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from loader.errors import UsageError
from loader.pace.rates import constant, rate
from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.option import Option
from loader.settings.values import convert_values

_WHAT = "What to do"
NO_RATE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsOptions:
    """Options of the command. Field names are the long options of the command line with underscores."""

    scan: Annotated[
        bool,
        Option(
            help="With list and clean: search the keys of the server for jobs that earlier versions have begun. They "
            "are listed from then on.",
            group=_WHAT,
        ),
    ] = False
    dry_run: Annotated[
        bool, Option(help="With clean and forget: say what would be deleted, and change nothing.", group=_WHAT)
    ] = False
    yes: Annotated[
        bool, Option(help="With forget: do it. Without this option, forget only says what it means.", group=_WHAT)
    ] = False
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 10.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes."""
        check_declared(self)


def ordered_rate(given: float | str) -> float | None:
    """The rate in ``jobs rate JOB 5000/s``, in tasks a second; None for the word ``none``.

    Args:
        given: Tasks a second, or a text.

    Raises:
        UsageError: It is no rate, or not above 0: a rate of 0 would be an order to stop, and there is one for that.
    """
    if given == NO_RATE:
        return None
    try:
        wanted = rate(given) if isinstance(given, str) else given
    except ValueError as error:
        raise UsageError(
            f"the rate for a job: {error}", f"Or write {NO_RATE}: as the options of the load say"
        ) from error
    try:
        return constant(wanted).highest
    except ValueError as error:
        raise UsageError(f"the rate for a job: {error}", "To stop the load for a time: jobs pause JOB") from error
