"""The Python API for loads: ``Loader`` and ``load``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from loader.engine.engines.registry import engine_of
from loader.engine.execution import Execution, StoppedError
from loader.engine.queue_field import require_queue_field
from loader.engine.targets.base import Preflight
from loader.engine.targets.registry import asks_server, target_for
from loader.errors import SourceError, UsageError
from loader.jobs.rejects import rejects_path
from loader.jobs.report import LoadReport, SkippedFile, SourceReport
from loader.outputs.gzip import repair_gzip
from loader.outputs.place import file_of
from loader.outputs.writable import why_unwritable
from loader.preflight.choice import choose_layout
from loader.preflight.examine import check_before_load
from loader.settings import LoadOptions, settled
from loader.settings.check import prove_writable
from loader.shaping.settle import settled_shape
from loader.sources.base import Source, SourceIdentity
from loader.sources.open_sources import Input, open_sources, require_shareable
from loader.sources.option_input import input_of
from loader.sources.problems import Problems
from loader.sources.remote.spool import Spool
from loader.sources.sql.query import FORMAT as SQL
from loader.spans import span
from loader.wire.target import ToDiscard, ToHttp

if TYPE_CHECKING:
    from loader.settings.keywords import LoadKeywords


log = logging.getLogger("runqy_loader")


class Loader:
    """Loads payloads into a queue. Use it with ``async with``; several loads may follow each other.

    Args:
        options: The options; alternatively, give the fields of ``LoadOptions`` as keyword arguments.

    Raises:
        UsageError: Options are out of range, ``redis`` is not a valid URL, or a required extra is not installed.

    Example:
        >>> async with Loader(queue="inference", redis="redis://localhost:6379/0") as loader:
        ...     report = await loader.load(["payloads.jsonl"])
    """

    def __init__(self, options: LoadOptions | None = None, **fields: Unpack[LoadKeywords]) -> None:
        if options is not None and fields:
            raise TypeError("give a LoadOptions or its fields, not both")
        self.options = options or LoadOptions(**cast(dict[str, Any], fields))
        self.options.check()
        if self.options.detach:
            raise UsageError("detach is for the command line", "Give the options without it to a Loader on the cluster")
        self.options = settled_shape(self.options)
        self.report: LoadReport | None = None
        if self.options.preview is not None and self.options.layout == "auto" and not self.options.implied_layout:
            log.info("no server was asked for the layout: with --layout asynq, generated ids and options differ")
        if not asks_server(self.options):
            self.options = settled(self.options, self.options.layout_without_server)
        self._target = target_for(self.options, Preflight(choose_layout, check_before_load))
        self._execution = Execution(engine_of(self.options))

    async def __aenter__(self) -> Self:
        await self._target.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._target.close()

    @property
    def batches_waiting(self) -> int:
        """The number of batches in the bounded queue."""
        return self._execution.batches_waiting

    @property
    def is_under_way(self) -> bool:
        """Whether all checks of the load that runs have passed, and it loads."""
        return self._execution.has_begun

    def stop(self) -> None:
        """Ends a running load soon. Batches in flight are acknowledged, then ``load`` returns with 'interrupted'."""
        self._execution.stop()

    async def pending(self) -> int | None:
        """Length of the target queue's pending list; None if there is no single queue, or no answer."""
        return await self._target.pending()

    async def load(self, given: Input = (), *, passing_over: Sequence[Path] = ()) -> LoadReport:
        """Loads every record of the input that this job has not loaded yet.

        Args:
            given: A path or URL, a list of these (globs, directories and '-' included), or an iterable or async
                iterable of payloads. Bytes are JSON text. Any other payload is written as JSON, or rejected if that
                fails. Nothing if the option ``sql`` or ``sql_file`` is given.
            passing_over: Files to skip although they are in a directory or match a glob. The rejects files of this job
                and of other jobs are always skipped.

        Returns:
            The report; ``report.status`` is 'completed' or 'interrupted'.

        Raises:
            LoaderError: The load failed. Loaded records stay loaded, and the same call goes on from there. The counts
                so far are in ``self.report``.
        """
        self.report = None
        options = self.options
        prove_writable([options])
        if options.preview is None:
            repair_gzip(file_of(options.rejects), "--rejects")
        written = (file_of(options.rejects), file_of(options.ids_out), options.journal)
        own = [*passing_over, *(path for path in written if path is not None)]
        problems = Problems(skip=options.skip_bad_files)
        with Spool() as spool:
            opening = open_sources(
                input_of(options, given),
                options.format,
                own,
                problems,
                force_format=options.force_format,
                tables=options.tables,
                spool=spool,
                elsewhere=self._execution.is_spread,
            )
            return await self._load(opening, problems)

    async def _load(self, opening: Coroutine[Any, Any, list[Source]], problems: Problems) -> LoadReport:
        options = self.options
        try:
            with span("open input"):
                sources = await self._execution.unless_stopped(opening)
        except StoppedError:  # most often, it has waited for standard input
            self._execution = Execution(engine_of(self.options))
            report = _report(options, [])
            report.end("interrupted")
            return report
        self.report = report = _report(options, [source.identity for source in sources])
        report.skipped_files += [SkippedFile(problem.name, problem.what) for problem in problems.skipped]
        _warn_of_rejects(options)
        _warn_of_copies(sources)
        try:
            if self._execution.is_spread:
                require_shareable(sources)
            await require_queue_field(options, sources)
            await self._target.run(sources, report, self._execution)
            _require_records(report)
        except Exception as error:  # also exceptions of the caller's iterable
            report.fail(error)
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        finally:
            self._execution = Execution(engine_of(self.options))
        return report


async def load(given: Input = (), **fields: Unpack[LoadKeywords]) -> LoadReport:
    """Loads payloads and returns the report: a ``Loader`` in one call. Keywords are the fields of ``LoadOptions``.

    Raises:
        LoaderError: See ``Loader.load``.
    """
    async with Loader(**fields) as loader:
        return await loader.load(given)


def _report(options: LoadOptions, sources: Sequence[SourceIdentity]) -> LoadReport:
    named_by = repr(options.queue_field) if options.queue_from is None else f"--queue-from {options.queue_from}"
    falls_back = (options.queue_field or options.queue_from) is not None and options.queue is not None
    return LoadReport(
        job=options.job or "",
        layout="http" if isinstance(options.target, ToHttp) else options.layout,
        sources=[SourceReport(source.name, source.format, source.size) for source in sources],
        dry_run=options.writes_nothing,
        discarded=isinstance(options.target, ToDiscard),
        fallback=f"{named_by}: into {options.default_queue}" if falls_back else "",
    )


def _warn_of_rejects(options: LoadOptions) -> None:
    """Warns if the rejects file that no option names cannot be written: the first bad record will end the load."""
    path = rejects_path(None, options.job or "JOB")
    if options.rejects is not None or options.writes_nothing:
        return
    if (error := why_unwritable(path)) is not None:
        log.warning(
            "%s cannot be written here (%s): name a file with --rejects, or the first bad record ends the load",
            path,
            error.strerror,
        )


def _warn_of_copies(sources: Sequence[Source]) -> None:
    """Warns of files with the same content: most likely, a copy is among them by mistake."""
    seen: dict[str, str] = {}
    for identity in (source.identity for source in sources):
        if identity.digest and not identity.is_empty:
            first = seen.setdefault(identity.digest, identity.name)
            if first != identity.name:
                log.warning("%s has the same content as %s: its records are loaded a second time", identity.name, first)


def _require_records(report: LoadReport) -> None:
    """Raises SourceError for an empty input: more likely, the producer of the input has failed."""
    if all(source.format == SQL for source in report.sources):
        return  # an empty answer is one
    if report.status == "completed" and not report.records_read:
        names = ", ".join(source.name for source in report.sources[:3])
        raise SourceError(f"no record in {names}", "Check the program that writes it")
