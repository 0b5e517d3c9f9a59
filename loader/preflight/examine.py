"""Runs all checks of a target together, in two round trips. Before a load, they decide whether it may begin."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loader.engine.targets.base import Choice, Cleared
from loader.errors import LayoutMismatchError, MemoryLimitError
from loader.jobs.standing import job_key
from loader.layouts.base import QueueEncoder
from loader.layouts.registry import encoder_for
from loader.preflight import replication, rights, server, usage
from loader.preflight.ask import Question, ask
from loader.preflight.checks import Finding
from loader.preflight.compact import compact_finding, scratch_tasks
from loader.preflight.ignored import ignored_findings
from loader.preflight.intended import IntendedLoad
from loader.preflight.layout import layout_finding
from loader.preflight.refusal import refusal
from loader.preflight.seen import Look, Seen
from loader.preflight.server import ServerState
from loader.preflight.small import surely_fits
from loader.servers.routing import Servers
from loader.servers.value_limit import ValueLimit
from loader.settings import LoadOptions
from loader.sources.base import Source
from loader.tasks.profiles import LayoutName
from loader.wire.address import Address
from loader.wire.faults import translated
from loader.wire.target import ToEmbedded

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Examination:
    """The results of the checks.

    Attributes:
        info: The reply to INFO, or the error in its place.
        begun: Whether the job was begun before.
        cleared: What the load must know if it begins.
        largest_value: The longest value that the servers accept; None if it is not known.
        every_info: The reply to INFO of each primary, or the error in its place.
    """

    findings: list[Finding]
    info: Any
    begun: bool = False
    cleared: Cleared = field(default_factory=Cleared)
    largest_value: ValueLimit | None = None
    every_info: Mapping[Address, Any] = field(default_factory=dict)

    @property
    def how(self) -> str:
        """How tasks are written, and why."""
        return next((str(finding) for finding in self.findings if finding.name == "compact"), "")

    @property
    def refused(self) -> Finding | None:
        """The first error."""
        return next((finding for finding in self.findings if finding.level == "error"), None)


async def examine(servers: Servers, load: IntendedLoad, choice: Choice | None = None) -> Examination:
    """Checks the server, the user's rights and the layout in use. Writes nothing but a scratch task; see ``compact``.

    It takes two round trips, or one after a choice.

    Args:
        load: A load with settled options.
        choice: The choice of its layout, if it was made just before.

    Raises:
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    begun = _job_begun(load.job)
    encoder = encoder_for(load.options, load.queues[0] if load.queues else "x.default", cluster=servers.is_cluster)
    scratches = scratch_tasks(servers, load.options, encoder)
    with translated(str(servers)):
        if choice is not None and isinstance(choice.seen, Seen):
            seen = choice.seen
            known = {queue.name for queue in seen.usage.queues}
            more = usage.signs_of([queue for queue in load.queues if queue not in known])
            allowed = _allowed(load, seen.user, encoder)
            answers = first = await ask(servers, begun, allowed, more, *scratches)
            answers.raise_transient(str(servers))
            seen = seen.with_queues(answers[more])
            findings = _server_findings(servers, load, seen.states)
        else:
            look = Look(servers, load.queues, open_ended=load.open_ended)
            first = await look.first(begun)
            findings = _server_findings(servers, load, look.states)
            if any(finding.level == "error" for finding in findings):
                # The other replies of a Sentinel have no meaning.
                return Examination(findings, look.states[0].info, first[begun])
            look.raise_transient()
            allowed = _allowed(load, look.user, encoder)
            answers = await look.second(allowed, *scratches)
            seen = look.seen
    largest = server.largest_value(seen.states)
    infos = [state.info for state in seen.states]
    compact, how = compact_finding(load.options, [answers[scratch] for scratch in scratches], infos, str(servers))
    findings = [
        *findings,
        *server.clock_findings(*seen.asked, seen.states),
        *server.records(largest, load.options.max_record_bytes),
        *answers[allowed],
        *_use_findings(load, seen),
        *_place_findings(servers, load, seen),
        *ignored_findings(load.options, seen.registered),
        how,
    ]
    living = seen.usage.living
    is_consumed = any(one.serves(queue) for one in living for queue in load.queues)
    is_consumed = is_consumed or (load.open_ended and bool(living))
    return Examination(
        findings,
        seen.states[0].info,
        first[begun],
        Cleared(_forwarded(load, seen), compact=compact, is_consumed=is_consumed),
        largest_value=largest,
        every_info=dict(zip(servers.primaries(), (state.info for state in seen.states), strict=True)),
    )


def _server_findings(servers: Servers, load: IntendedLoad, states: Sequence[ServerState]) -> list[Finding]:
    temporary = load.options.target == ToEmbedded(None)
    findings = server.states_findings(states, temporary=temporary, primaries=servers.cluster_size)
    risks = server.risk_findings(states, load.options, is_here=replication.is_here(servers.address))
    # The data of an embedded server goes with it: only what cannot be done counts there.
    return [*findings, *(risk for risk in risks if not temporary or risk.level == "error")]


def _use_findings(load: IntendedLoad, seen: Seen) -> list[Finding]:
    """Whether workers would see the tasks, and run them."""
    options = load.options
    findings: list[Finding | None] = [
        layout_finding(
            options.layout_name,
            seen.usage,
            open_ended=load.open_ended,
            listed=seen.listed if load.open_ended else (),
            forced=options.force_layout,
        )
    ]
    # Most loads have no start time, and many servers have no consumer yet: they do not wait for these imports.
    if seen.usage.living:
        from loader.preflight.queue_name import name_finding

        findings.append(name_finding(load, seen.usage))
    if options.task_options.starts_at(now := time.time()):
        from loader.preflight.schedule import schedule_finding

        findings.append(schedule_finding(load, seen.usage, now))
    return [finding for finding in findings if finding is not None]


def _place_findings(servers: Servers, load: IntendedLoad, seen: Seen) -> list[Finding]:
    """On which nodes of a cluster the tasks will be, and whether workers take all sub-queues of a spread load."""
    if not servers.is_cluster and load.options.spread is None:
        return []
    from loader.preflight.spread import place_finding, spread_finding  # only these loads wait for the import

    found = [place_finding(servers, load.options), spread_finding(servers, load, seen.usage)]
    return [finding for finding in found if finding is not None]


def _forwarded(load: IntendedLoad, seen: Seen) -> frozenset[str] | None:
    if not load.options.envelope:
        return None
    from loader.preflight.schedule import forwarded_queues

    return forwarded_queues(load, seen.usage)


async def check_before_load(
    servers: Servers,
    options: LoadOptions,
    job: str,
    known_queues: Collection[str] | None,
    sources: Sequence[Source],
    choice: Choice | None = None,
) -> Cleared:
    """Raises an error for a load that cannot work, and logs warnings about possible problems.

    If the server has a ``maxmemory`` limit and the job was not begun before, the memory that the load needs is
    estimated, except for a small input. If workers make room during the load, the estimate only causes a warning.

    Raises:
        LayoutMismatchError: The target is used with another layout.
        MemoryLimitError: The load certainly does not fit.
        UnknownQueueError: No worker serves the queue, and some serve a queue of nearly the same name.
        ScheduleError: The tasks have a start time, and nothing would run them when they are due.
        LoaderError: The server cannot be used as a target, the user lacks a right, or the server cannot be reached.
    """
    found = await examine(servers, IntendedLoad(options, job, known_queues), choice)
    servers.holds_job, servers.largest_value = servers.holds_job or found.begun, found.largest_value
    servers.info = found.every_info
    if (refused := found.refused) is not None:
        raise refusal(refused, str(servers))
    # Missing optional rights cause a warning only when they are needed: see Lease.fence.
    warnings = [one for one in found.findings if one.level == "warning" and one.name not in ("optional", "nodes")]
    room = server.room(found.info)
    if room is not None and not found.begun and not surely_fits(sources, options, room):
        from loader.preflight.estimate import estimate_finding  # 2 ms, only for servers with a limit

        needed = await estimate_finding(servers, options, sources, found.info, compact=found.cleared.compact)
        if needed.level in ("warning", "error"):
            _refuse_what_cannot_fit(str(servers), options, needed, is_consumed=found.cleared.is_consumed)
            warnings.append(needed)
    for finding in warnings:
        log.warning("%s: %s", servers, finding)
    for finding in found.findings:
        if finding.name == "nodes":
            log.info("%s", finding)
    log.info("%s", found.how)
    return found.cleared


def _refuse_what_cannot_fit(where: str, options: LoadOptions, needed: Finding, *, is_consumed: bool) -> None:
    """Raises MemoryLimitError for a load that certainly does not fit, unless something may make it fit or stop it."""
    least, left = needed.numbers.get("least_bytes"), needed.numbers.get("left_bytes")
    if least is None or left is None or least <= left:
        return
    if options.force_memory or options.stop_at_memory is not None or options.headroom is not None or is_consumed:
        return
    raise MemoryLimitError(
        f"{where}: {needed.text}",
        "Make room or raise maxmemory; --stop-at-memory 90% loads a part, and --force-memory goes on regardless",
    )


async def check_layout(
    servers: Servers, options: LoadOptions, given: str, *, leaving: LayoutName | None
) -> usage.Usage:
    """Refuses to migrate to a layout that no consumer of the queue reads. Logs a warning if some consumers do not.

    Returns the use of the queue.

    Args:
        options: The options of a load into the queue.
        given: The queue's name as the user gave it.
        leaving: The source's layout, if source and target are the same queue. Keys of this layout are ignored.

    Raises:
        LayoutMismatchError: The queue is used with another layout.
        UnknownQueueError: Workers serve the name as it was given, and none serves the queue that it means.
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    where, use = str(servers), usage.UsageCheck(IntendedLoad(options, "").queues)
    with translated(where):
        first = await ask(servers, *use.first, server.CLOCK)
        first.raise_transient(where)
        alive = use.second(first, first[server.CLOCK] or time.time())
        second = await ask(servers, alive)
        second.raise_transient(where)
    from loader.preflight.queue_name import meant_without_sub_queue  # as above

    used = use.usage(first, second[alive])
    if options.default_queue is not None and (found := meant_without_sub_queue(given, options.default_queue, used)):
        raise refusal(found, where)
    finding = layout_finding(
        options.layout_name,
        used.without(leaving),
        forced=options.force_layout,
        option="--to-layout" if leaving is None else None,
    )
    if finding.level == "error":
        raise LayoutMismatchError(f"{where}: {finding.text}", finding.hint)
    if finding.level == "warning":
        log.warning("%s: %s", where, finding)
    return used


def _job_begun(job: str) -> Question[bool]:
    return Question((("EXISTS", job_key(job)),), lambda replies: bool(replies[0] == 1))


def _allowed(load: IntendedLoad, user: str | None, encoder: QueueEncoder) -> Question[list[Finding]]:
    keys = rights.keys_of(load.job, encoder)
    return rights.allowed(user, rights.asked(load.options), keys, keys_known=bool(load.queues))
