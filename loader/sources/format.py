"""What a format is to the sources, and the files that are read by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from loader.sources.base import Source
from loader.sources.codecs.codec import Codec


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input.

    Attributes:
        name: For people; need not be a path that opens.
        path: None for standard input.
        format: Name of its format.
        codec: The compression that its name tells, or the user says. Its first bytes may tell another.
    """

    name: str
    path: Path | None
    format: str
    codec: Codec | None


@dataclass(frozen=True, slots=True)
class FileSource:
    """The files of one source: one, or several of a format that takes more."""

    name: str
    format: str
    files: tuple[InputFile, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """How records are written in files.

    Attributes:
        name: In ``--format``, the job's manifest and the report. It never changes: jobs would not be resumed.
        title: In messages, such as ``JSON lines``.
        endings: Of file names, in lower case with the dot.
        open_files: Makes a source of files. Called in a thread, so it may read, as for a fingerprint.
        open_stdin: Makes a source of standard input; None where the format cannot be read from a pipe.
        instead_of_stdin: What to do instead, as one sentence; for the error.
        takes_runs: Whether files of the format that follow each other make one source, not one each.
        compressible: Whether a file may be compressed as a whole. Not so of a format that compresses by itself.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    open_files: Callable[[FileSource], Source]
    open_stdin: Callable[[InputFile], Awaitable[Source]] | None = None
    instead_of_stdin: str = ""
    takes_runs: bool = False
    compressible: bool = True
