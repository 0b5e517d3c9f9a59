"""The error for a finding that keeps a load from starting."""

from __future__ import annotations

from loader.errors import (
    LayoutMismatchError,
    LoaderError,
    RefusedNowError,
    ScheduleError,
    SinkError,
    UnknownQueueError,
)
from loader.preflight.checks import Finding

_KINDS: dict[str, type[LoaderError]] = {
    "layout": LayoutMismatchError,
    "queue_name": UnknownQueueError,
    "spread": UnknownQueueError,
    "schedule": ScheduleError,
}


def refusal(finding: Finding, where: str) -> LoaderError:
    """The error for a finding whose level is error.

    Args:
        where: The server.
    """
    if finding.name == "role":
        return RefusedNowError(f"{where}: {finding.text}", finding.hint, "READONLY")
    return _KINDS.get(finding.name, SinkError)(f"{where}: {finding.text}", finding.hint)
