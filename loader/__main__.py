"""The entrance of the program: ``runqy-loader``, ``python -m runqy_loader`` or ``python -m loader``."""

import os
import signal
import sys

from loader import python_is_too_old

_USAGE = 2
_INTERRUPTED = 130


def main() -> None:
    """Runs the command line tool; under a Python that is too old, says so in one line and exits with status 2."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # until the tool has its own handlers: no traceback of an import
    if python_is_too_old():
        sys.stderr.write(f"runqy-loader: error: {python_is_too_old()}\n")
        sys.exit(_USAGE)
    from loader.cli import main as run  # newer Python

    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int) and sys.gettrace() is None and sys.getprofile() is None and _is_written():
            # Python would take the program apart first, object by object: 6 ms, 4 % of a small load. All that has an
            # end (event loop, threads, child processes, embedded server) has ended by now.
            os._exit(end.code)
        # Python takes its handlers away before it ends, so a signal would end it by its default action. The outcome is
        # certain by now.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise


def _end(number, frame):  # type: ignore[no-untyped-def]  # older Pythons run this file as well
    """Ends the process as one that was interrupted."""
    os._exit(_INTERRUPTED)


def _is_written() -> bool:
    """Whether all output has been written. If not, Python's own end says so."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
