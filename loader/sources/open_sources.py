"""Opens sources. This page also describes how to add a format or a compression.

A new format, such as CSV:

1. A new module here, with a source (see ``loader.sources.base.Source``) and a ``Format`` with its name, its endings and
   the functions that open it. The source passes the bytes of a file through ``Content``, which decompresses them, and
   uses ``BatchLimit`` to end batches.
   ``takes`` says what its files look like (see ``loader.sources.recognition.looks``); without it, no file is looked at.
2. One line in ``FORMATS`` of ``loader.sources.formats``.

A new compression, such as zstd:

1. A new module in ``loader.sources.codecs``, with a ``Decompressor`` and a ``Codec``.
2. One line in ``CODECS`` of ``loader.sources.codecs.registry``.

Then files, directories, globs, standard input, the command line and the Python API accept it, and messages list it. The
help of ``--format`` should name it too (a test checks this). ``tests/integration/test_extension.py`` follows these
steps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from os import PathLike, fspath

from loader.errors import SourceError
from loader.sources.base import Source
from loader.sources.discover import discover
from loader.sources.format import FileSource
from loader.sources.formats import FORMATS
from loader.sources.iterable import IterablePayloads, Payload
from loader.sources.recognition.peek import bad_files, bad_stdin
from loader.sources.transports.stdin import StandardInput

PathArgument = str | PathLike[str]
log = logging.getLogger("runqy_loader")

Input = PathArgument | Sequence[PathArgument] | Iterable[Payload] | AsyncIterable[Payload]


async def open_sources(
    given: Input,
    forced: str | None,
    passing_over: Sequence[PathArgument] = (),
    *,
    force_format: bool = False,
    skip_bad_files: bool = False,
) -> list[Source]:
    """Opens the input: a path, several paths, or an iterable of payloads.

    A ``str`` or path object is a path, and so is each item of a list or tuple of these. Any other input is an iterable
    of payloads. The beginnings of all files are looked at here, and of standard input its first line, before anything
    else is done. Then fingerprints are read, in a thread.

    Args:
        forced: The format of all inputs; None to infer each from its name.
        force_format: Whether to take any content.
        skip_bad_files: Whether to leave out files that cannot be loaded, with a warning.

    Raises:
        UsageError, SourceError: See ``discover`` and ``fingerprint``.
        SourceFormatError: The content of an input does not look like its format. All such inputs are named.
        TypeError: The input is one payload, not an iterable of payloads.
    """
    if isinstance(given, str | PathLike):
        given = [given]
    if isinstance(given, list | tuple) and all(isinstance(item, str | PathLike) for item in given):
        found: Sequence[FileSource] = discover([fspath(item) for item in given], forced, passing_over)
        stdin = await _standard_input(found)
        if not force_format:
            found = await _without_bad_files(found, stdin, given=forced is not None, skip=skip_bad_files)
        return [await _open(source, stdin) for source in found]
    if isinstance(given, bytes | bytearray | memoryview | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        # The items of bytes are numbers, and those of a mapping are its keys.
        raise TypeError(f"give paths or an iterable of payloads, not {type(given).__name__}; [payload] loads one")
    return [IterablePayloads(given)]  # type: ignore[arg-type]


async def _standard_input(sources: Sequence[FileSource]) -> StandardInput | None:
    names = [source.name for source in sources if source.files[0].path is None]
    return await StandardInput.open(names[0]) if names else None


async def _without_bad_files(
    sources: Sequence[FileSource], stdin: StandardInput | None, *, given: bool, skip: bool
) -> Sequence[FileSource]:
    """The sources without files that cannot be loaded, if these are to be skipped.

    Raises:
        SourceError: There are such files, and they are not to be skipped; or no file is left.
    """
    files = [file for source in sources for file in source.files]
    bad = await asyncio.to_thread(bad_files, [file for file in files if file.path is not None], given=given)
    if bad and not skip:
        from loader.sources.bad_files import error_of

        raise error_of(bad)
    if stdin is not None:
        (file,) = (file for file in files if file.path is None)
        if (found := await bad_stdin(file, stdin, given=given)) is not None:
            raise found.error
    if not bad:
        return sources
    from loader.sources.bad_files import faults

    for line in faults(bad):
        log.warning("skipping %s", line)
    left_out = {one.file for one in bad}
    kept = [(source.format, [file for file in source.files if file not in left_out]) for source in sources]
    if not any(files for _, files in kept):
        raise SourceError("no file is left to load", "All are skipped because of what the warnings say")
    return [FileSource.of(form, files) for form, files in kept if files]


async def _open(source: FileSource, stdin: StandardInput | None) -> Source:
    form = FORMATS[source.format]
    if source.files[0].path is None:
        assert form.open_stdin is not None  # noqa: S101 - discover() refuses other formats
        assert stdin is not None  # noqa: S101 - it is open
        return form.open_stdin(source.files[0], stdin)
    return await asyncio.to_thread(form.open_files, source)
