"""What to say where temporary files, in which ids are set aside, find no room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from loader.errors import LoaderError
from loader.outputs.temporary_folder import temporary_folder


@contextmanager
def set_aside() -> Iterator[None]:
    """Raises a LoaderError in place of an error of a temporary file or database."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise LoaderError(
            f"ids cannot be set aside in {temporary_folder()}: {what}",
            "Make room there, or name another folder in the environment variable TMPDIR",
        ) from error
