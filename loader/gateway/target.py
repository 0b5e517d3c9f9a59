"""Checks the server before the gateway accepts tasks: no gateway is better than tasks that no worker will ever see."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace

from loader.errors import UsageError
from loader.gateway.options import ServeOptions
from loader.layouts.compact import Dumps
from loader.preflight.choice import choose_layout
from loader.preflight.examine import examine
from loader.preflight.intended import IntendedLoad
from loader.preflight.refusal import refusal
from loader.servers.closing import close_quietly
from loader.servers.routing import Servers
from loader.settings import settled
from loader.wire.address import Address

_LOAD_ONLY = ("rights", "optional")
"""Findings about steps that a load does and a gateway does not."""

log = logging.getLogger("runqy_loader")


_AROUND = 4096
"""Bytes that a stored message may have beside its payload, and a body beside the payload of its one job."""


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """A server that the gateway can work with.

    Attributes:
        options: The options, with the layout that was chosen if it was left open.
        longest: The longest payload that the server accepts, in bytes; None if no body is longer, or the server does
            not tell.
        compact: Which tasks are dumped, and how; None for no dumps.
    """

    options: ServeOptions
    longest: int | None
    compact: Dumps | None


async def check_target(options: ServeOptions, address: Address, known: Collection[str] | None) -> CheckedTarget:
    """Refuses a server that the gateway cannot work with, and warns of what may go wrong.

    Args:
        known: Full names of the queues that exist; None if they are not known.

    Raises:
        LayoutMismatchError: The server is used with another layout, or in a way that does not tell which to choose.
        UsageError: The server is a cluster.
        LoaderError: The server cannot be reached, or cannot be written to.
    """
    servers = Servers(address, options.timeout)
    try:
        await servers.reach("runqy-loader:gateway:preflight")
        if servers.is_cluster:
            raise UsageError(f"{servers} is a Redis Cluster, which serve cannot write to", "Name a standalone server")
        # Check the server as for a load whose records name their queues.
        options_to_check = replace(
            options.load_options(),
            queue=None,
            queue_field="queue",
            redis=options.redis,
            force_layout=options.force_layout,
            max_record_bytes=options.max_body_bytes,
        )
        choice = None
        if options.layout == "auto":
            choice = await choose_layout(servers, options_to_check, known)
            log.info("layout %s: %s", choice.layout, choice.reason)
            options = replace(options, layout=choice.layout)
            options_to_check = settled(options_to_check, choice.layout)
        report = await examine(servers, IntendedLoad(options_to_check, "gateway", known), choice)
    finally:
        await close_quietly(servers.aclose())
    findings = [finding for finding in report.findings if finding.name not in _LOAD_ONLY]
    if (refused := next((finding for finding in findings if finding.level == "error"), None)) is not None:
        raise refusal(refused, str(servers))
    for finding in findings:
        if finding.level == "warning":
            log.warning("%s: %s", servers, finding)
    log.info("%s", report.how)
    longest = None
    if report.largest_value is not None and report.largest_value.size - _AROUND < options.max_body_bytes:
        longest = report.largest_value.size - _AROUND
    return CheckedTarget(options, longest, report.cleared.compact)
