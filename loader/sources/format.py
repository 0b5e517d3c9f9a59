"""The declaration of a format, and of the files that are read with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loader.settings.tables import DEFAULT_TABLES, TableOptions
from loader.sources.base import Source
from loader.sources.codecs.codec import Codec
from loader.sources.recognition.looks import Look
from loader.sources.record_batcher import MakeBatcher
from loader.sources.transports.transport import Transport

if TYPE_CHECKING:
    from loader.sources.remote.remote_file import RemoteFile

ARCHIVE = "archive"
"""The family of formats whose files hold files."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input.

    Attributes:
        name: For people; it need not be a path.
        path: Where it is, or where its copy is; None for standard input, and for what is read from elsewhere.
        format: Name of its format.
        codec: The compression from its name or from ``--format``, until its first bytes have been looked at.
        tables: How its rows become records, if it is a table.
        remote: Where it is read from if it is no file here.
    """

    name: str
    path: Path | None
    format: str
    codec: Codec | None
    tables: TableOptions = DEFAULT_TABLES
    remote: RemoteFile | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether it is standard input."""
        return self.path is None and self.remote is None

    @property
    def expansion(self) -> int | None:
        """See ``Source.expansion``."""
        return 1 if self.codec is None else self.codec.expansion


@dataclass(frozen=True, slots=True)
class FileSource:
    """The files of one source: one file, or several if the format allows it."""

    name: str
    format: str
    files: tuple[InputFile, ...]

    @classmethod
    def of(cls, form: str, files: Sequence[InputFile]) -> FileSource:
        """A source of these files, of which there is at least one."""
        name = files[0].name if len(files) == 1 else f"{files[0].name} … ({len(files)} documents)"
        return cls(name, form, tuple(files))


@dataclass(frozen=True, slots=True)
class Format:
    """How records are written in files.

    Attributes:
        name: The name in ``--format``, the job's manifest and the report. It must never change: old jobs could not be
            resumed.
        title: The name in messages, such as ``JSON lines``.
        endings: Endings of file names, in lower case with the dot. Empty if only ``--format`` gives the format.
        open_files: Makes a source from files. It is called in a thread, so it may read, for example for a fingerprint.
        open_stdin: Makes a source from standard input, the transport; None if it cannot be read from a pipe.
        instead_of_stdin: What to do instead of using standard input, as one sentence for the error.
        takes_runs: Whether consecutive files of the format are one source, not one source each.
        takes: What the content of a file may look like whose name gives the format; None if any content is taken.
        takes_if_given: What the content may also look like if ``--format`` gives the format.
        compressible: Whether a file may be compressed as a whole. False for a format with its own compression.
        batcher: Makes what cuts a stream of the format into records, for members of archives; None if it cannot be one.
        family: ``--format`` tells formats of one family apart, whatever the names say. A file whose ending is that of
            another family is no input of a directory with ``--format``.
        table_options: For a table: the fields of ``TableOptions`` that it has a use for.
        rotates: Whether ``NAME.ENDING.1`` and the like are more records of the same log, not an older version of a
            file.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    open_files: Callable[[FileSource], Source]
    open_stdin: Callable[[InputFile, Transport], Source] | None = None
    instead_of_stdin: str = ""
    takes_runs: bool = False
    takes: frozenset[Look] | None = None
    takes_if_given: frozenset[Look] = frozenset()
    compressible: bool = True
    rotates: bool = False
    batcher: MakeBatcher | None = None
    family: str = "json"
    table_options: frozenset[str] = frozenset()

    @property
    def random_access(self) -> bool:
        """Whether a file is read from several places, so that a remote one is copied first: it has an index of parts
        that are compressed one by one."""
        return not self.compressible
