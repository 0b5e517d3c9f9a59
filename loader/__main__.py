"""The entrance of the program: ``runqy-loader``, ``python -m runqy_loader`` or ``python -m loader``."""

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

    run()


if __name__ == "__main__":
    main()
