"""Lines for the user on standard error, whose reader may go away while the command works."""

from __future__ import annotations

import os
import sys


def tell(line: str) -> None:
    """Prints a line. If nobody reads it any more (``2>&1 | head``), it is dropped, and the work goes on."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # also for what is still in the buffer, and for later lines
        os.close(nothing)
