"""The command line tool ``runqy-loader``: one module a command."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from loader.errors import LoaderError

if TYPE_CHECKING:
    import click

INTERRUPTED = 130
USAGE = 2
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the tool and exits: 0 all in, 1 failed, 2 usage, 3 completed with rejects, 130 interrupted."""
    gc.disable()  # until a command's work begins: imports leave no garbage, and looking for it took 7 % of --help
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    _occupy_standard_streams()
    try:
        status = _run(tokens)
    except KeyboardInterrupt:
        status = INTERRUPTED
    gc.freeze()  # as it ends, Python looks for garbage several times in all that there is: 10 % of --help
    sys.exit(status)


def _leave(number: int, frame: FrameType | None) -> None:
    """A signal before or after the time in which a command minds them (loader.cli.signals): nothing is being written.

    Python's own way, an exception at whatever line runs, comes through neither imports nor an event loop's start
    unharmed: now and then a task was left half done, with complaints of the interpreter.
    """
    os._exit(INTERRUPTED)


def _occupy_standard_streams() -> None:
    """Opens what the caller closed: the event loop aborts the process where one of its own files gets such a number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _run(tokens: list[str]) -> int:
    try:
        return _launch(tokens)
    except LoaderError as error:
        return _fail(tokens, error, str(error), error.exit_status)
    except BrokenPipeError:
        return 1  # whoever read our output has gone; there is nobody to tell
    except OSError as error:
        # Of a named file, whoever writes it tells what is the matter; what is left is standard output.
        if error.filename is not None or error.errno not in _FULL:
            return _unexpected(tokens, error)
        message = f"the output cannot be written: {error.strerror}. Make room, or send it elsewhere."
        return _fail(tokens, error, message, 1)
    except Exception as error:  # the last line of defence: a bug must not look like a stack of noise
        return _unexpected(tokens, error)


def _unexpected(tokens: list[str], error: Exception) -> int:
    what = f"unexpected {type(error).__name__}: {_one_line(str(error))}"
    return _fail(tokens, error, f"{what}. This is a bug; --debug shows where. What is loaded can be resumed.", 1)


def _launch(tokens: list[str]) -> int:
    import click

    from loader.cli.app import launch

    try:
        return launch(tokens)
    except click.UsageError as error:
        return _fail(tokens, error, f"{_usage_error(error).rstrip('.')}. See {_path(error)} --help.", USAGE)
    except click.ClickException as error:
        return _fail(tokens, error, error.format_message(), error.exit_code)
    except click.Abort:
        return INTERRUPTED


def _usage_error(error: click.UsageError) -> str:
    """What click says, and where the value comes from where that is not the command line."""
    import click

    from loader.cli.app import CONFIG_PATH

    message = error.format_message()
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return message
    source = error.ctx.get_parameter_source(error.param.name or "")
    if source is click.core.ParameterSource.ENVIRONMENT:
        names = [error.param.envvar] if isinstance(error.param.envvar, str) else error.param.envvar or []
        return f"{next(name for name in names if os.environ.get(name))}: {message}"
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return f"--config {error.ctx.meta[CONFIG_PATH]}: {message}"
    return message


def _path(error: click.UsageError) -> str:
    return "runqy-loader" if error.ctx is None else error.ctx.command_path


def _fail(tokens: list[str], error: BaseException, message: str, status: int) -> int:
    if "--debug" in tokens:
        import traceback

        traceback.print_exception(error)
    print(f"runqy-loader: error: {_one_line(message)}", file=sys.stderr)
    return status


def _one_line(text: str) -> str:
    return " ".join(text.split())
