"""The entrance of the program: ``runqy-loader``, ``python -m runqy_loader`` or ``python -m loader``."""

import os
import signal
import sys

from loader import python_is_too_old

_USAGE = 2


def main() -> None:
    """Runs the command line tool; under a Python that is too old, says so in one line and exits with status 2."""
    if python_is_too_old():
        sys.stderr.write(f"runqy-loader: error: {python_is_too_old()}\n")
        sys.exit(_USAGE)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the tool has its own handlers: no traceback of an import
    from loader.cli import main as run  # newer Python

    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int) and sys.gettrace() is None and sys.getprofile() is None and _is_written():
            # Python would take the program apart first, object by object: 6 ms, 4 % of a small load. All that has an
            # end (event loop, threads, child processes, embedded server) has ended by now.
            os._exit(end.code)
        raise


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
