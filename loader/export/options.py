"""Every option of an export, with its default and its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared, implied
from loader.settings.option import Needs, Option
from loader.tasks.profiles import LayoutChoice, LayoutName, ProfileName, profile_of

_FROM = "Source"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Options of an export. Field names are the long options of the command line with underscores."""

    queue: Annotated[
        str, shared.QUEUE.but(help="Queue to read; NAME alone means NAME.default, as in runqy.", group=_FROM)
    ]
    layout: Annotated[LayoutChoice, shared.LAYOUT_TO_READ] = "auto"
    profile: Annotated[
        ProfileName | None,
        shared.PROFILE.but(help="In layout asynq: 'asynq' uses the queue's name as it is.", group=_FROM),
    ] = None
    by: Annotated[
        Literal["list", "scan"],
        Option(
            help="'list' exports the tasks in the pending list, in the order in which workers would take them; 'scan' "
            "searches the tasks' own keys, in no order, for tasks whose list is lost.",
            group=_FROM,
        ),
    ] = "list"
    state: Annotated[
        Literal["pending", "aggregating"],
        Option(
            help="Which tasks: 'pending' ones, or those that wait in asynq's groups.",
            group=_FROM,
            goes_with=(Needs("layout", "asynq", when="aggregating", later="auto", hint="Only asynq has groups"),),
        ),
    ] = "pending"
    format: Annotated[
        Literal["envelope", "payload"],
        Option(
            help="'envelope' writes id, queue and options around each payload, for load --envelope; 'payload' the "
            "payload alone, one a line.",
            group="Output",
            short="-f",
        ),
    ] = "envelope"
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other."""
        check_declared(self)
        if self.by == "scan" and self.known_layout is None:
            raise UsageError(
                "--by scan needs --layout: it is for tasks whose list is lost, so no list tells their layout",
                "Give --layout documented or --layout asynq",
            )
        self.full_queue  # noqa: B018 - raises an error if the name is not valid

    @property
    def known_layout(self) -> LayoutName | None:
        """The layout that is given, or that another option needs; None if the queue's keys must tell it."""
        if self.layout != "auto":
            return self.layout
        needed = implied(self, "layout")
        return None if needed is None else needed[0]

    @property
    def full_queue(self) -> str:
        """The full name of ``queue``. It does not depend on a layout that the keys must tell."""
        rules = profile_of(self.known_layout or "documented", self.profile)
        return resolve_queue(self.queue, sub_queues=rules.sub_queues)
