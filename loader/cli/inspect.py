"""``runqy-loader inspect``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from loader.cli.commands import Command
from loader.cli.output import print_json
from loader.cli.reporting import JsonOptions
from loader.errors import LoaderError
from loader.inspection.options import InspectOptions

if TYPE_CHECKING:
    from loader.inspection.survey import Findings, JobProgress


def inspect(options: InspectOptions, shown: JsonOptions) -> int:
    """Shows what is on a server: queues with their counts in either layout, jobs with their progress, or one task."""
    from loader.cli.display import Display
    from loader.cli.signals import run

    options.check()
    Display(quiet=False, verbose=False, progress=False)  # shows retries
    result = run(_read(options))
    if shown.json:
        print_json(result if isinstance(result, list) else result.to_dict())
    elif isinstance(result, list):
        for task in result:
            print_json(task)
    elif options.job is not None:
        _show_job(result.jobs[0])
    else:
        _show(result)
    return 0


async def _read(options: InspectOptions) -> Findings | list[dict[str, Any]]:
    import itertools
    import secrets

    from loader.inspection.find_task import find_task
    from loader.inspection.survey import named, survey
    from loader.servers.session import Session, require_one_server
    from loader.wire.address import parse_address

    run, numbers = secrets.token_hex(6), itertools.count(1)
    address = parse_address(options.redis)
    session = Session(
        address, options.timeout, options.retry_for, lambda: f"runqy-loader:inspect:{run}:0.{next(numbers)}"
    )
    try:
        await require_one_server(session, "inspect")
        if options.task is not None:
            return await find_task(session, options.task, options.queue)
        findings = await survey(session)
    finally:
        await session.close()
    if options.job is not None:
        findings.queues = []
        findings.jobs = [job for job in findings.jobs if job.job == options.job]
        if not findings.jobs:
            raise LoaderError(f"no job {options.job!r} on {address}", "Run runqy-loader inspect to list all jobs")
    elif options.queue is not None:
        findings.queues = list(named(findings, options.queue))
        if not findings.queues:
            raise LoaderError(f"no queue {options.queue!r} on {address}", "Run runqy-loader inspect to list all queues")
        findings.jobs = []
    return findings


def _show(findings: Findings) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout is not None and sys.stdout.isatty() else 160)
    counts = ("pending", "active", "scheduled", "retry", "archived", "completed")
    if findings.queues:
        table = Table("queue", "layout", box=None, pad_edge=False)
        for name in counts:
            table.add_column(name, justify="right")
        table.add_column("")
        for queue in findings.queues:
            numbers = [f"{getattr(queue, name):,}" if queue.layout == "asynq" else "" for name in counts]
            numbers[0] = f"{queue.pending:,}"
            table.add_row(_plain(queue.queue), queue.layout, *numbers, "paused" if queue.paused else "")
        console.print(table)
    else:
        console.print(f"no queues on {findings.server}", markup=False)
    if findings.jobs:
        console.print()
        jobs = Table("job", "kind", "state", "started", box=None, pad_edge=False)
        jobs.add_column("done", justify="right")
        jobs.add_column("", overflow="fold")
        for job in findings.jobs:
            jobs.add_row(_plain(job.job), job.kind, job.state, _when(job.created), _progress(job), _plain(_remark(job)))
        console.print(jobs)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)  # as Text, a name in brackets is not read as markup


def _progress(job: JobProgress) -> str:
    report = job.report or {}
    if job.kind == "migrate":
        return f"{report.get('migrated', 0):,} tasks" if job.state == "done" else ""
    if job.state == "done":
        return f"{report.get('loaded', 0) + report.get('already_loaded', 0):,} tasks"
    return f"{job.batches:,} batches"


def _remark(job: JobProgress) -> str:
    if job.held and job.holder is None:
        return f"holds {job.held:,} tasks in {', '.join(job.held_in)}: run the same migrate again"
    if job.holder is not None:
        return job.holder
    names = [str(source.get("name")) for source in job.manifest.get("sources", [])]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _show_job(job: JobProgress) -> None:
    from dataclasses import asdict

    print_json({name: value for name, value in asdict(job).items() if value not in (None, [], {})})


def _when(moment: float | None) -> str:
    import time

    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


COMMAND = Command(
    run=inspect,
    options=(InspectOptions, JsonOptions),
    exit_status="Exit status: 0 shown; 1 failed; 2 usage; 130 interrupted.",
)
