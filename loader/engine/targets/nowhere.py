"""No target: records are validated (``--dry-run``), or also encoded (``--redis discard``), and nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from loader.engine.execution import Execution
from loader.engine.known_queues import queues_in_file
from loader.engine.part import Channel, Destination, Part
from loader.engine.plan import Proposal
from loader.engine.targets.base import LoadTarget
from loader.jobs.lease import Run
from loader.jobs.report import LoadReport
from loader.outputs.place import file_of
from loader.settings import LoadOptions
from loader.sinks.discard import discard
from loader.sources.base import Source


@asynccontextmanager
async def validated(part: Part) -> AsyncIterator[Channel]:
    """The ``Destination`` that only counts the records that would be loaded."""
    yield Channel(None)


@asynccontextmanager
async def discarded(part: Part) -> AsyncIterator[Channel]:
    """The ``Destination`` for which the client does all its work except the sending."""
    yield Channel(discard(part.options, part.job))


class Nowhere(LoadTarget):
    """A target without a server.

    Attributes:
        destination: Validates the records, or also encodes them.
    """

    def __init__(self, options: LoadOptions, destination: Destination) -> None:
        self.destination = destination
        self._options = options

    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        options = self._options
        known = queues_in_file(options)
        known.check(*options.own_queues)
        proposal = Proposal.of(options, sources)
        plan = await proposal.planned(proposal.names[0])
        report.job = plan.job
        part = Part.of(plan, self.destination, Run.new(), known.names, file_of(options.rejects))
        complete = await execution.run(part, plan.shards, report)
        report.end("completed" if complete else "interrupted")
