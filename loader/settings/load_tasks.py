"""The options of a load that decide what its tasks are, and where they go."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from loader.errors import UsageError
from loader.queues.names import resolve_queue
from loader.queues.spread import spread_names
from loader.settings import shared
from loader.settings.check import implied, in_seconds
from loader.settings.option import DURATION, EXPRESSION, TIME, Excludes, Needs, Option, flag_of
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.profiles import LayoutChoice, LayoutName, Profile, ProfileName, profile_of
from loader.tasks.times import instant

_TASKS = "Tasks"
_ASYNQ = "Tasks of the asynq layout"

REDIS_ONLY = Excludes("to", hint="The first one is only for loads into Redis")
_ASYNQ_ONLY = Needs("layout", "asynq", later="auto", hint="See docs/layouts.md")
_TO_ASYNQ = (REDIS_ONLY, _ASYNQ_ONLY)
_SPREAD_ALREADY = "In the documented layout, the tasks of one queue are on all nodes anyway"
_NAME_THEM = "Have the records name the sub-queues, or have --spread make the names"


def _asynq(text: str, *, unit: str = DURATION, goes_with: tuple[Needs | Excludes, ...] = _TO_ASYNQ) -> Option:
    return Option(help=text, group=_ASYNQ, unit=unit, goes_with=goes_with)


def _field(text: str, envelope_has: str, *more: Excludes, unit: str = "FIELD") -> Option:
    own = Excludes("envelope", hint=f"An envelope has a field '{envelope_has}' of its own")
    return Option(help=text, group=_TASKS, unit=unit, goes_with=(*more, own))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFields:
    """Options of tasks; ``LoadOptions`` has the others.

    With layout ``auto``, a look at the server chooses the layout, and ``settled`` puts it into the options. Before
    that, ``default_queue`` is final: the layouts differ in the meaning of a name only with profile asynq, which needs
    layout asynq. ``defaults`` and ``task_options`` are those of the layout that other options need, else of the
    documented layout. Only settled options have a ``layout_name``, so nothing is encoded before the choice.
    """

    queue: Annotated[str | None, shared.QUEUE] = None
    spread: Annotated[
        int | None,
        Option(
            help="On a Redis Cluster: load into this many sub-queues NAME-1 …, which lie on different nodes. Workers "
            "must take all of them; see docs/servers.md.",
            group=_TASKS,
            unit="COUNT",
            at_least=2,
            at_most=256,
            goes_with=(
                REDIS_ONLY,
                Needs("layout", "asynq", later="auto", hint=_SPREAD_ALREADY),
                Needs("queue", hint="The names of the sub-queues are made from it"),
                *(Excludes(name, hint=_NAME_THEM) for name in ("queue_field", "queue_from", "envelope")),
                Excludes("unique_ttl", hint="A task is unique within one queue only"),
            ),
        ),
    ] = None
    queue_field: Annotated[
        str | None,
        _field(
            "Take each task's queue from this field of its record; --queue is for records without it. If none of the "
            "first 1,000 records has it, the load is refused.",
            "queue",
        ),
    ] = None
    id_field: Annotated[
        str | None,
        _field(
            "Take each task's id from this field of its record. Without this option, ids are made from job, source and "
            "record number.",
            "id",
            REDIS_ONLY,
        ),
    ] = None
    queue_from: Annotated[
        str | None,
        _field(
            "Take each task's queue from this expression (JMESPath: docs/shaping.md); --queue is for records for which "
            "it is null or false.",
            "queue",
            Excludes("queue_field"),
            unit=EXPRESSION,
        ),
    ] = None
    id_from: Annotated[
        str | None,
        _field(
            "Take each task's id from this expression (JMESPath), such as \"join('-', [customer.id, kind])\".",
            "id",
            REDIS_ONLY,
            Excludes("id_field"),
            unit=EXPRESSION,
        ),
    ] = None
    on_conflict: Annotated[
        Literal["fail", "skip"],
        Option(
            help="If a record's own id is already a task, or its unique task already exists: reject the record (fail), "
            "or count it as already loaded (skip).",
            group=_TASKS,
            goes_with=(REDIS_ONLY,),
        ),
    ] = "fail"
    layout: Annotated[LayoutChoice, shared.LAYOUT.but(goes_with=(REDIS_ONLY,))] = "auto"
    profile: Annotated[ProfileName | None, shared.PROFILE.but(goes_with=(REDIS_ONLY, shared.NEEDS_ASYNQ_LAYOUT))] = None
    type: Annotated[str | None, shared.TYPE.but(goes_with=(REDIS_ONLY,))] = None
    max_retry: Annotated[int | None, shared.MAX_RETRY.but(goes_with=(REDIS_ONLY,))] = None

    task_timeout: Annotated[
        int | str | None,
        _asynq(
            "How long a task may run. runqy's workers ignore this: use --active-timeout.",
            goes_with=(Needs("layout", "asynq", later="auto", hint="See docs/layouts.md", unless="to"),),
        ),
    ] = None
    deadline: Annotated[
        str | None,
        _asynq(
            "The time until which a task may run: RFC 3339, such as 2026-12-24T18:00:00Z, or Unix seconds. runqy's "
            "workers ignore this.",
            unit=TIME,
        ),
    ] = None
    retention: Annotated[
        int | str | None,
        _asynq(
            "How long a completed task and its result are kept. runqy's workers ignore this: use --ttl-completed.",
        ),
    ] = None
    header: Annotated[
        tuple[str, ...],
        _asynq(
            "A header for every task; runqy's workers ignore headers. The option may be given several times; in the "
            "environment, one a line.",
            unit="NAME=VALUE",
        ),
    ] = ()
    unique_ttl: Annotated[
        int | str | None,
        _asynq("How long no second task with the same type, payload and queue is accepted; see --on-conflict."),
    ] = None
    process_at: Annotated[
        str | None,
        _asynq(
            "Run no task before this time. Until then, tasks wait in the scheduled set.",
            unit=TIME,
            goes_with=(*_TO_ASYNQ, Excludes("process_in", alternative=True)),
        ),
    ] = None
    process_in: Annotated[int | str | None, _asynq("The delay after loading before a task may run.")] = None
    ttl_completed: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a completed task is kept; 0 for ever.")
    ] = None
    ttl_archived: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a task that failed for good is kept; 0 for ever.")
    ] = None
    pending_timeout: Annotated[
        int | str | None,
        _asynq("For runqy's workers: how long a task may wait; 0 for no limit. Those of June 2026 do not observe it."),
    ] = None
    active_timeout: Annotated[
        int | str | None, _asynq("For runqy's workers: how long a task may run; 0 for no limit.")
    ] = None

    @property
    def default_queue(self) -> str | None:
        """The full name of ``queue``."""
        return None if self.queue is None else resolve_queue(self.queue, sub_queues=self.defaults.sub_queues)

    @property
    def own_queues(self) -> list[str]:
        """Full names of the queues that ``queue`` means: itself, or the sub-queues of ``spread``; none without it."""
        queue = self.default_queue
        if queue is None:
            return []
        return [queue] if self.spread is None else spread_names(queue, self.spread)

    @property
    def layout_name(self) -> LayoutName:
        """The layout of settled options. Raises RuntimeError if it is not chosen yet."""
        if self.layout == "auto":
            raise RuntimeError("the layout is not chosen yet: see loader.settings.settled")
        return self.layout

    @property
    def implied_layout(self) -> tuple[LayoutName, str] | None:
        """With layout ``auto``: the layout that another option needs, and that option; None if none needs one."""
        return implied(self, "layout") if self.layout == "auto" else None

    @property
    def layout_without_server(self) -> LayoutName:
        """The layout without a server, or on an empty one: given, needed by other options, or the guide's."""
        if self.layout != "auto":
            return self.layout
        return "documented" if (needed := self.implied_layout) is None else needed[0]

    @property
    def defaults(self) -> Profile:
        """The defaults for options that are not given."""
        return profile_of(self.layout_without_server, self.profile)

    @property
    def task_options(self) -> TaskOptions:
        """The options of tasks whose records have no options of their own.

        Raises:
            UsageError: A duration, a time or a header is not valid.
        """
        headers = [header.partition("=") for header in self.header]
        for given, (name, equals, _) in zip(self.header, headers, strict=True):
            if not name or not equals:
                raise UsageError(f"--header {given!r} is not of the form NAME=VALUE")
        timeout, deadline = in_seconds(self, "task_timeout"), self._instant("deadline")
        retention = in_seconds(self, "retention")
        lifecycle: dict[str, Any] = {name: in_seconds(self, name) for name in LIFECYCLE}
        return TaskOptions(
            type=self.type or self.defaults.type,
            max_retry=self.defaults.max_retry if self.max_retry is None else self.max_retry,
            timeout=(0 if deadline else self.defaults.timeout) if timeout is None else timeout,
            deadline=deadline or 0,
            retention=self.defaults.retention if retention is None else retention,
            headers=tuple(sorted({name: value for name, _, value in headers}.items())),
            unique_ttl=in_seconds(self, "unique_ttl") or 0,
            process_at=self._instant("process_at") or 0,
            process_in=in_seconds(self, "process_in") or 0,
            **lifecycle,
        )

    def _instant(self, name: str) -> int | None:
        value = getattr(self, name)
        try:
            return None if value is None else instant(value)
        except ValueError as error:
            raise UsageError(f"{flag_of(name)}: {error}") from error
