"""``runqy-loader jobs attach``: looks on while a cluster loads a job."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from loader.cli import INTERRUPTED
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.cli.stderr import tell, tell_end
from loader.errors import LoaderError
from loader.jobs.lease import LEASE_MS
from loader.outputs.place import is_place

if TYPE_CHECKING:
    from loader.joblist.jobs import Jobs
    from loader.jobs.course import Course

_LOOK_SECONDS = 0.5
_GONE_SECONDS = LEASE_MS / 1000 + 15.0
"""After so long without a holder, nobody goes on with the job: Dask would have run its driver again."""


async def attach(jobs: Jobs, job: str, shown: JsonOptions) -> int:
    """Shows the progress of a job until its run ends. Returns the exit status of the run.

    Raises:
        LoaderError: There is no such job, or nobody loads it, or not so that others can look on; or the server refuses,
            or cannot be reached.
    """
    from loader.cli.display import Display
    from loader.cli.progress import counting

    course = await jobs.course(job)
    if course.progress is None:
        why = "is loaded by a command that shows its own progress" if course.is_held else "is not loaded by anybody"
        raise LoaderError(
            f"job {job} {why}", f"Only loads on a Dask cluster have others look on; see runqy-loader jobs show {job}"
        )
    display = Display(quiet=False, verbose=False, progress=True)
    latest = [course]

    def now() -> dict[str, Any]:
        return latest[0].progress or {}

    async with counting(display, lambda: _line(now()), now, shown=not shown.json):
        ended = await _until_over(jobs, job, latest)
    if ended is None:
        raise LoaderError(
            f"job {job} is interrupted: nobody loads it any more",
            f"Run its load again, which goes on where it stopped; runqy-loader jobs show {job} has the command",
        )
    if shown.json:
        print_json(ended)
    else:
        _tell_end(job, ended)
    return int(ended.get("exit_status", INTERRUPTED))


async def _until_over(jobs: Jobs, job: str, latest: list[Course]) -> dict[str, Any] | None:
    """The outcome of the newest run; None if it is gone without one."""
    held_at = time.monotonic()
    while True:
        course = latest[0]
        if course.is_over and not course.is_held:
            return course.outcome
        now = time.monotonic()
        if course.is_held:
            held_at = now
        elif now - held_at > _GONE_SECONDS:
            return None
        await asyncio.sleep(_LOOK_SECONDS)
        latest[0] = await jobs.course(job)


def _line(progress: dict[str, Any]) -> str:
    parts = [f"{progress.get('loaded', 0):,} loaded"]
    if seconds := progress.get("seconds"):
        parts.append(f"{progress['loaded'] / seconds:,.0f}/s")
    if total := progress.get("bytes"):
        parts.insert(0, f"{100 * min(progress['bytes_read'], total) // total} %")
    if already := progress.get("already_loaded"):
        parts.append(f"{already:,} already in")
    parts.append(f"{progress.get('rejected', 0):,} rejected")
    if held := progress.get("holding"):
        parts.append(str(held))
    return " · ".join(parts)


def _tell_end(job: str, ended: dict[str, Any]) -> None:
    lines = [f"job {job}: {ended.get('status')} in {ended.get('seconds', 0.0):,.1f} s"]
    for name, count in (
        ("loaded", ended.get("loaded", 0)),
        ("already loaded", ended.get("already_loaded", 0)),
        ("rejected", ended.get("rejected", 0)),
        ("records read", ended.get("records_read", 0)),
    ):
        lines.append(f"  {name:<15}{count:>13,}")
    if path := ended.get("rejects_file"):
        where = "" if is_place(path) else ", on the machine that drove the load"
        lines.append(f"  rejects are in {path}{where}")
    tell_end(lines, lambda: ended)
    if error := ended.get("error"):
        tell(f"runqy-loader: error: {error}", level="error", code=ended.get("error_code"))
