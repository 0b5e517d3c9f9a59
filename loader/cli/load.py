"""``runqy-loader load``."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from loader.cli import INTERRUPTED
from loader.errors import LoaderError, UsageError
from loader.report import LoadReport
from loader.settings import LoadOptions

if TYPE_CHECKING:
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
    from loader.cli.display import Display
    from loader.cli.signals import run
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
    return run(_load(list(paths), options, output, display))


async def _load(paths: list[str], options: LoadOptions, output: OutputOptions, display: Display) -> int:
    from loader.api import Loader
    from loader.cli.output import write_report
    from loader.cli.signals import stoppable

    loader = Loader(options)
    failure: LoaderError | None = None

    async def work() -> None:
        async with loader, display.showing(loader):
            await loader.load(paths, passing_over=[output.report] if output.report is not None else ())

    try:
        await stoppable(work(), loader.stop, display)
    except LoaderError as error:
        failure = error
    report = loader.report
    if report is None:
        if failure is not None:
            raise failure
        return INTERRUPTED
    try:
        write_report(output.report, report.to_dict())
    except LoaderError as error:
        if failure is not None:  # that comes first
            display.say(str(error))
        failure = failure or error
    display.summary(report, _resume_command(report))
    if failure is not None:
        raise failure
    return report.exit_status


def _resume_command(report: LoadReport) -> str:
    # The line may end up in a log, so without a password.
    arguments = [re.sub(r"(?<=://)([^:@/]*):[^@]*@", r"\1:PASSWORD@", argument) for argument in sys.argv[1:]]
    arguments = [re.sub(r"(?<=[?&]password=)[^&]*", "PASSWORD", argument) for argument in arguments]
    named = any(argument == "-j" or argument.split("=")[0] == "--job" for argument in arguments)
    return shlex.join(["runqy-loader", *arguments, *(() if named else ("--job", report.job))])
