"""Runs all checks of a target together, in two round trips. Before a load, they decide whether it may begin."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loader.errors import LayoutMismatchError, MemoryLimitError, RefusedNowError, SinkError
from loader.layouts.registry import encoder_for
from loader.preflight import rights, server, usage
from loader.preflight.ask import Question, ask, ask_node
from loader.preflight.checks import Finding
from loader.preflight.consumers import REGISTERED
from loader.preflight.ignored import ignored_findings
from loader.preflight.layout import layout_finding
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
class IntendedLoad:
    """A load that is checked before it begins.

    Attributes:
        job: Name of the job.
        known_queues: Full names of the queues that exist; None if they are not known.
    """

    options: LoadOptions
    job: str
    known_queues: Collection[str] | None = None

    @property
    def queues(self) -> list[str]:
        """Full names of the queues that the load may write to, as far as they are known."""
        options = self.options
        own = [options.default_queue] if options.default_queue is not None else []
        if options.queue_field is not None or options.envelope:
            own += sorted(set(self.known_queues or ()) - set(own))
        return own[: usage.MOST_QUEUES]

    @property
    def open_ended(self) -> bool:
        """Whether records may name queues that are not known."""
        options = self.options
        return not self.queues or (self.known_queues is None and (options.queue_field is not None or options.envelope))


@dataclass(frozen=True, slots=True)
class Examination:
    """The results of the checks.

    Attributes:
        info: The reply to INFO, or the error in its place.
        begun: Whether the job was begun before.
        largest_value: The longest value that the servers accept; None if it is not known.
        every_info: The reply to INFO of each primary, or the error in its place.
        is_consumed: Whether a running consumer serves a queue of the load.
    """

    findings: list[Finding]
    info: Any
    begun: bool = False
    largest_value: ValueLimit | None = None
    every_info: Mapping[Address, Any] = field(default_factory=dict)
    is_consumed: bool = False

    @property
    def refused(self) -> Finding | None:
        """The first error."""
        return next((finding for finding in self.findings if finding.level == "error"), None)


async def examine(servers: Servers, load: IntendedLoad) -> Examination:
    """Checks the server, the user's rights and the layout in use. Writes nothing.

    Raises:
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    options, where = load.options, str(servers)
    use, begun = usage.UsageCheck(load.queues), _job_begun(load.job)
    with translated(where):
        before = time.time()
        first, *of_others = await asyncio.gather(
            ask(servers, server.STATE, rights.WHO, *use.first, begun, usage.LISTED),
            *(ask_node(node, server.STATE) for node in servers.clients()[1:]),
        )
        after = time.time()
        states = [answers[server.STATE] for answers in (first, *of_others)]
        temporary = options.target == ToEmbedded(None)
        findings = server.states_findings(states, temporary=temporary, is_cluster=servers.is_cluster)
        info = states[0].info
        if any(finding.level == "error" for finding in findings):
            # The other replies of a Sentinel have no meaning.
            return Examination(findings, info, begun=first[begun])
        for answers in (first, *of_others):
            answers.raise_transient(where)
        findings += server.clock_findings(before, after, states)
        alive = use.second(first, server.clock_seconds(states[0].time) or after)
        allowed = _allowed(load, first[rights.WHO], is_cluster=servers.is_cluster)
        listed = usage.signs_of(first[usage.LISTED] if load.open_ended else [])
        second = await ask(servers, alive, allowed, listed)
        second.raise_transient(where)
    largest = server.largest_value(states)
    findings += server.records(largest, options.max_record_bytes)
    findings += second[allowed]
    used = use.usage(first, second[alive])
    findings.append(
        layout_finding(
            options.layout,
            used,
            open_ended=load.open_ended,
            listed=second[listed],
            forced=options.force_layout,
        )
    )
    findings += ignored_findings(options, first[REGISTERED])
    return Examination(
        findings,
        info,
        begun=first[begun],
        largest_value=largest,
        every_info=dict(zip(servers.primaries(), (state.info for state in states), strict=True)),
        is_consumed=any(one.serves(queue) for one in used.living for queue in load.queues)
        or (load.open_ended and bool(used.living)),
    )


async def check_before_load(
    servers: Servers,
    options: LoadOptions,
    job: str,
    known_queues: Collection[str] | None,
    sources: Sequence[Source],
) -> None:
    """Raises an error for a load that cannot work, and logs warnings about possible problems.

    If the server has a ``maxmemory`` limit and the job was not begun before, the memory that the load needs is
    estimated, except for a small input. If workers make room during the load, the estimate only causes a warning.

    Raises:
        LayoutMismatchError: The target is used with another layout.
        MemoryLimitError: The load certainly does not fit.
        LoaderError: The server cannot be used as a target, the user lacks a right, or the server cannot be reached.
    """
    found = await examine(servers, IntendedLoad(options, job, known_queues))
    servers.holds_job, servers.largest_value = servers.holds_job or found.begun, found.largest_value
    servers.info = found.every_info
    if (refused := found.refused) is not None:
        if refused.name == "role":
            raise RefusedNowError(f"{servers}: {refused.text}", refused.hint, "READONLY")
        kind = LayoutMismatchError if refused.name == "layout" else SinkError
        raise kind(f"{servers}: {refused.text}", refused.hint)
    # Missing optional rights cause a warning only when they are needed: see Lease.fence.
    warnings = [one for one in found.findings if one.level == "warning" and one.name != "optional"]
    room = server.room(found.info)
    if room is not None and not found.begun and not surely_fits(sources, options, room):
        from loader.preflight.estimate import estimate_finding  # 2 ms, only for servers with a limit

        needed = await estimate_finding(servers, options, sources, found.info)
        if needed.level in ("warning", "error"):
            _refuse_what_cannot_fit(str(servers), options, needed, is_consumed=found.is_consumed)
            warnings.append(needed)
    for finding in warnings:
        log.warning("%s: %s", servers, finding)


def _refuse_what_cannot_fit(where: str, options: LoadOptions, needed: Finding, *, is_consumed: bool) -> None:
    """Raises MemoryLimitError for a load that certainly does not fit, unless something may make it fit or stop it."""
    least, left = needed.numbers.get("least_bytes"), needed.numbers.get("left_bytes")
    if least is None or left is None or least <= left:
        return
    if options.force_memory or options.stop_at_memory is not None or is_consumed:
        return
    raise MemoryLimitError(
        f"{where}: {needed.text}",
        "Make room or raise maxmemory; --stop-at-memory 90% loads a part, and --force-memory goes on regardless",
    )


async def check_layout(servers: Servers, options: LoadOptions, *, leaving: LayoutName | None) -> None:
    """Refuses to migrate to a layout that no consumer of the queue reads. Logs a warning if some consumers do not.

    Args:
        options: The options of a load into the queue.
        leaving: The source's layout, if source and target are the same queue. Keys of this layout are ignored.

    Raises:
        LayoutMismatchError: The queue is used with another layout.
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    where, use = str(servers), usage.UsageCheck(IntendedLoad(options, "").queues)
    with translated(where):
        first = await ask(servers, *use.first, server.CLOCK)
        first.raise_transient(where)
        alive = use.second(first, first[server.CLOCK] or time.time())
        second = await ask(servers, alive)
        second.raise_transient(where)
    finding = layout_finding(
        options.layout,
        use.usage(first, second[alive]).without(leaving),
        forced=options.force_layout,
        option="--to-layout" if leaving is None else None,
    )
    if finding.level == "error":
        raise LayoutMismatchError(f"{where}: {finding.text}", finding.hint)
    if finding.level == "warning":
        log.warning("%s: %s", where, finding)


def _job_begun(job: str) -> Question[bool]:
    return Question((("EXISTS", f"runqy-loader:{{{job}}}:job"),), lambda replies: bool(replies[0] == 1))


def _allowed(load: IntendedLoad, user: str | None, *, is_cluster: bool) -> Question[list[Finding]]:
    queue = load.queues[0] if load.queues else "x.default"
    keys = rights.keys_of(load.job, encoder_for(load.options, queue, cluster=is_cluster))
    return rights.allowed(user, rights.asked(load.options), keys, keys_known=bool(load.queues))
