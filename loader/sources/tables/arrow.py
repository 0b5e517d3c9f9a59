"""The formats Arrow and Feather: files and streams of Arrow IPC, record batch by record batch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from loader.sources.format import FileSource, Format
from loader.sources.recognition.looks import ARROW as LOOKS_ARROW
from loader.sources.tables.table_source import OpenTable, Part, TableSource

_FILE_MAGIC = b"ARROW1"


class _OpenArrowFile:
    """A file with an index of its record batches: Feather version 2 is the same."""

    warnings: Sequence[str] = ()

    def __init__(self, path: str) -> None:
        import pyarrow as pa

        self._file = pa.OSFile(path)
        self._reader = pa.ipc.open_file(self._file)
        self.schema: Any = self._reader.schema
        # The index has no numbers of rows: they are known when a batch was read.
        size = self._file.size() // max(1, self._reader.num_record_batches)
        self.parts: list[Part] = [Part(0, size)] * self._reader.num_record_batches

    def batches(self, part: int) -> Generator[Any, None, None]:
        if part < self._reader.num_record_batches:
            batch = _validated(self._reader.get_batch(part))
            self.parts[part] = Part(batch.num_rows, self.parts[part].size)
            yield batch

    def close(self) -> None:
        self._file.close()


class _OpenArrowStream:
    """Record batches one after the other."""

    warnings: Sequence[str] = ()

    def __init__(self, path: str) -> None:
        import pyarrow as pa

        self._file = pa.OSFile(path)
        self._reader = pa.ipc.open_stream(self._file)
        self.schema: Any = self._reader.schema
        self.parts: list[Part] = []

    def batches(self, part: int) -> Generator[Any, None, None]:
        before = self._file.tell()
        try:
            batch = _validated(self._reader.read_next_batch())
        except StopIteration:
            return
        self.parts.append(Part(batch.num_rows, self._file.tell() - before))
        yield batch

    def close(self) -> None:
        self._file.close()


def _validated(batch: Any) -> Any:
    """A record batch whose buffers are what they must be. pyarrow reads them as they are: a damaged offset points to
    any address. Raises ``pyarrow.ArrowInvalid``."""
    batch.validate(full=True)
    return batch


def _open(path: str) -> OpenTable:
    with open(path, "rb") as beginning:  # noqa: PTH123 - the path is text
        is_file = beginning.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    return _OpenArrowFile(path) if is_file else _OpenArrowStream(path)


def _of_files(source: FileSource) -> TableSource:
    return TableSource(source.files[0], _open, "record batch", "arrow", has_cuts=False)


def _format(name: str, title: str, endings: Sequence[str]) -> Format:
    return Format(
        name,
        title,
        tuple(endings),
        _of_files,
        instead_of_stdin="Save it as a file",
        takes=frozenset({LOOKS_ARROW}),
        compressible=False,
        family="arrow",
        table_options=frozenset({"columns", "nan", "nulls"}),
    )


ARROW = _format("arrow", "Arrow", (".arrow", ".arrows", ".ipc"))
FEATHER = _format("feather", "Feather", (".feather",))
