"""A load over HTTP: its journal and its client around the pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from loader.engine.part import Destination, Part
from loader.errors import UsageError
from loader.jobs.ids_file import append_ids, begin_ids_file
from loader.jobs.report import LoadReport
from loader.sinks.http import HttpSink
from loader.sinks.http_api import endpoint_of
from loader.sinks.journal import Journal

log = logging.getLogger("runqy_loader")


async def load_over_http(
    part: Part, report: LoadReport, manifest: dict[str, Any], run: Callable[[Destination], Awaitable[bool]]
) -> bool:
    """Runs a load against the server of ``part.options.to``; whether all was dealt with.

    Raises:
        LoaderError: See ``Journal``, ``HttpSink`` and ``Pipeline.run``.
    """
    options = part.options
    path = options.journal or Path(f"{part.job}.journal")
    others = [other.resolve() for other in (options.ids_out, options.rejects) if other is not None]
    if path.resolve() in others:
        raise UsageError(f"{path} is the journal, and the file of another option", "Give each its own")
    endpoint = endpoint_of(options)
    with Journal(path, part.job, manifest, keep_ids=options.ids_out is not None) as journal:
        report.journal, report.resumed = str(path), journal.resumed
        if journal.resumed:
            log.info("going on with job %s; %d batches of it are in doubt", part.job, journal.unsettled)
        try:
            async with HttpSink(endpoint, options, journal) as sink:
                if options.ids_out is not None:
                    begin_ids_file(options.ids_out, part.job, None)
                    await asyncio.to_thread(append_ids, options.ids_out, journal.ids())
                    report.ids_file = str(options.ids_out)
                return await run((sink.work, journal.state))
        finally:
            report.unsettled = journal.unsettled
