"""``runqy-loader load``."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from loader.errors import LoaderError, UsageError
from loader.report import LoadReport
from loader.settings import LoadOptions

if TYPE_CHECKING:
    import asyncio

    from loader.cli.display import Display

_OUTPUT = Group("Output", sort_key=6)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What a load shows and writes about itself."""

    report: Annotated[Path | None, Parameter(group=_OUTPUT, allow_leading_hyphen=True)] = None
    """Write the JSON report to this file; '-' for standard output."""

    no_progress: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """Show no progress."""

    quiet: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """Show errors only."""

    verbose: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """Show more of what happens."""

    debug: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """On an error, show where in the program it arose."""


def load(
    *paths: Annotated[
        str,
        Parameter(allow_leading_hyphen=True, help="Files, globs, directories (recursively), or - for standard input."),
    ],
    options: LoadOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Loads payload files into a queue: JSON lines (.jsonl, .ndjson) or one JSON document a file (.json), also gzipped.

    The same command run again loads nothing twice; a stopped or killed one goes on where it was.
    """
    # Imported here, so that --help does not wait for what only a load needs.
    import asyncio

    from loader.cli.display import Display
    from loader.engine.loop import loop_factory
    from loader.engine.tuning import tune_process

    if unknown := [path for path in paths if path.startswith("-") and path != "-"]:
        # '-' is an input here, so the parser lets everything with a dash through to this argument.
        raise UsageError(f"unknown option {unknown[0]}", "See runqy-loader load --help; for a file write ./-NAME")
    if options is None:
        options = LoadOptions()  # raises what is missing
    output = output or OutputOptions()
    if output.quiet and output.verbose:
        raise UsageError("--quiet and --verbose contradict each other", "Give one of them")
    display = Display(quiet=output.quiet, verbose=output.verbose, progress=not (output.no_progress or output.quiet))
    tune_process()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_load(list(paths), options, output, display))


async def _load(paths: list[str], options: LoadOptions, output: OutputOptions, display: Display) -> int:
    import asyncio

    from loader.api import Loader

    loader = Loader(options)
    main = asyncio.current_task()
    assert main is not None  # noqa: S101 - this is a coroutine
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _stop, loader.stop, main, display)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop, loader.stop, main, display)
    failure: LoaderError | None = None
    try:
        async with loader, display.showing(loader):
            try:
                await loader.load(paths, passing_over=[output.report] if output.report is not None else ())
            except LoaderError as error:
                failure = error
            except asyncio.CancelledError:
                if loader.report is None or not display.stopping:
                    raise  # not the user's second signal
                main.uncancel()
    except asyncio.CancelledError:
        if not display.stopping:
            raise
        return 130
    report = loader.report
    if report is None:
        assert failure is not None  # noqa: S101 - without a report there is a failure
        raise failure
    if output.report is not None:
        _write(output.report, report)
    display.summary(report, _resume_command(report))
    if failure is not None:
        raise failure
    return report.exit_status


def _stop(stop: Callable[[], None], main: asyncio.Task[int], display: Display) -> None:
    """First signal: drain. Second: stop at once. Either way the job can be resumed."""
    if display.stopping:
        main.cancel()
    else:
        display.stopping = True
        display.say("stopping: finishing what is in flight (once more to stop at once)")
        stop()


def _write(path: Path, report: LoadReport) -> None:
    import orjson

    text = orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    try:
        if str(path) == "-":
            with open(1, "wb", closefd=False) as stdout:  # sys.stdout may be None
                stdout.write(text)
        else:
            path.write_bytes(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LoaderError(f"--report {path} cannot be written: {error.strerror}", "The load itself is done") from error


def _resume_command(report: LoadReport) -> str:
    # The line may end up in a log, so without a password.
    arguments = [re.sub(r"(?<=://)([^:@/]*):[^@]*@", r"\1:PASSWORD@", argument) for argument in sys.argv[1:]]
    arguments = [re.sub(r"(?<=[?&]password=)[^&]*", "PASSWORD", argument) for argument in arguments]
    named = any(argument == "-j" or argument.split("=")[0] == "--job" for argument in arguments)
    return shlex.join(["runqy-loader", *arguments, *(() if named else ("--job", report.job))])
