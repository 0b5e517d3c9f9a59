"""Every option of ``consume``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from loader.consume.service import service_time_problem
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared, implied
from loader.settings.generate_fields import SEED
from loader.settings.option import COUNT, DURATION, Needs, Option
from loader.settings.share import percent_of
from loader.settings.values import convert_values
from loader.tasks.profiles import LayoutChoice, LayoutName, ProfileName, profile_of

_QUEUE = "Queue"
_SERVICE = "Service"
_END = "End"


def _rate_problem(text: str) -> str | None:
    percent = percent_of(text)
    return None if percent is not None and percent <= 100 else "must be a share such as 1%, at most 100%"


def _retention_problem(seconds: float) -> str | None:
    return None if seconds % 1 == 0 else "must be whole seconds: Redis keeps a task for no less"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeOptions:
    """Options of ``consume``. Field names are the long options of the command line with underscores."""

    queue: Annotated[
        str,
        shared.QUEUE.but(help="Queue to take tasks from; NAME alone means NAME.default, as in runqy.", group=_QUEUE),
    ]
    layout: Annotated[LayoutChoice, shared.LAYOUT_TO_READ.but(group=_QUEUE)] = "auto"
    profile: Annotated[
        ProfileName | None,
        shared.PROFILE.but(help="In layout asynq: 'asynq' uses the queue's name as it is.", group=_QUEUE),
    ] = None
    with_workers: Annotated[
        bool,
        Option(
            help="Take tasks although real workers serve the queue, or may do so. Tasks that this consumer takes are "
            "ended without being executed.",
            group=_QUEUE,
        ),
    ] = False
    consumers: Annotated[
        int,
        Option(
            help="How many tasks are in service at once.",
            group=_SERVICE,
            short="-c",
            unit=COUNT,
            at_least=1,
            at_most=100_000,
        ),
    ] = 8
    service_time: Annotated[
        str,
        Option(
            help="How long a task takes: a duration such as 50ms, or a distribution: 'lognormal(50ms, 0.5)', "
            "'exponential(50ms)', 'normal(50ms, 10ms)', 'uniform(10ms, 90ms)'.",
            group=_SERVICE,
            unit="TIME",
            rule=service_time_problem,
        ),
    ] = "0"
    fail_rate: Annotated[
        str,
        Option(help="Share of the executions that fail, such as 1%.", group=_SERVICE, unit="SHARE", rule=_rate_problem),
    ] = "0%"
    retry_delay: Annotated[
        float | None,
        Option(
            help="How long a failed task waits for its retry.",
            group=_SERVICE,
            unit=DURATION,
            at_least=0,
            default_text="asynq's: 15 s and more, growing with each retry; in the documented layout 0",
            goes_with=(
                Needs("layout", "asynq", later="auto", hint="In the documented layout, a retry is pending at once"),
            ),
        ),
    ] = None
    retention: Annotated[
        float | None,
        Option(
            help="How long a completed task is kept, and in the documented layout its result; 0 deletes it.",
            group=_SERVICE,
            unit=DURATION,
            at_least=0,
            rule=_retention_problem,
            default_text="what the task says; in the documented layout 0",
        ),
    ] = None
    seed: Annotated[
        int,
        SEED.but(
            help="Another number gives other service times and failures. The same one gives each task the same ones.",
            group=_SERVICE,
        ),
    ] = 1
    poll_interval: Annotated[
        float,
        Option(
            help="How often an empty queue is looked at. asynq's own default is 1 s.",
            group=_SERVICE,
            unit=DURATION,
            above=0,
        ),
    ] = 0.1
    count: Annotated[
        int | None, Option(help="End after so many executions.", group=_END, short="-n", unit=COUNT, at_least=1)
    ] = None
    duration: Annotated[float | None, Option(help="End after this time.", group=_END, unit=DURATION, above=0)] = None
    until_empty: Annotated[
        bool, Option(help="End when no task is pending, or due to be retried, and none is in service.", group=_END)
    ] = False
    grace: Annotated[
        float,
        Option(
            help="How long tasks in service may go on after a signal, or after --duration; then they are put back.",
            group=_END,
            unit=DURATION,
            at_least=0,
        ),
    ] = 8.0
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other."""
        check_declared(self)
        self.full_queue(self.known_layout or "documented")  # raises an error if the name is not valid

    @property
    def known_layout(self) -> LayoutName | None:
        """The layout that is given, or that another option needs; None if the queue's keys must tell it."""
        if self.layout != "auto":
            return self.layout
        needed = implied(self, "layout")
        return None if needed is None else needed[0]

    def full_queue(self, layout: LayoutName) -> str:
        """The full name of ``queue`` in a layout. Raises QueueNameError."""
        return resolve_queue(self.queue, sub_queues=profile_of(layout, self.profile).sub_queues)

    @property
    def failing_share(self) -> float:
        """``fail_rate`` as a number from 0 to 1."""
        return (percent_of(self.fail_rate) or 0.0) / 100

    @property
    def ends(self) -> bool:
        """Whether it ends by itself. Otherwise a signal is its end."""
        return self.count is not None or self.duration is not None or self.until_empty
