"""Sources of JSON lines: a file, or standard input."""

from __future__ import annotations

import asyncio

from loader.sources.codecs.registry import DETECTABLE, detect
from loader.sources.fingerprint import unreadable
from loader.sources.format import FileSource, Format, InputFile
from loader.sources.lines import LineBatcher
from loader.sources.recognition.looks import FIRST_ARRAY, LINE_OF_OBJECTS, LINE_OF_VALUES, LINES, LONG_ARRAY, ONE_LINE
from loader.sources.stream_source import StreamSource
from loader.sources.transports.file import StoredFile
from loader.sources.transports.transport import CHUNK, Transport


class LinesFile(StreamSource):
    """Lines of a file. It can be cut if it is not compressed. Create it in a thread; see ``StoredFile``."""

    def __init__(self, file: InputFile) -> None:
        self._stored = StoredFile.of(file)
        super().__init__(file, self._stored, _batcher)
        self._counted = (0, 0)  # a byte offset, and the number of lines that end before it

    def cuts(self, size: int) -> list[int]:
        """Offsets of the first line that begins at or after each multiple of ``size``; none for a compressed file.

        Raises:
            SourceError: The file cannot be read.
        """
        found: list[int] = []
        if self._file.codec is not None or self._stored.size <= size:
            return found
        try:
            with self._stored.path.open("rb") as file:
                if detect(file.read(DETECTABLE), ended=True) is not None:
                    return found
                for target in range(size, self._stored.size, size):
                    if found and found[-1] >= target:
                        continue  # one line is longer than ``size``
                    file.seek(target - 1)
                    while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
                        pass
                    if file.tell() < self._stored.size:
                        found.append(file.tell())
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        return found

    async def _lines_before(self, offset: int) -> int:
        """Counts lines, only to name a record of a later piece. This is rare, and takes a second or less for 1 GB."""
        if offset < self._counted[0]:
            self._counted = (0, 0)
        if offset > self._counted[0]:
            self._counted = (offset, await asyncio.to_thread(self._count, *self._counted, offset))
        return self._counted[1]

    def _count(self, start: int, lines: int, end: int) -> int:
        try:
            with self._stored.path.open("rb") as file:
                file.seek(start)
                while start < end and (chunk := file.read(min(CHUNK, end - start))):
                    lines += chunk.count(b"\n")
                    start += len(chunk)
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        return lines


def _batcher(name: str, batch_size: int, max_record_bytes: int, start: int = 0) -> LineBatcher:
    return LineBatcher(batch_size, max_record_bytes, start)


def _of_files(source: FileSource) -> StreamSource:
    (file,) = source.files
    if file.remote is None:
        return LinesFile(file)
    from loader.sources.remote.lines import RemoteLines  # few loads need it

    return RemoteLines(file, file.remote, _batcher)


def _of_stdin(file: InputFile, stdin: Transport) -> StreamSource:
    return StreamSource(file, stdin, _batcher)


JSON_LINES = Format(
    "jsonl",
    "JSON lines",
    (".jsonl", ".ndjson", ".jsonlines"),
    _of_files,
    _of_stdin,
    rotates=True,
    batcher=_batcher,
    takes=frozenset({LINES, ONE_LINE, LINE_OF_VALUES, FIRST_ARRAY}),
    takes_if_given=frozenset({LINE_OF_OBJECTS, LONG_ARRAY}),
)
