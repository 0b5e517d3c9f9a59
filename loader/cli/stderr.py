"""Lines for the user on standard error, whose reader may go away while the command works."""

from __future__ import annotations

import os
import re
import sys

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Control characters but the line feed."""


def for_terminal(text: str) -> str:
    """A text without what a terminal would obey: control characters are written as escapes.

    Messages hold names of fields, files, queues and keys as inputs and servers have them.
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def tell(line: str) -> None:
    """Prints a line. If nobody reads it any more (``2>&1 | head``), it is dropped, and the work goes on."""
    try:
        print(for_terminal(line), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # also for what is still in the buffer, and for later lines
        os.close(nothing)
