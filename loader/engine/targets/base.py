"""The interface between a load and its target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from loader.engine.execution import Execution
from loader.jobs.report import LoadReport
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sources.base import Source


class LoadTarget(ABC):
    """A target for any number of loads between ``open`` and ``close``."""

    async def open(self) -> None:
        """Starts what all loads into this target need. Most kinds need nothing."""
        return

    @abstractmethod
    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        """Runs the load of some sources, and ends the report.

        Args:
            report: Its job may be changed: the target knows under which name the job was begun.
            execution: Runs the shards. Stopping it ends the load in good order.

        Raises:
            LoaderError: The load failed.
        """

    async def pending(self) -> int | None:
        """Length of the default queue's pending list; None if there is no such list, or no answer."""
        return None

    async def close(self) -> None:
        """Stops what ``open`` has started."""
        return


Preflight = Callable[[Servers, LoadOptions, str, frozenset[str] | None, Sequence[Source]], Awaitable[None]]
"""Raises a LoaderError for a load that cannot work. It is a parameter because the checks import this package.

Its arguments are the servers, the options, the job's name, the full names of the queues that exist (None if this is not
checked), and the sources.
"""
