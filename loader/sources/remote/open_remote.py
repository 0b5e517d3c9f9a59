"""From paths and URLs to files that are ready to be looked at and read."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from loader.sources.discover import discover
from loader.sources.format import InputFile
from loader.sources.problems import Problems
from loader.sources.remote.expand import Sites, expand_all
from loader.sources.remote.prepare import Preparation
from loader.sources.remote.spool import Spool


async def open_remote(
    paths: Sequence[str],
    forced: str | None,
    passing_over: Sequence[str | PathLike[str]],
    problems: Problems,
    spool: Spool,
    *,
    force: bool,
) -> list[InputFile]:
    """The files of an input that may have URLs: files here, what is pinned elsewhere, and copies.

    Args:
        forced, passing_over, problems: See ``discover``.
        force: Whether any content is taken.

    Raises:
        UsageError, SourceError: See ``discover`` and ``expand``.
    """
    sites = Sites()
    good: list[InputFile] = []
    try:
        found = discover(paths, forced, passing_over, problems, await expand_all(paths, sites))
        preparation = Preparation(spool, given=forced is not None, force=force)
        for file in await preparation.of([file for source in found for file in source.files]):
            if isinstance(file, InputFile):
                good.append(file)
            else:
                problems.add(file)
    finally:
        await sites.aclose()
    return good
