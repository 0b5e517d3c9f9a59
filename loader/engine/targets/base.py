"""The interface between a load and its target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from loader.engine.execution import Execution
from loader.jobs.report import LoadReport
from loader.layouts.compact import Dumps
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sources.base import Source
from loader.tasks.profiles import LayoutName


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


@dataclass(frozen=True, slots=True)
class Choice:
    """The layout that was chosen for options with layout ``auto``.

    Attributes:
        reason: Why it was chosen, as a clause for messages.
        seen: What the preflight has learned of the server by then, so that it does not ask again.
    """

    layout: LayoutName
    reason: str
    seen: object = None


@dataclass(frozen=True, slots=True)
class Cleared:
    """The result of the checks of a load that may begin.

    Attributes:
        forwarded: Full names of the queues in which tasks with a start time of their own run when they are due; None if
            this holds for all queues, or is not checked. Tasks for other queues are rejected.
        compact: Which tasks are dumped, and how; None for no dumps.
        is_consumed: Whether a running consumer serves a queue of the load.
    """

    forwarded: frozenset[str] | None = None
    compact: Dumps | None = None
    is_consumed: bool = False


ChooseLayout = Callable[[Servers, LoadOptions], Awaitable[Choice]]
"""Chooses the layout of options whose layout is ``auto``; raises a LoaderError if the server does not tell it."""

Check = Callable[
    [Servers, LoadOptions, str, frozenset[str] | None, Sequence[Source], Choice | None], Awaitable[Cleared]
]
"""Raises a LoaderError for a load that cannot work.

Its arguments are the servers, the settled options, the job's name, the full names of the queues that exist (None if
this is not checked), the sources, and the choice of the layout if it was made just before.
"""


@dataclass(frozen=True, slots=True)
class Preflight:
    """The checks before a load. They are a parameter because they import this package."""

    choose_layout: ChooseLayout
    check: Check
