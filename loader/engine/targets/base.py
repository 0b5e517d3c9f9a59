"""What a load asks of its target, whichever kind that is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loader.engine.execution import Execution
from loader.jobs.report import LoadReport
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sources.base import Source
from loader.sources.shards import Shard


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What one load is to bring in.

    Attributes:
        manifest: See ``loader.jobs.job.manifest_of``.
    """

    sources: Sequence[Source]
    shards: Sequence[Shard]
    manifest: dict[str, Any]


class LoadTarget(ABC):
    """A target that can be loaded into, time and again between ``open`` and ``close``."""

    async def open(self) -> None:
        """Starts what all loads into it need: most kinds need nothing."""
        return

    @abstractmethod
    async def run(self, plan: LoadPlan, report: LoadReport, execution: Execution) -> None:
        """Loads what is planned, and ends the report.

        Args:
            execution: Runs the shards; what stops it ends the load in order.

        Raises:
            LoaderError: The load failed.
        """

    async def pending(self) -> int | None:
        """Length of the default queue's pending list; None where there is none, or no answer."""
        return None

    async def close(self) -> None:
        """Ends what ``open`` has started."""
        return


Preflight = Callable[[Servers, LoadOptions, str, frozenset[str] | None, Sequence[Source]], Awaitable[None]]
"""Refuses a load that cannot work, by a LoaderError. It is handed in, as the checks are built on this package.

Of the load it is told the job's name, the full names of the queues that exist (None where that is not checked), and the
sources.
"""
