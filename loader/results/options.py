"""Every option of waiting for results, for the API and the CLI alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.outputs.names import JSON_LINES
from loader.queues.names import resolve_queue
from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.option import DURATION, Excludes, Option
from loader.settings.values import convert_values, duration
from loader.tasks.profiles import LayoutChoice, LayoutName, Profile, ProfileName, profile_of

_TASKS = "Tasks"
_OUT = "Output"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """Options of waiting. Field names are the long options of the command line with underscores."""

    ids: Annotated[
        Path | None,
        Option(
            help="File with the ids to wait for, as a load's --ids-out writes it, or one a line: ID, ID <tab> QUEUE, "
            'or {"id": ID, "queue": QUEUE}; \'-\' for standard input.',
            group=_TASKS,
            unit="FILE",
        ),
    ] = None
    job: Annotated[
        str | None,
        shared.JOB_NAME.but(
            help="Wait for the tasks of this job, which must have been loaded with --ids-out, on this host.",
            group=_TASKS,
            default_text="",
        ),
    ] = None
    queue: Annotated[
        str | None,
        shared.QUEUE.but(
            help="Queue of ids that are given without a queue. Needed only in the asynq layout, if there is no key "
            "asynq:t:<id>.",
            group=_TASKS,
        ),
    ] = None
    layout: Annotated[
        LayoutChoice,
        Option(
            help="Redis keys to read; 'auto' is the layout in the ids file or the job, else the one that has keys of "
            "the tasks.",
            group=_TASKS,
        ),
    ] = "auto"
    profile: Annotated[
        ProfileName | None,
        Option(
            help="In layout asynq, whose queue names --queue follows: runqy's (NAME means NAME.default) or asynq's.",
            group=_TASKS,
            goes_with=(Excludes("layout", "documented", when="asynq", hint="asynq's workers read no other layout"),),
        ),
    ] = None
    timeout: Annotated[
        float | str | None,
        Option(
            help="Stop waiting after this time; 0 looks once.",
            group=_TASKS,
            unit=DURATION,
            at_least=0,
            default_text="wait until all are done",
        ),
    ] = None
    out: Annotated[
        Path | None,
        Option(
            help="Append results to this file as they come, as JSON lines, and skip ids that are in it already; "
            "'-' for standard output.",
            group=_OUT,
            unit="FILE",
            writes=JSON_LINES,
        ),
    ] = None
    missing: Annotated[
        Path | None,
        Option(
            help="File for the tasks that are not done at the end.",
            group=_OUT,
            unit="FILE",
            writes=JSON_LINES,
            may_replace_input=True,
            default_text="OUT.missing.jsonl; with --out -, standard output",
        ),
    ] = None
    redis: shared.Redis = field(default_factory=shared.REDIS_URL)
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    reply_timeout: shared.Timeout = 30.0
    retry_for: shared.RetryFor = 60.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other."""
        check_declared(self)
        self.default_queue  # noqa: B018 - raises an error if the name is not valid

    @property
    def known_layout(self) -> LayoutName | None:
        """The layout that is given, or that ``profile`` needs; None if it must be found out."""
        if self.layout != "auto":
            return self.layout
        return None if self.profile is None else "asynq"

    @property
    def timeout_seconds(self) -> float | None:
        """``timeout`` in seconds; None to wait for all.

        Raises:
            UsageError: The text is not a duration.
        """
        if not isinstance(self.timeout, str):
            return self.timeout
        try:
            return duration(self.timeout, fractions=True)
        except ValueError as error:
            raise UsageError(f"--timeout: {error}") from error

    @property
    def default_queue(self) -> str | None:
        """The full name of ``queue``."""
        rules: Profile = profile_of("asynq", self.profile)
        return None if self.queue is None else resolve_queue(self.queue, sub_queues=rules.sub_queues)
