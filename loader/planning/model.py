"""A plan, from what is wanted and what was measured. Pure: no clock, no server."""

from __future__ import annotations

from collections.abc import Mapping

from loader.planning.advice import notes, settings, warnings
from loader.planning.capacity import MOST_SERVERS, servers_needed
from loader.planning.figure import Plan
from loader.planning.sections import sections
from loader.planning.wanted import Known, Wanted
from loader.planning.work import Work


def plan(wanted: Wanted, known: Known, sources: Mapping[str, str]) -> Plan:
    """The plan.

    Args:
        sources: The measurements, by their keys.

    Raises:
        ValueError: No number of servers is enough.
    """
    servers = servers_needed(wanted, known)
    if servers is None:
        raise ValueError(f"not even {MOST_SERVERS:,} servers are enough")
    work = Work.on(servers, wanted, known)
    return Plan(list(sections(work)), list(settings(work)), list(warnings(work)), list(notes(work)), dict(sources))
