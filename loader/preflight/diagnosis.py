"""What ``runqy-loader doctor`` does: every check of a target, none of which stops the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loader.errors import LoaderError, TransientError, UsageError
from loader.extras import require
from loader.preflight.checks import Finding, Level, worst
from loader.preflight.cluster import check_cluster
from loader.preflight.estimate import estimate_finding
from loader.preflight.examine import Target, examine
from loader.queues.existing import QUEUES_KEY, check_queue, queues_on_server
from loader.servers.routing import Servers
from loader.settings import DISCARD, EMBEDDED, LoadOptions
from loader.sources.registry import open_sources
from loader.wire.address import Address, parse_address

_JOB = "doctor"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about a server, a queue and a layout."""

    server: str
    queue: str | None
    layout: str
    findings: list[Finding]

    @property
    def level(self) -> Level:
        """That of the gravest finding."""
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
    """Checks what a load with these options and input would meet.

    Args:
        paths: The input, whose memory is estimated; empty for none.

    Raises:
        UsageError: Options out of range, nothing to check, or an extra that they need is not installed.
    """
    options.check(queue_needed=False)
    if options.to is not None:
        raise UsageError("--to names no Redis, and there is nothing else to check", "Give --redis, or leave it out")
    if options.redis == DISCARD:
        raise UsageError("--redis discard names no server", "Give the one to check")
    if options.queues_file is not None:
        require("yaml", "--queues-file")
    if options.redis != EMBEDDED:
        return await _diagnose(parse_address(options.redis), options, paths)
    require("embedded", "--redis embedded")
    from loader.servers.embedded import EmbeddedServer  # 20 ms that only this option needs

    server = EmbeddedServer(options.embedded_dir)
    address = parse_address(await asyncio.to_thread(server.start))
    try:
        return await _diagnose(address, options, paths)
    finally:
        await asyncio.to_thread(server.stop)


async def _diagnose(address: Address, options: LoadOptions, paths: Sequence[str]) -> Diagnosis:
    configured = None
    if options.queues_file is not None:
        from loader.queues.runqy_yaml import configured_queues  # YAML takes 10 ms that only this option needs

        configured = configured_queues(options.queues_file)
    servers = Servers(address, options.timeout)
    try:
        findings = await _findings(servers, options, paths, configured)
    finally:
        await servers.aclose()
    return Diagnosis(str(address), options.default_queue, options.layout, findings)


async def _findings(
    servers: Servers, options: LoadOptions, paths: Sequence[str], configured: set[str] | None
) -> list[Finding]:
    findings: list[Finding] = []
    try:
        began = time.monotonic()
        await servers.reach("runqy-loader:doctor")
        milliseconds = 1000 * (time.monotonic() - began)
        findings.append(Finding("reachable", "ok", f"{servers} answers ({milliseconds:.0f} ms)"))
        findings += _options(options, servers)
        known, queue = await _known_queues(servers, options, configured)
        findings += queue
        found = await examine(servers, Target(options, options.job or _JOB, known))
    except LoaderError as error:
        return [_of_error("reachable", error)]  # not there, not let in, or loading: nothing more can be known
    findings += found.findings
    if paths and (found.refused is None or found.refused.name == "layout"):
        findings.append(await _estimate(servers, options, paths, found.info))
    return findings


def _options(options: LoadOptions, servers: Servers) -> list[Finding]:
    """What cannot be done on this kind of server."""
    try:
        check_cluster(options, servers)
    except UsageError as error:
        return [_of_error("options", error)]
    return []


async def _known_queues(
    servers: Servers, options: LoadOptions, configured: set[str] | None
) -> tuple[set[str] | None, list[Finding]]:
    """The queues that exist, where the options tell how to know, and whether the load's own is one of them."""
    known, source = configured, str(options.queues_file)
    try:
        if known is None and options.queue_check == "redis":
            known = await queues_on_server(servers.client_of(QUEUES_KEY), str(servers))
            source = f"{QUEUES_KEY} on {servers}"
        if known is None or options.default_queue is None:
            return known, []
        check_queue(options.default_queue, known, source)
    except TransientError:
        raise
    except LoaderError as error:
        return known, [_of_error("queue", error)]
    return known, [Finding("queue", "ok", f"queue {options.default_queue} exists in {source}")]


async def _estimate(servers: Servers, options: LoadOptions, paths: Sequence[str], info: Any) -> Finding:
    if "-" in paths:
        return Finding("estimate", "unknown", "standard input cannot be read ahead")
    if options.default_queue is None and options.queue_field is None and not options.envelope:
        options = replace(options, queue="default")  # a few bytes more or less a task
    try:
        own = [options.rejects] if options.rejects is not None else []
        sources = await open_sources(list(paths), options.format, own)
        return await estimate_finding(servers, options, sources, info)
    except LoaderError as error:
        return _of_error("estimate", error)


def _of_error(name: str, error: LoaderError) -> Finding:
    return Finding(name, "error", str(error.args[0]), error.hint)
