"""``runqy-loader inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loader.cli.commands import Command
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.cli.stderr import for_terminal
from loader.errors import LoaderError
from loader.inspection.options import InspectOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.inspection.survey import Findings, JobProgress

_STATES = ("pending", "active", "aggregating", "scheduled", "retry", "archived", "completed")


def inspect(options: InspectOptions, shown: JsonOptions) -> int:
    """Shows what is on a server: queues with their counts, jobs with their progress, or one task.

    Queues are those of either layout, and those of other systems that migrate --from-system reads.
    """
    from loader.cli.display import Display
    from loader.cli.signals import run

    options.check()
    display = Display(quiet=False, verbose=False, progress=False)
    result = run(_read(options, display))
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


async def _read(options: InspectOptions, display: Display) -> Findings | list[dict[str, Any]]:
    import itertools
    import secrets

    from loader.cli.progress import counting
    from loader.inspection.find_task import find_task
    from loader.inspection.lookups import find_job, find_queue
    from loader.inspection.survey import Findings, Walk, survey
    from loader.servers.session import open_session
    from loader.settings.server_address import server_address

    run, numbers = secrets.token_hex(6), itertools.count(1)
    address = server_address(options)
    name = f"runqy-loader:inspect:{run}"
    async with open_session(
        address, options.timeout, options.retry_for, lambda: f"{name}:0.{next(numbers)}"
    ) as session:
        if options.task is not None:
            return await find_task(session, options.task, options.queue)
        if options.job is not None:
            if (job := await find_job(session, options.job)) is None:
                raise LoaderError(f"no job {options.job!r} on {address}", "Run runqy-loader inspect to list all jobs")
            return Findings(str(address), jobs=[job])
        if options.queue is not None:
            if not (queues := await find_queue(session, options.queue)):
                raise LoaderError(
                    f"no queue {options.queue!r} on {address}", "Run runqy-loader inspect to list all queues"
                )
            return Findings(str(address), queues=queues)
        walk = Walk()

        def counts() -> dict[str, int]:
            return {"passed": walk.passed, "total": walk.total}

        async with counting(display, lambda: f"{walk.passed:,} of {walk.total:,} keys looked at", counts, shown=True):
            return await survey(session, walk)


def _show(findings: Findings) -> None:
    from loader.cli.fitted_table import Column, print_table

    queues, others, jobs = findings.queues, findings.other_systems, findings.jobs
    if queues:
        columns = [
            Column("queue", [for_terminal(one.queue) for one in queues], 0, "left"),
            Column("layout", [one.layout for one in queues], 1, "left"),
        ]
        # A state that no queue has tasks in takes no column: names need the room on a terminal of 80.
        for rank, name in enumerate(_STATES):
            if name == "pending":
                columns.append(Column(name, [f"{one.pending:,}" for one in queues], 0))
            elif any(getattr(one, name) for one in queues):
                counts = [f"{getattr(one, name):,}" if one.layout == "asynq" else "" for one in queues]
                columns.append(Column(name, counts, rank + 2))
        if any(one.paused for one in queues):
            columns.append(Column("", ["paused" if one.paused else "" for one in queues], 2, "left"))
        print_table(columns)
    else:
        print(for_terminal(f"no queues of runqy or asynq on {findings.server}"))
    if others:
        how = [
            "pickles: cannot be read" if one.waiting is None else f"migrate --from-system {one.system}"
            for one in others
        ]
        print()
        print_table(
            [
                Column("queue of another system", [for_terminal(one.queue) for one in others], 0, "left"),
                Column("system", [one.system for one in others], 1, "left"),
                Column("waiting", ["" if one.waiting is None else f"{one.waiting:,}" for one in others], 0),
                Column("copy with", how, 2, "left"),
            ]
        )
    if jobs:
        print()
        print_table(
            [
                Column("job", [for_terminal(one.job) for one in jobs], 0, "left"),
                Column("kind", [one.kind for one in jobs], 5, "left"),
                Column("state", [one.state for one in jobs], 1, "left"),
                Column("started", [_when(one.created) for one in jobs], 3, "left"),
                Column("done", [_progress(one) for one in jobs], 2),
                Column("", [for_terminal(_remark(one)) for one in jobs], 4, "left"),
            ]
        )


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

    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


COMMAND = Command(
    run=inspect,
    options=(InspectOptions, JsonOptions),
    exit_status="Exit status: 0 shown; 1 failed; 2 usage; 130 interrupted.",
)
