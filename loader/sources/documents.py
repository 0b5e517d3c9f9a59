"""A source of many files with one JSON document each."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing

from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import BATCH_BYTES, SHOWN_OF_OVERSIZED, BatchLimit, RawBatch
from loader.sources.codecs.codec import DamagedError
from loader.sources.codecs.content import Content
from loader.sources.cuts import cuts_between
from loader.sources.fingerprint import FileState, fingerprint, unreadable
from loader.sources.format import FileSource, Format, InputFile
from loader.sources.lines import BOM
from loader.sources.recognition.looks import ARRAY, DOCUMENT, LINE_OF_OBJECTS, LINE_OF_VALUES, LONG_ARRAY, ONE_LINE

_FILES_AHEAD = 32
_BYTES_AHEAD = 4 * BATCH_BYTES
_PIECE = 1024 * 1024


class Documents:
    """A source whose n-th record is the n-th file. Threads read files ahead, a few at a time."""

    def __init__(self, source: FileSource) -> None:
        self._name = source.name
        self._files: Sequence[InputFile] = source.files
        self._states = [_state(file) for file in source.files]
        self._position = 0
        self.identity = self._identity()  # each batch asks for it

    def _identity(self) -> SourceIdentity:
        digest = hashlib.blake2b(digest_size=16)
        for state in self._states:
            digest.update(f"{state.size}:{state.digest};".encode())
        size = sum(state.size for state in self._states)
        return SourceIdentity(self._name, "json", size, digest.hexdigest())

    @property
    def position(self) -> int:
        return self._position

    @property
    def expansion(self) -> int | None:
        most = [file.expansion for file in self._files]
        return None if None in most else max(filter(None, most))

    def cuts(self, size: int) -> list[int]:
        """The numbers of documents at which the source may be cut."""
        return cuts_between((state.size for state in self._states), size)

    async def place(self, raw: RawBatch, index: int) -> Place:
        return Place(self._name if raw.names is None else raw.names[index], *raw.locate(index))

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        names: list[str] = []
        batch = RawBatch(0, 0, [], names=names, start=start)
        limit, total = BatchLimit(batch_size), 0
        async for file, content in self._documents(max_record_bytes, start, end):
            if isinstance(content, DamagedError):
                batch.damaged.append((file.name, content))
                continue
            document, length = content
            if length > max_record_bytes:
                batch.oversized[len(batch.records)] = length
            batch.records.append(document)
            names.append(file.name)
            total += length
            if limit.is_reached(len(batch.records), total):
                yield batch
                names = []
                batch = RawBatch(batch.first_record + len(batch.records), 0, [], names=names, start=start)
                total = 0
        if batch.records or batch.damaged:
            yield batch

    async def _documents(
        self, limit: int, start: int, end: int | None
    ) -> AsyncIterator[tuple[InputFile, tuple[bytes, int] | DamagedError]]:
        waiting = deque(zip(self._files[start:end], self._states[start:end], strict=True))
        ahead: deque[tuple[InputFile, FileState, asyncio.Task[tuple[bytes, int] | DamagedError]]] = deque()
        held = 0
        try:
            while waiting or ahead:
                while waiting and len(ahead) < _FILES_AHEAD and (held < _BYTES_AHEAD or not ahead):
                    file, state = waiting.popleft()
                    ahead.append((file, state, asyncio.create_task(_read(file, state, limit))))
                    held += state.size
                file, state, task = ahead[0]
                document = await task
                ahead.popleft()
                held -= state.size
                self._position += state.size
                yield file, document
        finally:
            for _, _, task in ahead:
                task.cancel()


def _state(file: InputFile) -> FileState:
    if file.remote is not None:
        return FileState(file.remote.size, 0, file.remote.digest)
    assert file.path is not None  # noqa: S101 - for the type checker
    return fingerprint(file.name, file.path)


async def _read(file: InputFile, state: FileState, limit: int) -> tuple[bytes, int] | DamagedError:
    if file.remote is None:
        return await asyncio.to_thread(_read_file, file, state, limit)
    document = _Document(limit)
    try:
        content = Content(file.name, file.codec)
        async with aclosing(file.remote.chunks()) as chunks:
            async for chunk in chunks:
                document.add_all(content.feed(chunk))
        document.add_all(content.finish())
    except DamagedError as error:
        return error
    return document.result()


def _read_file(file: InputFile, state: FileState, limit: int) -> tuple[bytes, int] | DamagedError:
    """The document (only its beginning, if it is over the limit) and its length in bytes, or what is wrong with it."""
    assert file.path is not None  # noqa: S101 - for the type checker
    document = _Document(limit)
    try:
        with file.path.open("rb", buffering=0) as stream:
            state.check(file.name, os.fstat(stream.fileno()))
            content = Content(file.name, file.codec)
            while chunk := stream.read(_PIECE):
                document.add_all(content.feed(chunk))
            document.add_all(content.finish())
            state.check(file.name, os.fstat(stream.fileno()))
    except OSError as error:
        raise unreadable(file.name, error) from error
    except DamagedError as error:
        return error
    return document.result()


class _Document:
    """Collects one document, of which it keeps no more than the limit, a piece, and a byte order mark."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, piece: bytes) -> None:
        if self._length <= self._limit + len(BOM):
            self._parts.append(piece)
        self._length += len(piece)

    def add_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.add(piece)

    def result(self) -> tuple[bytes, int]:
        """The document (only its beginning, if it is over the limit) and its length in bytes."""
        document, length = b"".join(self._parts), self._length
        if document.startswith(BOM):
            document, length = document[len(BOM) :], length - len(BOM)
        if length > self._limit:
            return document[: min(SHOWN_OF_OVERSIZED, self._limit)], length
        return document, length


class DocumentBatcher:
    """The only record of a document in an archive; see ``StreamBatcher``."""

    def __init__(self, name: str, batch_size: int, max_record_bytes: int, start: int = 0) -> None:
        self._name = name
        self._limit = max_record_bytes
        self._document = _Document(max_record_bytes)

    def feed(self, chunk: bytes) -> Iterator[RawBatch]:
        self._document.add(chunk)
        return iter(())

    def finish(self) -> Iterator[RawBatch]:
        document, length = self._document.result()
        yield RawBatch(0, 0, [document], {0: length} if length > self._limit else {}, names=[self._name])


DOCUMENTS = Format(
    "json",
    "one JSON document",
    (".json",),
    open_files=Documents,
    instead_of_stdin="Give --format json-concat, which reads one document or several",
    takes_runs=True,
    batcher=DocumentBatcher,
    takes=frozenset({ONE_LINE, DOCUMENT}),
    takes_if_given=frozenset({LINE_OF_VALUES, LINE_OF_OBJECTS, ARRAY, LONG_ARRAY}),
)
