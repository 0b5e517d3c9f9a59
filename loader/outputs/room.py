"""What to do about a file that cannot be written."""

from __future__ import annotations

import errno

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk is full, or the user's share of it is, or the file is as long as it may be."""


def way_out(error: OSError, option: str) -> str:
    """The hint for an error of a write, of a command that goes on or begins anew if it is run again.

    Args:
        option: Names the file.
    """
    if error.errno not in NO_ROOM:
        return f"Name a writable file with {option}"
    return f"Make room there, or name another file with {option}; then run the same command again"
