"""runqy's HTTP API as target: a journal and a client around the pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from loader.engine.ends import Ends
from loader.engine.execution import Execution
from loader.engine.known_queues import KnownQueues, queues_in_file
from loader.engine.part import Channel, Part
from loader.engine.plan import Proposal
from loader.engine.targets.base import LoadTarget
from loader.errors import RejectStormError, SourceChangedError, TooManyRejectsError, UsageError
from loader.jobs.ids_file import append_ids, begin_ids_file
from loader.jobs.lease import Run
from loader.jobs.rejects import rejects_path
from loader.jobs.report import LoadReport
from loader.outputs.place import file_of
from loader.settings import LoadOptions
from loader.sinks.http import HttpSink
from loader.sinks.http_api import Endpoint, endpoint_of
from loader.sinks.journal import Journal
from loader.sources.base import Source

log = logging.getLogger("runqy_loader")


class HttpTarget(LoadTarget):
    """Loads each task at least once; see docs/http.md."""

    def __init__(self, options: LoadOptions) -> None:
        self._options = options

    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        """See ``LoadTarget.run``.

        Raises:
            LoaderError: See ``Journal``, ``HttpSink`` and ``Pipeline.run``.
        """
        options = self._options
        known = queues_in_file(options)
        known.check(*options.own_queues)
        proposal = Proposal.of(options, sources)
        names = proposal.names
        report.job = next((name for name in names if self._journal_path(name).exists()), names[0])
        path = self._journal_path(report.job)
        endpoint = endpoint_of(options)
        try:
            await self._run(proposal, report, execution, known, path, endpoint)
        except RejectStormError:
            if not report.resumed:
                path.unlink()
            raise

    async def _run(
        self,
        proposal: Proposal,
        report: LoadReport,
        execution: Execution,
        known: KnownQueues,
        path: Path,
        endpoint: Endpoint,
    ) -> None:
        options = self._options
        with Journal(path, report.job, proposal.manifest, keep_ids=options.ids_out is not None) as journal:
            report.journal, report.resumed = str(path), journal.resumed
            report.in_doubt += journal.untold
            if journal.resumed:
                log.info("resuming job %s; %d of its batches are in doubt", report.job, journal.unsettled)
            before = journal.recorded
            plan = await proposal.planned(report.job, before)
            report.sources = plan.in_order(report.sources)
            journal.record(plan.manifest)  # a lower limit for records than the recorded one applies from now on
            try:
                async with HttpSink(endpoint, plan.options, journal) as sink:
                    await self._begin_ids_file(report, journal)
                    rejects = rejects_path(file_of(options.rejects), plan.job)
                    part = Part.of(plan, partial(_over_http, sink, journal), Run.new(), known.names, rejects)
                    complete = await execution.run(part, plan.shards, report)
            except (TooManyRejectsError, SourceChangedError):
                if before is not None and not report.loaded:  # what is in may not fit the lower limit
                    journal.record(before)
                raise
            finally:
                report.unsettled = journal.unsettled
        report.end("completed" if complete else "interrupted")

    def _journal_path(self, job: str) -> Path:
        """The path of the journal. Raises UsageError if another option names the same file."""
        options = self._options
        path = options.journal or Path(f"{job}.journal")
        named = (file_of(options.ids_out), file_of(options.rejects))
        others = [other.resolve() for other in named if other is not None]
        if path.resolve() in others:
            raise UsageError(f"{path} is the journal, and the file of another option", "Give each its own")
        return path

    async def _begin_ids_file(self, report: LoadReport, journal: Journal) -> None:
        """Starts the ids file with the ids of batches that are in already. The journal has them from the server."""
        path = file_of(self._options.ids_out)
        if path is not None:
            begin_ids_file(path, report.job, None)
            await asyncio.to_thread(append_ids, path, journal.ids())
            report.ids_file = str(path)


@asynccontextmanager
async def _over_http(sink: HttpSink, journal: Journal, part: Part) -> AsyncIterator[Channel]:
    """The ``Destination``, with both arguments bound. It is never pickled: ``--to`` allows only one process."""
    queues = journal.queues() if part.options.records_name_queues else []
    ends = Ends(journal.ends(), journal.note_end, queues)
    yield Channel(sink.work, journal.state, ids_passed_over=False, ends=ends)
