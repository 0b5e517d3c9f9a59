"""``runqy-loader load``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from loader.cli import INTERRUPTED
from loader.cli.commands import Command
from loader.cli.load_reports import CONDITION_MET, LoadOutputs
from loader.cli.load_test_options import LoadTestOptions
from loader.cli.logins import without_password
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell, tell_end
from loader.errors import ConnectionFailedError, LoaderError, UsageError
from loader.settings import LoadOptions, shared
from loader.settings.option import Option
from loader.settings.shared import DEFAULT_REDIS
from loader.telemetry.options import TelemetryOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.jobs.report import LoadReport
    from loader.telemetry.samples import Sample

_REPORT = "Report"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What is told instead of loading."""

    explain: Annotated[
        bool,
        Option(
            help="Say in words what this load would write, and where: keys, layout, queue, ids, options, job and "
            "files; with --json as JSON. The server is asked, and nothing is written.",
            group=_REPORT,
        ),
    ] = False


def load(
    paths: tuple[str, ...],
    options: LoadOptions,
    reporting: ReportOptions,
    testing: LoadTestOptions,
    explaining: ExplainOptions,
    telemetry: TelemetryOptions,
) -> int:
    """Loads payload files into a queue: JSON lines (.jsonl, .ndjson), JSON documents (.json), tables (CSV, TSV,
    Parquet, Arrow, Feather), and the members of tar and zip archives.

    All but Parquet, Arrow, Feather and zip may be compressed with gzip, zstd, xz, bzip2, lz4 or snappy. The elements of
    an array need --format json-array. An input that looks like something else is refused. --sql with --from loads the
    rows of a query, --generate records that are made from a template.

    Run again, the same command loads nothing twice. A load that was stopped or killed goes on where it stopped.
    """
    if explaining.explain:
        from loader.cli.explain import explain  # a load needs none of it

        return explain(paths, options, reporting, testing)
    # Imported here, so that --help does not wait for imports that only a load needs, and before the search for garbage
    # begins, which took 3 ms of them.
    import loader.api  # noqa: F401 - see _load
    from loader.cli.signals import run
    from loader.engine.tuning import tune_process

    display = reporting.display(progress=reporting.shows_progress)
    options = testing.settle(options)
    telemetry.check()
    telemetry.require_no_input(paths)
    if options.detach:
        if telemetry.is_on:
            raise UsageError(
                "--detach: the cluster drives the load, so it has no metrics here", "Leave out the options of metrics"
            )
        return run(_detached(list(paths), options, reporting, testing))
    tune_process()
    outputs = LoadOutputs.of(reporting.report_file, testing)
    return run(_load(list(paths), options, reporting, outputs, telemetry, display))


async def _load(
    paths: list[str],
    options: LoadOptions,
    reporting: ReportOptions,
    outputs: LoadOutputs,
    telemetry: TelemetryOptions,
    display: Display,
) -> int:
    from loader.api import Loader
    from loader.cli.closing_lines import closing_lines
    from loader.cli.signals import stoppable
    from loader.wire.target import ToEmbedded

    if options.preview is not None:
        reporting.require_other_output(Path("-"), "--preview")
    loader = Loader(options)

    async def work() -> None:
        async with loader, display.showing(loader):
            await loader.load(paths, passing_over=[*outputs.paths, *telemetry.files])

    async def work_and_report() -> int:
        failure: LoaderError | None = None
        try:
            await stoppable(work(), loader.stop, display)
        except LoaderError as error:
            failure = error
        report = loader.report
        if report is None:
            if failure is not None:
                raise failure
            return INTERRUPTED
        outputs.judge(report)
        try:
            outputs.write(report, options, failure)
        except LoaderError as error:
            if failure is not None:  # the failure of the load matters more
                display.say(str(error), level="error")
            failure = failure or error
        for task in report.preview or ():
            sys.stdout.buffer.write(task.to_line())
        if not reporting.quiet:
            kept = options.target != ToEmbedded(directory=None)
            tell_end(closing_lines(report, _resume_command(report), kept=kept), report.to_dict)
        for line in report.failed_conditions or ():
            tell(f"runqy-loader: --fail-if {line}", level="warning", event="condition")
        if failure is not None:
            name_embedded(failure, options, report)
            raise failure
        is_over = report.status == "completed"
        return CONDITION_MET if report.failed_conditions and is_over else report.exit_status

    if not telemetry.is_on:
        return await work_and_report()
    from loader.telemetry.queue_labels import QueueLabels
    from loader.telemetry.readings import of_load
    from loader.telemetry.session import telling

    queues = QueueLabels()

    def metrics(report: LoadReport) -> Iterable[Sample]:
        return of_load(report, loader.batches_waiting, queues)

    job = options.job or "".join(path.stem for path in telemetry.files)
    async with telling(telemetry, "load", lambda: loader.report, metrics, display.say, job=job) as outcome:
        outcome.exit_status = await work_and_report()
    return outcome.exit_status


async def _detached(paths: list[str], options: LoadOptions, reporting: ReportOptions, testing: LoadTestOptions) -> int:
    """Has a cluster begin the load. The exit status is 0 once it is under way."""
    from loader.extras import require

    if reporting.report_file is not None or testing.html is not None or testing.fail_if:
        raise UsageError(
            "--detach does not wait for the end, so it writes no report and judges none",
            "runqy-loader jobs attach JOB waits for it, and ends with its exit status",
        )
    options.check()
    require("dask", "--engine dask")
    from loader.detached import detach

    begun = await detach(paths, options)
    if begun.exit_status is None:
        where = "" if options.redis == shared.REDIS_URL() else " with the --redis of this load"
        tell(
            f"runqy-loader: job {begun.job} is under way on the cluster; look on{where}: "
            f"runqy-loader jobs attach {begun.job}"
        )
        return 0
    tell(f"runqy-loader: job {begun.job} is over already: runqy-loader jobs show {begun.job}")
    return begun.exit_status


def name_embedded(failure: LoaderError, options: LoadOptions, report: LoadReport) -> None:
    """Names the bundled server in the hint of an error, for a user who has given no server and has none."""
    if isinstance(failure, ConnectionFailedError) and options.redis == DEFAULT_REDIS and not report.batches:
        failure.hint += ". Without a server at hand, try --redis embedded: a bundled one, which ends with the load"


def _resume_command(report: LoadReport) -> str:
    # Passwords are removed, since the line may end up in a log.
    arguments = [without_password(argument) for argument in sys.argv[1:]]
    named = any(argument == "-j" or argument.split("=")[0] == "--job" for argument in arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)  # what follows is no option
    own = [] if named else ["--job", report.job]
    return shlex.join(["runqy-loader", *arguments[:end], *own, *arguments[end:]])


def format_names() -> Iterable[str]:
    """The allowed values of ``--format``."""
    from loader.sources.formats import by_name

    return by_name()


COMMAND = Command(
    run=load,
    options=(LoadOptions, ReportOptions, LoadTestOptions, ExplainOptions, TelemetryOptions),
    argument="Files, globs, directories (recursively), URLs (s3:, gs:, az:, https:, sftp:), or - for standard input.",
    values={"format": format_names},
    usage="PATH... --queue NAME [OPTIONS]",
    exit_status="Exit status: 0 all in; 1 failed; 2 usage; 3 completed with rejects or skipped files; 4 a condition of "
    "--fail-if is met; 130 interrupted.",
)
