"""The checks of ``runqy-loader doctor``. A failed check does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loader.engine.cluster import check_cluster
from loader.engine.known_queues import KnownQueues, known_queues, queues_in_file
from loader.engine.targets.base import Choice
from loader.engine.targets.registry import require_extras
from loader.errors import LayoutMismatchError, LoaderError, RefusedNowError, SinkError, TransientError, UsageError
from loader.outputs.place import file_of
from loader.preflight.checks import Finding, Level, worst
from loader.preflight.choice import choose_layout
from loader.preflight.estimate import estimate_finding
from loader.preflight.examine import Examination, examine
from loader.preflight.intended import IntendedLoad
from loader.preflight.replication import with_tasks
from loader.servers.routing import Servers
from loader.settings import LoadOptions, settled
from loader.settings.server_address import server_address
from loader.shaping.settle import settled_shape
from loader.sources.open_sources import open_sources
from loader.sources.option_input import input_of
from loader.sources.problems import Problems
from loader.sources.remote.spool import Spool
from loader.wire.address import Address
from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis

_JOB = "doctor"
_OF_USE = ("layout", "queue_name", "schedule")
"""Findings about the use of a server that can be loaded into otherwise."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about a server, a queue and a layout."""

    server: str
    queue: str | None
    layout: str
    findings: list[Finding]

    @property
    def level(self) -> Level:
        """The level of the worst finding."""
        return worst(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/doctor.md for its fields."""
        return {
            "server": self.server,
            "queue": self.queue,
            "layout": self.layout,
            "level": self.level,
            "findings": [finding.to_dict() for finding in self.findings],
        }


async def diagnose(options: LoadOptions, paths: Sequence[str]) -> Diagnosis:
    """Checks the server, the queue and the layout for a load with these options and this input.

    Args:
        paths: The input. If it is not empty, the memory that its tasks need is estimated.

    Raises:
        UsageError: Options are out of range, there is nothing to check, or a required extra is not installed.
    """
    options.check(queue_needed=False)
    require_extras(options)
    options = settled_shape(options)
    match options.target:
        case ToHttp():
            raise UsageError("--to names no Redis, and there is nothing else to check", "Give --redis, or leave it out")
        case ToDiscard():
            raise UsageError("--redis discard names no server", "Give the one to check")
        case ToRedis():
            return await _diagnose(server_address(options), options, paths)
        case ToEmbedded(directory):
            from loader.servers.embedded import embedded_server  # 20 ms, only needed here

            async with embedded_server(directory) as address:
                return await _diagnose(address, options, paths)


async def _diagnose(address: Address, options: LoadOptions, paths: Sequence[str]) -> Diagnosis:
    in_file = queues_in_file(options)
    servers = Servers(address, options.timeout)
    try:
        layout, findings = await _findings(servers, options, paths, in_file)
    finally:
        await servers.aclose()
    return Diagnosis(str(address), options.default_queue, layout, findings)


async def _findings(
    servers: Servers, options: LoadOptions, paths: Sequence[str], in_file: KnownQueues
) -> tuple[str, list[Finding]]:
    """The layout of the load, and the findings."""
    findings: list[Finding] = []
    try:
        began = time.monotonic()
        await servers.reach("runqy-loader:doctor")
        milliseconds = 1000 * (time.monotonic() - began)
        findings.append(Finding("reachable", "ok", f"{servers} answers ({milliseconds:.0f} ms)"))
        choice, not_chosen = await _choice(servers, options)
        layout = options.layout if choice is None else choice.layout
        # If the layout is not known, the other checks are made for one of the two.
        options = settled(options, options.layout_without_server if choice is None else choice.layout)
        findings += _options(options, servers)
        known, queue = await _known_queues(servers, options, in_file)
        findings += queue
        found = await examine(servers, IntendedLoad(options, options.job or _JOB, known.names), choice)
    except LoaderError as error:
        return options.layout, [_of_error("reachable", error)]  # no access, or loading: no other check can run
    findings += [_layout(finding, choice, not_chosen) for finding in found.findings]
    if (paths or options.names_input) and (found.refused is None or found.refused.name in _OF_USE):
        estimate = await _estimate(servers, options, paths, found)
        findings = [*(with_tasks(finding, estimate) for finding in findings), estimate]
    return layout, findings


async def _choice(servers: Servers, options: LoadOptions) -> tuple[Choice | None, Finding | None]:
    """What ``--layout auto`` would choose, or why it would choose nothing."""
    if options.layout != "auto":
        return None, None
    try:
        return await choose_layout(servers, options), None
    except LayoutMismatchError as error:
        where = f"{servers}: "
        return None, Finding("layout", "error", str(error.args[0]).removeprefix(where), error.hint)
    except RefusedNowError:
        return None, None  # a replica: the other checks say so
    except TransientError:
        raise
    except SinkError:
        return None, None  # the server is no target: the other checks say so


def _layout(finding: Finding, choice: Choice | None, not_chosen: Finding | None) -> Finding:
    """With ``--layout auto``, the finding about the layout says what was chosen."""
    if finding.name != "layout":
        return finding
    if not_chosen is not None:
        return not_chosen
    if choice is None:
        return finding
    chosen = f"auto chooses {choice.layout}: {choice.reason}"
    return replace(finding, text=chosen if finding.level == "ok" else f"{chosen}; but {finding.text}")


def _options(options: LoadOptions, servers: Servers) -> list[Finding]:
    """An error if these options cannot be used with this kind of server."""
    try:
        check_cluster(options, servers)
    except UsageError as error:
        return [_of_error("options", error)]
    return []


async def _known_queues(
    servers: Servers, options: LoadOptions, in_file: KnownQueues
) -> tuple[KnownQueues, list[Finding]]:
    """The queues that exist, if an option gives a way to know them, and whether the load's queue is one of them."""
    known, queues = in_file, options.own_queues
    try:
        known = await known_queues(options, in_file, servers)
        known.check(*queues)
    except TransientError:
        raise
    except LoaderError as error:
        return known, [_of_error("queue", error)]
    if known.names is None or not queues:
        return known, []
    named = f"queue {queues[0]} exists" if len(queues) == 1 else f"all {len(queues)} sub-queues exist"
    return known, [Finding("queue", "ok", f"{named} in {known.source}")]


async def _estimate(servers: Servers, options: LoadOptions, paths: Sequence[str], found: Examination) -> Finding:
    if "-" in paths:
        return Finding("estimate", "unknown", "standard input cannot be read ahead")
    if options.default_queue is None and not options.records_name_queues:
        options = replace(options, queue="default")  # the real name changes only a few bytes of each task
    try:
        own = [path] if (path := file_of(options.rejects)) is not None else []
        problems = Problems(skip=options.skip_bad_files)
        with Spool() as spool:
            sources = await open_sources(
                input_of(options, list(paths)),
                options.format,
                own,
                problems,
                force_format=options.force_format,
                tables=options.tables,
                spool=spool,
            )
            return await estimate_finding(
                servers, options, sources, found.info, compact=found.cleared.compact, other_way=True
            )
    except LoaderError as error:
        return _of_error("estimate", error)


def _of_error(name: str, error: LoaderError) -> Finding:
    return Finding(name, "error", str(error.args[0]), error.hint)
