"""``runqy-loader jobs``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loader.cli.commands import ALL, Command
from loader.cli.logins import without_password
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.cli.stderr import for_terminal, tell
from loader.errors import UsageError
from loader.joblist.options import JobsOptions, ordered_rate
from loader.outputs.place import is_place
from loader.settings import shared
from loader.settings.option import flag_of
from loader.tasks.sizes import counted

if TYPE_CHECKING:
    from loader.joblist.jobs import Cleaned, Forgotten
    from loader.joblist.view import JobView

_ACTIONS = {
    "list": "",
    "show": "JOB",
    "attach": "JOB",
    "pause": "JOB",
    "resume": "JOB",
    "rate": "JOB RATE",
    "forget": "JOB",
    "expire": "JOB DURATION",
    "clean": "",
}
_USAGE = (
    "jobs [list], jobs show JOB, jobs attach JOB, jobs pause JOB, jobs resume JOB, jobs rate JOB 5000/s, "
    "jobs forget JOB, jobs expire JOB 30d, jobs clean"
)


def jobs(action: tuple[str, ...], options: JobsOptions, shown: JsonOptions) -> int:
    """Lists the jobs of a server: their state and progress, and who loads them now.

    "show JOB" shows one with all that is known, and the command that goes on with it. "attach JOB" shows the progress
    of a load on a Dask cluster, and ends with its exit status; Ctrl-C ends only the look at it. "pause JOB", "resume
    JOB" and "rate JOB 5000/s" ("none": as its own options say) reach a running load within about a second. "forget JOB"
    deletes its record, not its tasks. "expire JOB 30d" has the record of a finished job end ("forever": stay). "clean"
    deletes hashes that killed loads have left and that were never pushed.
    """
    from loader.cli.signals import run

    name, *words = action or ("list",)
    if name not in _ACTIONS:
        raise UsageError(f"jobs {' '.join(action)} is none of its forms", _USAGE)
    if len(words) != len(_ACTIONS[name].split()):
        raise UsageError(f"it is written: jobs {name} {_ACTIONS[name]}".rstrip(), "runqy-loader jobs lists the jobs")
    return run(_do(name, words, options, shown))


async def _do(action: str, words: Sequence[str], options: JobsOptions, shown: JsonOptions) -> int:
    from loader.joblist.jobs import Jobs
    from loader.settings.keep import keep_problem, keep_seconds
    from loader.undo.options import check_job

    if words:
        check_job(words[0])
    if action == "expire" and (problem := keep_problem(words[1])):
        raise UsageError(f"jobs expire {words[0]} {words[1]}: {problem}", _USAGE)
    rate = ordered_rate(words[1]) if action == "rate" else None
    async with Jobs(options) as all_jobs:
        if action == "list":
            _show_all([_with_server(one, options) for one in await all_jobs.every()], shown)
        elif action == "show":
            _show(_with_server(await all_jobs.show(words[0]), options), shown)
        elif action == "attach":
            from loader.cli.attach import attach

            return await attach(all_jobs, words[0], shown)
        elif action in ("pause", "resume", "rate"):
            job = words[0]
            ordered = {"pause": all_jobs.pause, "resume": all_jobs.resume}.get(action)
            view = await (ordered(job) if ordered else all_jobs.change_rate(job, rate))
            _show_ordered(_with_server(view, options), action, shown)
        elif action == "expire":
            _show(_with_server(await all_jobs.expire(words[0], keep_seconds(words[1])), options), shown)
        elif action == "forget":
            return _show_forgotten(await all_jobs.forget(words[0]), options, shown)
        else:
            _show_cleaned(await all_jobs.clean(), options, shown)
    return 0


def _with_server(job: JobView, options: JobsOptions) -> JobView:
    """A job whose command to go on names the server, if that is not the usual one."""
    if not job.go_on or job.kind == "migrate":  # whose record does not tell its source
        return job
    names = ("redis", "redis_password_file", "redis_password_command")
    given = [(name, str(getattr(options, name))) for name in names if getattr(options, name) is not None]
    where = [(flag_of(name), without_password(value)) for name, value in given if value != shared.DEFAULT_REDIS]
    return replace(job, go_on=" ".join([job.go_on, *(shlex.join(pair) for pair in where)]))


def _show_all(found: Sequence[JobView], shown: JsonOptions) -> None:
    if shown.json:
        print_json([one.to_dict() for one in found])
        return
    if not found:
        _write("no jobs; --scan finds those that earlier versions have begun")
        return
    from loader.cli.fitted_table import Column, print_table

    columns = [
        Column("job", [for_terminal(one.job) for one in found], 0, "left"),
        Column("kind", [one.kind for one in found], 5, "left"),
        Column("state", [one.state for one in found], 1, "left"),
        Column("begun", [_when(one.begun) for one in found], 3, "left"),
        Column("tasks in", ["?" if one.tasks is None else f"{one.tasks:,}" for one in found], 2),
        Column("", [for_terminal(_remark(one)) for one in found], 4, "left"),
    ]
    print_table(columns)


def _remark(job: JobView) -> str:
    if job.pid is not None:
        return ", ".join([*_orders(job), f"process {job.pid} on {job.host}"])
    if job.left:
        return f"{job.left:,} left with consumers"
    if job.go_on:
        return ", ".join([*_orders(job), "see jobs show JOB"])
    return "" if job.expires is None else f"kept until {_when(job.expires)}"


def _orders(job: JobView) -> list[str]:
    """What was ordered from another terminal."""
    rate = [] if job.rate is None else [f"at {job.rate:,.10g}/s"]
    return rate if job.paused is None else ["paused", *rate]


def _show(job: JobView, shown: JsonOptions) -> None:
    if shown.json:
        print_json(job.to_dict())
        return
    process = None if job.pid is None else f"process {job.pid} on {job.host}"
    if process and job.since is not None:
        process += f", since {_when(job.since)}"
    kept = _when(job.expires) if job.expires is not None else "it is forgotten"
    rows: list[tuple[str, Any]] = [
        ("kind", job.kind),
        ("state", job.state),
        ("works on it", process),
        ("paused", None if job.paused is None else f"since {_when(job.paused)}: jobs resume {job.job} lets it go on"),
        ("rate", None if job.rate is None else f"{job.rate:,.10g} tasks/s, as ordered by jobs rate"),
        ("begun", _when(job.begun)),
        ("finished", _when(job.finished)),
        ("kept until", kept if job.state in ("finished", "rolled back") else ""),
        ("layout", job.layout),
        ("queues", ", ".join(job.queues[:5]) + (f" and {len(job.queues) - 5:,} more" if len(job.queues) > 5 else "")),
        ("tasks in", "not known" if job.tasks is None else f"{job.tasks:,} ({counted(job.batches, 'batch', 'es')})"),
        ("input", None if job.input_bytes is None else f"{job.input_bytes:,} bytes"),
        ("sources", ", ".join(job.sources[:3]) + (", …" if len(job.sources) > 3 else "")),
        ("left", None if job.left is None else f"{job.left:,} tasks that consumers had taken"),
        ("rejected", None if job.rejected is None else f"{job.rejected:,}"),
        ("rejects file", None if job.rejected == 0 else _one_or_a_shard(job.rejects)),
        ("ids file", _one_or_a_shard(job.ids)),
        ("go on", job.go_on),
    ]
    _write(f"job {job.job}", *(f"  {name:<13}{value}" for name, value in rows if value not in (None, "")))


def _one_or_a_shard(path: str | None) -> str | None:
    return path if path is None or not is_place(path) else f"{path} (one file a shard)"


def _show_ordered(job: JobView, action: str, shown: JsonOptions) -> None:
    """Says what was ordered, and who does it when."""
    if shown.json:
        print_json(job.to_dict())
        return
    done = {"pause": "is paused", "resume": "goes on"}.get(action)
    if done is None:
        done = "is loaded as its own options say" if job.rate is None else f"is loaded at {job.rate:,.10g} tasks/s"
    if job.pid is not None:
        _write(f"job {job.job} {done}: process {job.pid} on {job.host} follows within about a second")
    else:
        _write(f"job {job.job} {done}: nobody loads it now, and its next run follows")


def _show_forgotten(found: Forgotten, options: JobsOptions, shown: JsonOptions) -> int:
    status = 0 if found.done or options.dry_run else 2
    if shown.json:
        print_json({"job": found.job, "forgotten": found.done, "means": found.means})
        return status
    _write(
        f"job {found.job} {'is forgotten' if found.done else 'would be forgotten'}:", *(f"  {x}" for x in found.means)
    )
    if status:
        tell(f"runqy-loader: nothing is done yet. Give --yes to do it: runqy-loader jobs forget {found.job} --yes")
    return status


def _show_cleaned(found: Sequence[Cleaned], options: JobsOptions, shown: JsonOptions) -> None:
    if shown.json:
        print_json([{"job": one.job, "deleted": one.deleted, "passed_over": one.passed_over} for one in found])
        return
    verb = "would be deleted" if options.dry_run else "deleted"
    lines = [
        f"job {one.job}: {one.deleted:,} keys of tasks that were never pushed {verb}"
        + (f"; not all was looked at: {one.passed_over}" if one.passed_over else "")
        for one in found
    ]
    _write(*(lines or ["no unfinished jobs"]))


def _write(*lines: str) -> None:
    with open(1, "w", closefd=False, encoding="utf-8", errors="replace") as stdout:  # sys.stdout may be None
        stdout.writelines(f"{for_terminal(line)}\n" for line in lines)


def _when(moment: float | None) -> str:
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


COMMAND = Command(
    run=jobs,
    options=(JobsOptions, JsonOptions),
    argument="list (the default), show JOB, attach JOB, pause JOB, resume JOB, rate JOB RATE, forget JOB, "
    "expire JOB DURATION, or clean.",
    argument_name="action",
    usage="[list | show JOB | attach JOB | pause JOB | resume JOB | rate JOB RATE | forget JOB | expire JOB DURATION | "
    "clean] [OPTIONS]",
    exit_status="Exit status: 0 done; 1 failed; 2 usage, or --yes is missing; 130 interrupted; of attach, as of load.",
    own_variables=ALL,
)
