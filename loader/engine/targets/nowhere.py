"""No target: records are validated (``--dry-run``), or also encoded (``--redis discard``), and nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from loader.engine.execution import Execution
from loader.engine.known_queues import queues_in_file
from loader.engine.part import Channel, Destination, Part
from loader.engine.targets.base import LoadPlan, LoadTarget
from loader.jobs.lease import Run
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sinks.discard import discard


@dataclass(frozen=True, slots=True)
class Validated:
    """See ``Destination``: counts the records that would be loaded."""

    @asynccontextmanager
    async def open(self, part: Part) -> AsyncIterator[Channel]:
        yield Channel(None)


@dataclass(frozen=True, slots=True)
class Discarded:
    """See ``Destination``: does all of the client's work but the sending."""

    @asynccontextmanager
    async def open(self, part: Part) -> AsyncIterator[Channel]:
        yield Channel(discard(part.options, part.job))


class Nowhere(LoadTarget):
    """Loads into no server.

    Attributes:
        destination: What is done with the records.
    """

    def __init__(self, options: LoadOptions, destination: Destination) -> None:
        self.destination = destination
        self._options = options

    async def run(self, plan: LoadPlan, report: LoadReport, execution: Execution) -> None:
        options = self._options
        known = queues_in_file(options)
        known.check(options.default_queue)
        part = Part(options, report.job, self.destination, Run.new(), plan.sources, known.names, options.rejects)
        complete = await execution.run(part, plan.shards, report)
        report.end("completed" if complete else "interrupted")
