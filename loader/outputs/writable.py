"""A check that a file can be written, before the work whose outcome it is for."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def why_unwritable(path: Path) -> OSError | None:
    """The error that writing this file would meet; None if it can be written.

    A file that exists keeps its content. A file that does not exist is created and removed again, because permissions
    alone do not show whether a file system is read-only, or whether a name is too long. A pipe or a device is not
    opened: to open a pipe waits for its reader.
    """
    try:
        if path.is_dir():
            return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.exists() and not path.is_file():
            return None if os.access(path, os.W_OK) else PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
            return None
        target = Path(os.path.realpath(path))  # a link that names nothing yet: what is created is its target
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        target.unlink()
    except FileExistsError:
        return None if path.is_file() else OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    except OSError as error:
        return error
    return None
