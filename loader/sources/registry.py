"""Opens sources by what they are. A new format is one new module and one line here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath

from loader.settings import FormatName
from loader.sources.base import Source
from loader.sources.discover import FileSource, discover
from loader.sources.documents import Documents
from loader.sources.iterable import IterablePayloads, Payload
from loader.sources.lines_source import LinesFile, StandardInput

_FILES: dict[str, Callable[[FileSource], Source]] = {
    "jsonl": lambda source: LinesFile(source.files[0]),
    "json": Documents,
}

PathArgument = str | PathLike[str]
Input = PathArgument | Sequence[PathArgument] | Iterable[Payload] | AsyncIterable[Payload]


async def open_sources(
    given: Input, forced: FormatName | None, passing_over: Sequence[PathArgument] = ()
) -> list[Source]:
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
    if source.files[0].path is None:
        return await StandardInput.open(source.files[0])
    return await asyncio.to_thread(_FILES[source.format], source)
