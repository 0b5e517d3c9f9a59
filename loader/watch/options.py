"""Every option of watching queues, for the API and the CLI alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.option import COUNT, DURATION, Option
from loader.settings.values import convert_values

_WHAT = "What to watch"
_HOW_LONG = "How often and how long"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """Options of watching. Field names are the long options of the command line with underscores."""

    queue: Annotated[
        tuple[str, ...],
        shared.QUEUE.but(
            help="Queue to watch, in either layout (NAME also finds NAME.default); may be given more than once. "
            "[default: the queues in the server's set asynq:queues, at most 100]",
            group=_WHAT,
        ),
    ] = ()
    sample_tasks: Annotated[
        int,
        Option(
            help="Follow up to this many tasks of each queue at the same time, for the time in the queue and the time "
            "to completion. Needs the extra pace.",
            group=_WHAT,
            unit=COUNT,
            at_least=0,
            at_most=1000,
        ),
    ] = 0
    interval: Annotated[
        float, Option(help="Time between two looks.", group=_HOW_LONG, short="-i", unit=DURATION, at_least=0.1)
    ] = 1.0
    for_: Annotated[
        float | None,
        Option(
            help="End after this time.",
            group=_HOW_LONG,
            unit=DURATION,
            at_least=0,
            default_text="until q or Ctrl-C",
        ),
    ] = None
    count: Annotated[
        int | None, Option(help="End after this many looks.", group=_HOW_LONG, short="-n", unit=COUNT, at_least=1)
    ] = None
    redis: shared.Redis = field(default_factory=shared.REDIS_URL)
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or a queue's name is not valid."""
        check_declared(self)
        for name in self.queue:
            resolve_queue(name, sub_queues=False)
