"""All checks of a target together, in two round trips; before a load, they decide whether it may begin."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from loader.errors import LayoutMismatchError, SinkError
from loader.layouts.registry import encoder_for
from loader.preflight import consumers, estimate, layout, rights, server
from loader.preflight.ask import Command, ask, ask_node, raise_transient
from loader.preflight.checks import Finding, worst_of_each
from loader.queues.existing import QUEUES_KEY
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sources.base import Source
from loader.tasks.profiles import LayoutName
from loader.wire.faults import translated
from loader.wire.target import ToEmbedded

_MOST_QUEUES = 100
"""Of how many queues the keys are looked at, where a load has more."""

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load is to go.

    Attributes:
        job: Name of the job.
        known_queues: Full names of the queues that exist; None where that is not known.
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
        return own[:_MOST_QUEUES]

    @property
    def open_ended(self) -> bool:
        """Whether records may name queues that are not known."""
        options = self.options
        return not self.queues or (self.known_queues is None and (options.queue_field is not None or options.envelope))


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        info: The reply to INFO, or the error in its place.
        begun: Whether the job has been begun before.
    """

    findings: list[Finding]
    info: Any
    begun: bool = False

    @property
    def refused(self) -> Finding | None:
        """The first error."""
        return next((finding for finding in self.findings if finding.level == "error"), None)


async def examine(servers: Servers, target: Target) -> Examination:
    """Looks at the server, the user's rights and the layout in use. Writes nothing.

    Raises:
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    options, where = target.options, str(servers)
    with translated(where):
        before = time.time()
        (told, who, registered, looks, own), *others_told = await asyncio.gather(
            ask(
                servers,
                server.QUESTIONS,
                rights.QUESTIONS,
                consumers.QUESTIONS,
                layout.questions(target.queues),
                (("EXISTS", f"runqy-loader:{{{target.job}}}:job"), ("SRANDMEMBER", QUEUES_KEY, _MOST_QUEUES)),
            ),
            *(_only(node, server.QUESTIONS) for node in servers.clients()[1:]),
        )
        after = time.time()
        nodes = [told, *(node[0] for node in others_told)]
        temporary = options.target == ToEmbedded(None)
        primaries = len(nodes) if servers.is_cluster else 0
        findings = worst_of_each(
            server.server_findings(info, saves, temporary=temporary, primaries=primaries) for info, saves, _ in nodes
        )
        info, _, clock = told
        if any(finding.level == "error" for finding in findings):
            return Examination(findings, info)  # what a Sentinel answers to the rest means nothing
        raise_transient((*(reply for node in nodes for reply in node), *who, *registered, *looks, *own), where)
        findings += worst_of_each([server.clock(before, after, told_time)] for _, _, told_time in nodes)
        seconds = clock[0] if isinstance(clock, tuple | list) else after
        candidates = consumers.candidates(registered, float(seconds))
        listed = sorted(_texts(own[1])) if target.open_ended else []
        asked, may = rights.asked(options), _user(who[0])
        queue = target.queues[0] if target.queues else "x.default"
        keys = rights.keys_of(target.job, encoder_for(options, queue, cluster=servers.is_cluster))
        alive, runs, others = await ask(
            servers,
            [candidate.question for candidate in candidates],
            rights.dry_runs(may, asked, keys) if may is not None else (),
            layout.questions(listed),
        )
        raise_transient((*alive, *runs, *others), where)
    if may is None:
        findings.append(rights.unknown_rights())
    else:
        findings += rights.rights_findings(asked, runs, may, keys_known=bool(target.queues))
    living = consumers.consumers(candidates, alive)
    findings.append(
        layout.layout_finding(
            options.layout,
            layout.signs(target.queues, looks),
            living,
            open_ended=target.open_ended,
            listed=layout.signs(listed, others),
            forced=options.force_layout,
            untold=consumers.untold(registered),
        )
    )
    return Examination(findings, info, begun=own[0] == 1)


async def check_before_load(
    servers: Servers,
    options: LoadOptions,
    job: str,
    known_queues: Collection[str] | None,
    sources: Sequence[Source],
) -> None:
    """Refuses a load that cannot work, and warns of what may go wrong.

    The memory that it takes is estimated where ``maxmemory`` sets a limit, unless part of the job is in already. That
    only warns: workers make room while it runs.

    Raises:
        LayoutMismatchError: The target is used with another layout.
        LoaderError: The server is not one that can be loaded into, the user lacks a right, or it cannot be reached.
    """
    found = await examine(servers, Target(options, job, known_queues))
    if (refused := found.refused) is not None:
        kind = LayoutMismatchError if refused.name == "layout" else SinkError
        raise kind(f"{servers}: {refused.text}", refused.hint)
    # What a load can do without is told when it is missed: see Lease.fence.
    warnings = [one for one in found.findings if one.level == "warning" and one.name != "optional"]
    if server.room(found.info) is not None and not found.begun:
        needed = await estimate.estimate_finding(servers, options, sources, found.info)
        if needed.level in ("warning", "error"):
            warnings.append(needed)
    for finding in warnings:
        log.warning("%s: %s", servers, finding)


async def check_layout(servers: Servers, options: LoadOptions, *, leaving: LayoutName | None) -> None:
    """Refuses to migrate to a layout that those who consume the queue never see, and warns where some do not.

    Args:
        options: What a load into the queue would be given.
        leaving: The layout that the queue's tasks are in before, where it is the same queue: such keys tell nothing.

    Raises:
        LayoutMismatchError: The queue is used with another layout.
        LoaderError: The server cannot be reached, or is loading or busy.
    """
    queues, where = Target(options, "").queues, str(servers)
    with translated(where):
        registered, looks, clock = await ask(servers, consumers.QUESTIONS, layout.questions(queues), (("TIME",),))
        raise_transient((*registered, *looks, *clock), where)
        seconds = clock[0][0] if isinstance(clock[0], tuple | list) else time.time()
        candidates = consumers.candidates(registered, float(seconds))
        (alive,) = await ask(servers, [candidate.question for candidate in candidates])
        raise_transient(alive, where)
    finding = layout.layout_finding(
        options.layout,
        [signs.without(leaving) for signs in layout.signs(queues, looks)],
        consumers.consumers(candidates, alive),
        forced=options.force_layout,
        untold=consumers.untold(registered),
        option="--to-layout" if leaving is None else None,
    )
    if finding.level == "error":
        raise LayoutMismatchError(f"{where}: {finding.text}", finding.hint)
    if finding.level == "warning":
        log.warning("%s: %s", where, finding)


async def _only(node: Any, questions: Sequence[Command]) -> list[list[Any]]:
    return [await ask_node(node, questions)]


def _user(reply: Any) -> str | None:
    """Who asks; None where the server does not know users, or does not tell."""
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    return reply if isinstance(reply, str) else None


def _texts(members: Any) -> list[str]:
    return [str(member, errors="replace") for member in members] if isinstance(members, list) else []
