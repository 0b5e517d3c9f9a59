"""The command line tool ``runqy-loader``: one module a command."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from loader.cli.logins import without_logins
from loader.cli.stderr import is_json, tell
from loader.errors import LoaderError
from loader.outputs.room import NO_ROOM

if TYPE_CHECKING:
    import click

INTERRUPTED = 130
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the tool and exits: 0 all in, 1 failed, 2 usage, 3 completed with rejects, 130 interrupted."""
    gc.disable()  # until a command's work begins: imports leave no garbage, and the search for it took 7 % of --help
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_now)
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(os.umask(0) | _NOT_FOR_OTHERS)
    _open_standard_streams()
    try:
        status = _run(tokens)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


_NOT_FOR_OTHERS = 0o077
"""Files that are made may hold payloads: only their owner may read them. A file that exists keeps its rights."""


def _exit_now(number: int, frame: FrameType | None) -> None:
    """Handles a signal outside the time in which a command handles signals itself (loader.cli.signals).

    Nothing is being written then, so the process can end at once. Python's own way would raise an exception at the line
    that runs. During imports, or while an event loop starts, such an exception sometimes left a task half done, with
    error messages of the interpreter.
    """
    os._exit(INTERRUPTED)


def _open_standard_streams() -> None:
    """Opens standard streams that the caller has closed.

    Otherwise a file of the event loop could get the number of such a stream, and the event loop aborts the process.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    # Python has no stream for what was closed when it began, and prints what is meant for stderr to stdout then.
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def _run(tokens: list[str]) -> int:
    try:
        return _launch(tokens)
    except LoaderError as error:
        return _fail(tokens, error, str(error), error.exit_status)
    except BrokenPipeError:
        return 1  # the reader of the output has gone, so nobody would see a message
    except OSError as error:
        # The code that writes a named file reports its errors itself. What remains is standard output.
        if error.filename is not None or error.errno not in NO_ROOM:
            return _unexpected(tokens, error)
        message = f"the output cannot be written: {error.strerror}. Make room, or send it elsewhere."
        return _fail(tokens, error, message, 1)
    except Exception as error:  # a bug is shown as one line too, not as a traceback
        return _unexpected(tokens, error)


def _unexpected(tokens: list[str], error: Exception) -> int:
    summary = f"unexpected {type(error).__name__}: {_one_line(str(error))}"
    return _fail(tokens, error, f"{summary}. This is a bug; --debug shows where. What is loaded can be resumed.", 1)


def _launch(tokens: list[str]) -> int:
    import click

    from loader.cli.app import launch

    try:
        return launch(tokens)
    except click.UsageError as error:
        return _fail(tokens, error, f"{_sentence(_usage_error(error))} See {_path(tokens, error)} --help.", USAGE)
    except click.ClickException as error:
        return _fail(tokens, error, error.format_message(), error.exit_code)
    except click.Abort:
        return INTERRUPTED


def _usage_error(error: click.UsageError) -> str:
    """click's message, and where the value comes from if that is not the command line."""
    import click

    from loader.cli.parameters import origin

    message = error.format_message()
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return message
    where = origin(error.param, error.ctx)
    return f"{where}: {message}" if where else message


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "?)", ".")) else f"{text}."


def _path(tokens: list[str], error: click.UsageError) -> str:
    """The command whose help is of use. click's parser does not say it of an option without a value."""
    from loader.cli.commands import COMMANDS

    if error.ctx is not None:
        return error.ctx.command_path
    return " ".join(["runqy-loader", *[token for token in tokens[:1] if token in COMMANDS]])


def _fail(tokens: list[str], error: BaseException, message: str, status: int) -> int:
    trace = None
    if "--debug" in tokens:
        import traceback

        if is_json():
            trace = without_logins("".join(traceback.format_exception(error)))
        else:
            traceback.print_exception(error)
    keeps_lines = isinstance(error, LoaderError) and error.details
    text = without_logins(message if keeps_lines else _one_line(message))
    code = error.code if isinstance(error, LoaderError) else "usage" if status == USAGE else "unexpected"
    tell(f"runqy-loader: error: {text}", level="error", code=code, exit_status=status, traceback=trace)
    return status


def _one_line(text: str) -> str:
    return " ".join(text.split())
