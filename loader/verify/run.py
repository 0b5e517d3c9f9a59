"""One comparison from its options to its report: what ``runqy-loader verify`` runs. It writes nothing to Redis."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from loader.engine.engines.local import LocalEngine
from loader.engine.execution import Execution
from loader.engine.targets.registry import require_extras
from loader.errors import LoaderError, UsageError
from loader.jobs.job_keys import queues_of
from loader.jobs.standing import Standing, read_standing
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.settings.option import flag_of
from loader.settings.server_address import server_address
from loader.settings.table_fields import table_flags, table_texts
from loader.settings.tables import TableOptions
from loader.shaping.settle import settled_shape
from loader.sources.base import Source
from loader.sources.generated.wanted import FORMAT as GENERATED
from loader.sources.open_sources import open_sources
from loader.sources.option_input import input_of
from loader.sources.problems import Problems
from loader.sources.remote.address import as_key, hides_something, is_url
from loader.sources.remote.spool import Spool
from loader.sources.sql.query import FORMAT as SQL
from loader.verify.access import Access
from loader.verify.by_input import InputComparison
from loader.verify.by_ledger import LedgerComparison
from loader.verify.listed import Listed
from loader.verify.look import Stored
from loader.verify.options import VerifyOptions
from loader.verify.report import VerifyReport
from loader.wire.address import Address
from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis

_WORKERS = 4
_OF_JOB = ("queue", "queue_field", "id_field", "envelope", "layout", "profile", "accept_any_json")
"""The options of a load that its job's record has."""

log = logging.getLogger("runqy_loader")


class Verifier:
    """Compares input, or what a job's ledgers say, with what Redis has of it.

    Args:
        load: The options of the load. For ``run_job``, those of the server are enough.
        write: Writes each difference as a line of JSON.
        own: Files that this run writes. They are no input.

    Attributes:
        report: Counts, updated as it runs.
        has_begun: Whether the input is known to be none of ``own``.

    Raises:
        UsageError: Options are out of range or contradict each other, or there is no Redis to look at.
    """

    def __init__(
        self,
        load: LoadOptions,
        options: VerifyOptions,
        write: Callable[[bytes], None] | None = None,
        own: Sequence[Path] = (),
    ) -> None:
        load.check(queue_needed=False)
        options.check()
        if load.preview is not None:
            raise UsageError(
                "--preview shows tasks that are not written: verify has nothing to compare", "Leave it out"
            )
        require_extras(load)
        match load.target:
            case ToHttp():
                raise UsageError("--to names no Redis: verify looks at the server itself", "Give --redis")
            case ToDiscard():
                raise UsageError("--redis discard keeps nothing to look at", "Give the server of the load")
            case ToEmbedded(None):
                raise UsageError("--redis embedded has nothing without --embedded-dir", "Give the folder of the load")
        self._load = replace(
            settled_shape(load),
            max_errors="none",
            rejects=None,
            ids_out=None,
            preview=None,
            workers=_WORKERS,
            processes=1,
        )
        self._options = options
        self._given = load
        self._own = list(own)
        self.has_begun = False
        self._execution = Execution(LocalEngine())
        self._stopping = False
        self.report = VerifyReport(load.job or "", load.layout, undrained=options.undrained, write=write)

    def stop(self) -> None:
        """Makes ``run`` end soon."""
        self._stopping = True
        self._execution.stop()

    async def run(self, paths: Sequence[str]) -> VerifyReport:
        """Compares the records of these files with the server.

        Raises:
            LoaderError: The input cannot be read, or the server refuses or cannot be reached.
        """
        self._load.check()
        async with self._reported(), self._access() as access:
            await self._by_input(access, self._load, paths)
        return self.report

    async def run_job(self, name: str) -> VerifyReport:
        """Compares the input of a job with the server, if its files are here; otherwise what its ledgers say.

        Raises:
            LoaderError: There is no such job, its tasks are not known without its input, or the server refuses or
                cannot be reached.
        """
        given_too = [
            *table_flags(self._given.tables),
            *(flag_of(one) for one in _OF_JOB if getattr(self._given, one) not in (None, False, "auto")),
            *map(flag_of, self._load.shape),
        ]
        if given_too:
            raise UsageError(
                f"{given_too[0]}: the record of job {name} has it", "Leave it out, or name the input instead"
            )
        async with self._reported(), self._access() as access:
            job = await access.retry(lambda: read_standing(access.servers, name))
            self.report.job = name
            if job.manifest is None:
                raise UsageError(
                    f"{access.servers} has no record of a job {name}", "runqy-loader jobs lists the jobs there"
                )
            if job.is_migration:
                raise UsageError(f"job {name} is a migration", "verify compares what load has loaded")
            given: dict[str, Any] = {one: job.manifest.get(one) for one in _OF_JOB if job.manifest.get(one) is not None}
            given |= table_texts(TableOptions.of_record(job.manifest.get("tables", {})))
            shape = job.manifest.get("shape", {})
            given |= {name: tuple(value) if isinstance(value, list) else value for name, value in shape.items()}
            given |= {"spread": len(job.manifest["spread"])} if "spread" in job.manifest else {}
            load = settled_shape(replace(self._load, job=name, type=job.manifest["tasks"].get("type"), **given))
            if (paths := _files(job.manifest)) is not None:
                await self._by_input(access, load, paths)
            else:
                await self._by_ledger(access, load, job)
        return self.report

    @asynccontextmanager
    async def _reported(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            self.report.fail(error)
            raise

    @asynccontextmanager
    async def _access(self) -> AsyncIterator[Access]:
        async with self._address() as address:
            access = Access(Servers(address, self._load.timeout), self._load)
            try:
                await access.reach()
                yield access
            finally:
                await access.servers.aclose()

    @asynccontextmanager
    async def _address(self) -> AsyncIterator[Address]:
        match self._load.target:
            case ToRedis():
                yield server_address(self._load)
            case ToEmbedded(directory):
                from loader.servers.embedded import embedded_server  # 20 ms, only needed here

                async with embedded_server(directory) as address:
                    yield address

    async def _by_input(self, access: Access, load: LoadOptions, paths: Sequence[str]) -> None:
        with Spool() as spool:
            problems = Problems(skip=load.skip_bad_files)
            sources = await open_sources(
                input_of(load, list(paths)),
                load.format,
                self._own,
                problems,
                force_format=load.force_format,
                tables=load.tables,
                spool=spool,
            )
            self.has_begun = True
            await self._compare(access, load, sources)

    async def _compare(self, access: Access, load: LoadOptions, sources: Sequence[Source]) -> None:
        comparison = InputComparison(access, load, self._options, self.report, self._execution)
        try:
            await comparison.find(sources)
            await self._warn_if_loading(access, self.report.job)
            complete = await comparison.compare()
        finally:
            comparison.close()
        self.report.end("completed" if complete else "interrupted")

    async def _by_ledger(self, access: Access, load: LoadOptions, job: Standing) -> None:
        report = self.report
        report.layout, report.input_read, report.recorded = load.layout_name, False, True
        self.has_begun = True
        if job.has_own_ids:
            raise LoaderError(
                f"the ids of job {job.name} come from its records, and its input is not here",
                "Give the input and the options of its load: runqy-loader verify PATH... --job " + job.name,
            )
        await self._warn_if_loading(access, job.name)
        listed, reader = Listed(), access.reader()

        async def look(queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
            return await access.stored(reader, load.layout_name, queue, ids)

        try:
            comparison = LedgerComparison(access.servers, job, report, look, listed, self._options.share)
            for queue in await access.retry(lambda: queues_of(access.servers, job)):
                if not await comparison.compare(queue, lambda: self._stopping):
                    report.end("interrupted")
                    return
            if self._options.compare is None:
                await access.compare_lists(load.layout_name, listed, report)
        finally:
            reader.drop()
            listed.close()
        report.end("completed")

    async def _warn_if_loading(self, access: Access, name: str) -> None:
        job = await access.retry(lambda: read_standing(access.servers, name))
        if job.holder is not None:
            log.warning("job %s is being loaded: tasks on their way may be shown as missing", name)


def _files(manifest: dict[str, Any]) -> list[str] | None:
    """The input of a job, if all its files are here with the sizes that they had, or elsewhere at URLs without secrets;
    None if not."""
    sources = manifest.get("sources", [])
    for source in sources:
        if source["format"] in (SQL, GENERATED):
            return None  # it is no file: what its name says is not all of it
        if is_url(source["name"]) and not hides_something(source["name"]):
            continue
        path = Path(source["name"])
        if not path.is_file() or path.stat().st_size != source["size"]:
            return None
    return [as_key(name) if is_url(name := source["name"]) else name for source in sources] or None
