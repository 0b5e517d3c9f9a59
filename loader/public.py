"""The Python API as programs import it. Its errors name parameters, where the command line names options."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from loader import api
from loader.errors import LoaderError, SinkError, UsageError
from loader.joblist import api as joblist
from loader.joblist.options import JobsOptions
from loader.joblist.view import JobView
from loader.jobs.report import LoadReport
from loader.results import api as results
from loader.results.api import TaskRef
from loader.results.options import WaitOptions
from loader.results.result import TaskResult
from loader.settings import LoadOptions
from loader.settings.option import Options
from loader.settings.shared import REDIS_URL
from loader.settings.wording import as_parameters
from loader.sources.open_sources import Input
from loader.undo import api as undo
from loader.undo.options import RollbackOptions
from loader.undo.report import RollbackReport
from loader.watch import api as watching
from loader.watch.options import WatchOptions
from loader.watch.watcher import Observation

if TYPE_CHECKING:
    from loader.settings.keywords import JobsKeywords, LoadKeywords, RollbackKeywords, WaitKeywords, WatchKeywords


class Loader(api.Loader):
    __doc__ = api.Loader.__doc__

    def __init__(self, options: LoadOptions | None = None, **fields: Unpack[LoadKeywords]) -> None:
        _check_names(fields, LoadOptions)
        with _named(fields if options is None else {"redis": options.redis}):
            super().__init__(options, **fields)

    async def __aenter__(self) -> Self:
        with _named({}):
            return await super().__aenter__()

    async def load(self, given: Input = (), *, passing_over: Sequence[Path] = ()) -> LoadReport:
        try:
            with _named({}):
                return await super().load(given, passing_over=passing_over)
        except LoaderError as error:
            if self.report is not None and self.report.error is not None:
                self.report.error = str(error)
            raise

    load.__doc__ = api.Loader.load.__doc__


async def load(given: Input = (), **fields: Unpack[LoadKeywords]) -> LoadReport:
    """Loads payloads and returns the report: a ``Loader`` in one call. Keywords are the fields of ``LoadOptions``.

    Raises:
        LoaderError: See ``Loader.load``.
    """
    async with Loader(**fields) as loader:
        return await loader.load(given)


def wait_for_results(
    tasks: Iterable[TaskRef], *, loaded: bool = False, **fields: Unpack[WaitKeywords]
) -> AsyncGenerator[TaskResult, None]:
    with _named(fields, WaitOptions):
        return _results(results.wait_for_results(tasks, loaded=loaded, **fields), fields)


async def wait_for_result(task: TaskRef, *, loaded: bool = False, **fields: Unpack[WaitKeywords]) -> TaskResult:
    with _named(fields, WaitOptions):
        return await results.wait_for_result(task, loaded=loaded, **fields)


async def rollback(job: str, **fields: Unpack[RollbackKeywords]) -> RollbackReport:
    with _named(fields, RollbackOptions):
        fields.setdefault("redis", REDIS_URL())
        return await undo.rollback(job, **fields)


async def list_jobs(**fields: Unpack[JobsKeywords]) -> list[JobView]:
    with _named(fields, JobsOptions):
        fields.setdefault("redis", REDIS_URL())
        return await joblist.list_jobs(**fields)


async def pause_job(job: str, **fields: Unpack[JobsKeywords]) -> JobView:
    with _named(fields, JobsOptions):
        fields.setdefault("redis", REDIS_URL())
        return await joblist.pause_job(job, **fields)


async def resume_job(job: str, **fields: Unpack[JobsKeywords]) -> JobView:
    with _named(fields, JobsOptions):
        fields.setdefault("redis", REDIS_URL())
        return await joblist.resume_job(job, **fields)


async def change_job_rate(job: str, rate: float | str | None, **fields: Unpack[JobsKeywords]) -> JobView:
    with _named(fields, JobsOptions):
        fields.setdefault("redis", REDIS_URL())
        return await joblist.change_job_rate(job, rate, **fields)


def watch_queues(**fields: Unpack[WatchKeywords]) -> AsyncGenerator[Observation, None]:
    with _named(fields, WatchOptions):
        return _observations(watching.watch_queues(**fields), fields)


rollback.__doc__ = undo.rollback.__doc__
list_jobs.__doc__ = joblist.list_jobs.__doc__
pause_job.__doc__ = joblist.pause_job.__doc__
resume_job.__doc__ = joblist.resume_job.__doc__
change_job_rate.__doc__ = joblist.change_job_rate.__doc__
wait_for_results.__doc__ = results.wait_for_results.__doc__
wait_for_result.__doc__ = results.wait_for_result.__doc__
watch_queues.__doc__ = watching.watch_queues.__doc__


async def _results(
    found: AsyncGenerator[TaskResult, None], fields: Mapping[str, Any]
) -> AsyncGenerator[TaskResult, None]:
    with _named(fields, WaitOptions):
        try:
            async for result in found:
                yield result
        finally:
            await found.aclose()


async def _observations(
    found: AsyncGenerator[Observation, None], fields: Mapping[str, Any]
) -> AsyncGenerator[Observation, None]:
    with _named(fields, WatchOptions):
        try:
            async for observation in found:
                yield observation
        finally:
            await found.aclose()


def _check_names(fields: Mapping[str, Any], kind: type[LoadOptions]) -> None:
    """Refuses a parameter that does not exist, with the one that was probably meant."""
    for name in fields.keys() - kind.__dataclass_fields__.keys():
        from difflib import get_close_matches  # only needed for a mistake

        near = get_close_matches(name, kind.__dataclass_fields__, n=1)
        raise TypeError(f"there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


@contextmanager
def _named(fields: Mapping[str, Any], *kinds: type[Options]) -> Iterator[None]:
    """Has errors name parameters, and removes the errors that they were made from: a user's mistake needs none.

    Args:
        fields: The parameters given, to tell whether the server's address comes from the environment.
        kinds: The options class, if it is not ``LoadOptions``.
    """
    try:
        yield
    except LoaderError as error:
        words: list[str] = [as_parameters(text, kinds or (LoadOptions,)) for text in (str(error.args[0]), error.hint)]
        url = os.environ.get(REDIS_URL.variable)
        if isinstance(error, UsageError) and words[0].startswith("redis") and url and fields.get("redis", url) == url:
            words[0] = f"{REDIS_URL.variable}: {words[0]}"
        error.args, error.hint = (words[0],), words[1]
        if type(error) is SinkError:
            raise  # what the server has answered
        raise error from None
