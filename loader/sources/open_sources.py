"""Opens sources. This page also describes how to add a format or a compression.

A new format:

1. A new module here, with a ``Format``: its name, its endings, and the functions that open it. If its records follow
   each other in a stream of bytes, these give ``StreamSource`` a ``RecordBatcher``, which cuts the bytes into records;
   decompression and the ends of batches are there already. ``loader.sources.values_source`` is an example. Any other
   format needs its own source (see ``loader.sources.base.Source``), which passes the bytes of a file through
   ``Content``, and uses ``BatchLimit`` to end batches, as ``loader.sources.documents`` does.
   ``takes`` says what its files look like (see ``loader.sources.recognition.looks``); without it, no file is looked at.
   ``batcher`` lets members of archives have the format.
2. One line in ``FORMATS`` of ``loader.sources.formats``.

A new compression, such as Brotli:

1. A new module in ``loader.sources.codecs``, with a ``Decompressor`` and a ``Codec``. ``loader.sources.codecs.streams``
   has what libraries with the interface of ``bz2`` need.
2. One line in ``CODECS`` of ``loader.sources.codecs.registry``.

Then files, directories, globs, standard input, the command line and the Python API accept it, and messages list it. The
help of ``--format`` should name it too (a test checks this). ``tests/integration/test_extension.py`` follows these
steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath

from loader.errors import SourceError, UsageError
from loader.settings.tables import DEFAULT_TABLES, TableOptions
from loader.sources.base import Source
from loader.sources.discover import discover, grouped
from loader.sources.format import FileSource, InputFile
from loader.sources.formats import FORMATS, require_use
from loader.sources.generated.wanted import FORMAT as GENERATED
from loader.sources.generated.wanted import GeneratedRecords
from loader.sources.iterable import IterablePayloads, Payload
from loader.sources.problems import Problems
from loader.sources.readable import without_unfit
from loader.sources.recognition.peek import check_stdin, without_bad_files
from loader.sources.remote.spool import Spool
from loader.sources.sql.query import FORMAT, SqlQuery
from loader.sources.transports.stdin import StandardInput

PathArgument = str | PathLike[str]
Input = PathArgument | Sequence[PathArgument] | Iterable[Payload] | AsyncIterable[Payload] | SqlQuery | GeneratedRecords


async def open_sources(
    given: Input,
    forced: str | None,
    passing_over: Sequence[PathArgument] = (),
    problems: Problems | None = None,
    *,
    force_format: bool = False,
    tables: TableOptions = DEFAULT_TABLES,
    spool: Spool | None = None,
    elsewhere: bool = False,
) -> list[Source]:
    """Opens the input: a path, several paths or URLs, an iterable of payloads, a query, or records to generate.

    A ``str`` or path object is a path, and so is each item of a list or tuple of these. Any other input is an iterable
    of payloads. The beginnings of all files are looked at here, and of standard input its first line, before anything
    else is done. Then fingerprints are read, in a thread.

    Args:
        forced: The format of all inputs; None to infer each from its name.
        problems: Collects the files that cannot be loaded. If it skips them, it has them afterwards.
        force_format: Whether to take any content.
        tables: How the rows of tables become records.
        spool: Has the copies of remote files, and must be there as long as the sources are used. Input without URLs
            needs none.
        elsewhere: Whether processes that work in other folders read the sources as well.

    Raises:
        UsageError, SourceError: See ``discover`` and ``Problems.settle``.
        SourceFormatError: The content of an input does not look like its format.
        TypeError: The input is one payload, not an iterable of payloads; or it has URLs, and there is no spool.
    """
    if isinstance(given, SqlQuery):
        require_use(tables, [FORMAT])
        return [await _open_query(given, tables)]
    if isinstance(given, GeneratedRecords):
        require_use(tables, [GENERATED])
        return [await asyncio.to_thread(_open_generated, given)]
    if isinstance(given, str | PathLike):
        given = [given]
    if isinstance(given, list | tuple) and all(isinstance(item, str | PathLike) for item in given):
        problems = Problems() if problems is None else problems
        looks = {"given": forced is not None, "force": force_format}
        paths = [fspath(item) for item in given]
        if any("://" in path for path in paths):
            from loader.sources.remote.open_remote import open_remote  # few loads need it

            if spool is None:
                # One of our own would be gone, and the copies with it, before they are read.
                raise TypeError("input with URLs needs a spool, which lives as long as its sources")
            files = await open_remote(paths, forced, passing_over, problems, spool, force=force_format)
        else:
            files = [file for source in discover(paths, forced, passing_over, problems) for file in source.files]
        files = [replace(file, tables=tables) for file in files]
        if elsewhere:
            files = [file if file.path is None else replace(file, path=file.path.absolute()) for file in files]
        files = await asyncio.to_thread(without_bad_files, files, problems, **looks)
        problems.settle(len(files))
        require_use(tables, [file.format for file in files])
        stdin = await _standard_input(files, given=forced is not None, force=force_format)
        return await _open_all(files, stdin, problems)
    if isinstance(given, bytes | bytearray | memoryview | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        # The items of bytes are numbers, and those of a mapping are its keys.
        raise TypeError(f"give paths or an iterable of payloads, not {type(given).__name__}; [payload] loads one")
    return [IterablePayloads(given)]  # type: ignore[arg-type]


def require_shareable(sources: Sequence[Source]) -> None:
    """Raises UsageError if processes of other machines cannot read one of the sources, each its own part of it."""
    for source in sources:
        if source.identity.end_is_noted:
            raise UsageError(
                f"--engine dask cannot load {source.identity.name}: it can be read only once, and in one piece",
                "Give files that every worker sees, objects of a bucket, or URLs; or load it with --engine local",
            )


async def _open_query(query: SqlQuery, tables: TableOptions) -> Source:
    from loader.sources.sql.sql_source import SqlSource  # no other load needs it

    return await SqlSource.create(query, tables)


def _open_generated(wanted: GeneratedRecords) -> Source:
    from loader.sources.generated.source import GeneratedSource  # no other load needs it

    return GeneratedSource(wanted)


async def _standard_input(files: Sequence[InputFile], *, given: bool, force: bool) -> StandardInput | None:
    """Standard input, if it is among the files, with its first line looked at."""
    for file in files:
        if file.is_stdin:
            stdin = await StandardInput.open(file.name)
            await check_stdin(file, stdin, given=given, force=force)
            return stdin
    return None


async def _open_all(files: list[InputFile], stdin: StandardInput | None, problems: Problems) -> list[Source]:
    opened: dict[FileSource, Source] = {}
    while True:
        found = grouped(files)
        try:
            for source in found:
                if source not in opened:
                    opened[source] = await _open(source, stdin)
            return [opened[source] for source in found]
        except SourceError:
            # A file that cannot be read after its beginning, or has just vanished: rare, so all are looked at again.
            good = await asyncio.to_thread(without_unfit, files, problems)
            if len(good) == len(files):
                raise
            files = good
            problems.settle(len(files))


async def _open(source: FileSource, stdin: StandardInput | None) -> Source:
    form = FORMATS[source.format]
    if source.files[0].is_stdin:
        assert form.open_stdin is not None  # noqa: S101 - discover() refuses other formats
        assert stdin is not None  # noqa: S101 - it is open
        return form.open_stdin(source.files[0], stdin)
    return await asyncio.to_thread(form.open_files, source)
