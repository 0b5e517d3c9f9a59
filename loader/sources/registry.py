"""Opens sources by what they are, and tells how to add one.

A new format, such as CSV:

1. A new module here, with a source (see ``loader.sources.base.Source``) and a ``Format`` that says what it is called,
   how its files end and how it is opened. The bytes of a file go through ``Content``, which decompresses them, and
   where a batch ends is for ``BatchLimit`` to say.
2. One line in ``FORMATS`` of ``loader.sources.formats``.

A new compression, such as zstd:

1. A new module in ``loader.sources.codecs``, with a ``Decompressor`` and a ``Codec``.
2. One line in ``CODECS`` of ``loader.sources.codecs.registry``.

Then files, directories, globs, standard input, the command line and the Python API take it, and messages list it; the
help of ``--format`` should name it too (a test says so). ``tests/integration/test_extension.py`` follows these steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from os import PathLike, fspath

from loader.sources.base import Source
from loader.sources.discover import discover
from loader.sources.format import FileSource
from loader.sources.formats import FORMATS
from loader.sources.iterable import IterablePayloads, Payload

PathArgument = str | PathLike[str]
Input = PathArgument | Sequence[PathArgument] | Iterable[Payload] | AsyncIterable[Payload]


async def open_sources(given: Input, forced: str | None, passing_over: Sequence[PathArgument] = ()) -> list[Source]:
    """Opens what the user gave: a path, several paths, or an iterable of payloads.

    A ``str`` or path is a path; so is each item of a list or tuple of these; anything else is taken as payloads.
    Fingerprints are taken here, in a thread.

    Raises:
        UsageError, SourceError: See ``discover`` and ``fingerprint``.
        TypeError: It is one payload, not an iterable of payloads.
    """
    if isinstance(given, str | PathLike):
        given = [given]
    if isinstance(given, list | tuple) and all(isinstance(item, str | PathLike) for item in given):
        found = discover([fspath(item) for item in given], forced, passing_over)
        return [await _open(source) for source in found]
    if isinstance(given, bytes | bytearray | memoryview | Mapping) or not isinstance(given, Iterable | AsyncIterable):
        # Bytes would be loaded as numbers, a mapping as its keys.
        raise TypeError(f"give paths or an iterable of payloads, not {type(given).__name__}; [payload] loads one")
    return [IterablePayloads(given)]  # type: ignore[arg-type]


async def _open(source: FileSource) -> Source:
    form = FORMATS[source.format]
    if source.files[0].path is None:
        assert form.open_stdin is not None  # noqa: S101 - discover has refused it
        return await form.open_stdin(source.files[0])
    return await asyncio.to_thread(form.open_files, source)
