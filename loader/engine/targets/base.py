"""What a load asks of its target, whichever kind that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class LoadTarget(Protocol):
    """A target that can be loaded into, time and again between ``open`` and ``close``."""

    async def open(self) -> None:
        """Starts what all loads into it need: most kinds need nothing."""
        return

    async def run(self, plan: LoadPlan, report: LoadReport, execution: Execution) -> None:
        """Loads what is planned, and ends the report.

        Args:
            execution: Runs the shards; what stops it ends the load in order.

        Raises:
            LoaderError: The load failed.
        """
        ...

    async def pending(self) -> int | None:
        """Length of the default queue's pending list; None where there is none, or no answer."""
        return None

    async def close(self) -> None:
        """Ends what ``open`` has started."""
        return


class Preflight(Protocol):
    """Refuses a load that cannot work. It is handed in, as the checks are built on this package."""

    async def __call__(
        self,
        servers: Servers,
        options: LoadOptions,
        job: str,
        known_queues: frozenset[str] | None,
        sources: Sequence[Source],
    ) -> None:
        """Raises LoaderError if the load cannot work, or the server cannot be reached."""
        ...
