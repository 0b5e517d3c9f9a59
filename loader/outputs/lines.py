"""Files of JSON lines that a run appends to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import orjson

from loader.outputs.names import is_gzip

_STEP_BYTES = 64 * 1024


def repair_lines(path: Path | None) -> None:
    """Prepares a file for appending: removes a last line that a crash, or a full disk, has cut short.

    To be called while no other process of the run writes. A last line that only lacks its line end gets one. So does
    anything that is not the beginning of a JSON object, because a run has not written it. A gzip file has whole
    members; see ``repair_gzip``.

    Args:
        path: The file; it need not exist, or be a regular file.
    """
    if path is None or is_gzip(path) or not path.is_file():
        return
    # The first line that is appended meets the same error, and it is told then.
    with suppress(OSError), path.open("rb+") as file:
        start = _start_of_last_line(file)
        file.seek(start)
        last = file.read()
        if last.startswith(b"{") and not _is_json(last):
            file.truncate(start)
        elif last:
            file.write(b"\n")


def _start_of_last_line(file: BinaryIO) -> int:
    """The position after the last line end; the file's size, if a line end is last."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _STEP_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
