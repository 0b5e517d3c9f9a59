"""Sources of JSON values that need not be lines: the elements of an array, or values one after the other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from loader.sources.format import FileSource, Format, InputFile
from loader.sources.recognition.looks import (
    ARRAY,
    CR_LINES,
    DOCUMENT,
    FIRST_ARRAY,
    LINE_OF_OBJECTS,
    LINE_OF_VALUES,
    LINES,
    LONG_ARRAY,
    ONE_LINE,
    SEQUENCE,
    VALUES,
)
from loader.sources.record_batcher import MakeBatcher
from loader.sources.stream_source import StreamSource
from loader.sources.transports.stored import stored
from loader.sources.transports.transport import Transport

if TYPE_CHECKING:
    from loader.sources.value_batcher import ValueBatcher

_ARRAYS = frozenset({LINE_OF_VALUES, LINE_OF_OBJECTS, FIRST_ARRAY, ARRAY, LONG_ARRAY})


def _elements(name: str, batch_size: int, max_record_bytes: int, start: int) -> ValueBatcher:
    # Imported here, because compiling its patterns takes some milliseconds that other formats do not need.
    from loader.sources.value_batcher import ValueBatcher
    from loader.sources.values import ELEMENTS

    return ValueBatcher(ELEMENTS, name, batch_size, max_record_bytes)


def _succession(name: str, batch_size: int, max_record_bytes: int, start: int) -> ValueBatcher:
    from loader.sources.value_batcher import ValueBatcher
    from loader.sources.values import SUCCESSION

    return ValueBatcher(SUCCESSION, name, batch_size, max_record_bytes)


def _of_files(make_batcher: MakeBatcher, source: FileSource) -> StreamSource:
    (file,) = source.files
    return StreamSource(file, stored(file), make_batcher)


def _of_stdin(make_batcher: MakeBatcher, file: InputFile, stdin: Transport) -> StreamSource:
    return StreamSource(file, stdin, make_batcher)


# No ending gives these formats: a name such as .json does not say whether an array is one task or many.
JSON_ARRAY = Format(
    "json-array",
    "one JSON array",
    (),
    partial(_of_files, _elements),
    partial(_of_stdin, _elements),
    takes=_ARRAYS,
    batcher=_elements,
)
JSON_CONCAT = Format(
    "json-concat",
    "JSON values one after the other",
    (),
    partial(_of_files, _succession),
    partial(_of_stdin, _succession),
    takes=_ARRAYS | {LINES, ONE_LINE, DOCUMENT, VALUES, SEQUENCE, CR_LINES},
    batcher=_succession,
)
