"""What sources have in common that read one file in a way of its own: archives, and files of columns."""

from __future__ import annotations

from loader.sources.base import SourceIdentity
from loader.sources.format import InputFile
from loader.sources.transports.file import StoredFile
from loader.sources.transports.stored import stored
from loader.sources.transports.transport import Transport


class StoredSource:
    """One file. Create it in a thread; see ``StoredFile``."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._transport: Transport = stored(file)
        self._position = 0
        self._told: list[bool] = []  # shared with copies, which read it for an estimate

    @property
    def _stored(self) -> StoredFile:
        """The file here, of a format that is read from several places."""
        assert isinstance(self._transport, StoredFile)  # noqa: S101 - others are copied; see Format.random_access
        return self._transport

    @property
    def identity(self) -> SourceIdentity:
        return self._transport.identity(self._file.format)

    @property
    def position(self) -> int:
        return self._position

    @property
    def expansion(self) -> int | None:
        return None  # members of archives are compressed, as columns are, and each row gets the names of its columns
