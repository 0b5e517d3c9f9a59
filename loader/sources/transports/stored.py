"""The transport of an input that is stored: a file here, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.sources.transports.file import StoredFile

if TYPE_CHECKING:
    from loader.sources.format import InputFile
    from loader.sources.remote.remote_file import RemoteFile


def stored(file: InputFile) -> StoredFile | RemoteFile:
    """The bytes of an input that is not standard input. Call it in a thread; see ``StoredFile``.

    Raises:
        SourceError: A file here cannot be read.
    """
    return StoredFile.of(file) if file.remote is None else file.remote
