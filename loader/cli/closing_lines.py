"""The closing lines of a load: what was done, and how to go on."""

from __future__ import annotations

from loader.cli.pace_lines import pace_lines
from loader.cli.rejected import rejected_lines
from loader.errors import (
    AlreadyLoadedError,
    EvictedError,
    JobBusyError,
    JobMismatchError,
    LayoutMismatchError,
    QueueNameError,
    RejectStormError,
    SourceChangedError,
    TooManyRejectsError,
    UnknownQueueError,
    UsageError,
)
from loader.jobs.report import LoadReport, SkippedFile
from loader.tasks.sizes import counted

_MOST_FILES = 20
"""The maximum number of skipped files that are named."""

_REFUSED_AGAIN = {
    kind.code
    for kind in (
        UsageError,
        QueueNameError,
        UnknownQueueError,
        AlreadyLoadedError,
        JobMismatchError,
        LayoutMismatchError,
        SourceChangedError,
        JobBusyError,  # another process is loading the job
        EvictedError,  # what was evicted is marked as loaded
    )
}
"""Codes of errors that the same command would meet again, or that it does not cure."""


def closing_lines(report: LoadReport, resume: str, *, kept: bool) -> list[str]:
    """The lines for the user; none for a load that failed before it read or sent a record: its error says it all.

    Args:
        resume: The command that resumes the job.
        kept: Whether the server keeps its data when the run ends.
    """
    if report.status == "failed" and (not report.records_read or _is_nothing_sent(report)):
        return []
    lines = [f"job {report.job}: {report.status} in {report.seconds:.1f} s"]
    if report.dry_run:
        lines.append(f"  {'valid':<15}{report.valid:>13,}  (dry run: nothing was written to Redis)")
    else:
        queues = ", ".join(sorted(report.queues)[:5]) + (", …" if len(report.queues) > 5 else "")
        into = f" into {queues}" if queues else ""
        lines.append(f"  {'loaded':<15}{report.loaded:>13,}  {report.tasks_per_second:,.0f} tasks/s{into}")
        lines.append(f"  {'already loaded':<15}{report.already_loaded:>13,}")
        lines += pace_lines(report)
    if report.queue_fallbacks:
        lines.append(f"  {'without field':<15}{report.queue_fallbacks:>13,}  {report.fallback}")
    lines += _left_out_lines(report)
    where = ""
    if report.rejects_file:
        where = f"  see {report.rejects_file}"
    elif report.error_code == RejectStormError.code:
        where = "  (no rejects file was written)"
    elif report.rejected and report.preview is None:
        where = "  (--rejects FILE keeps them)"
    lines.append(f"  {'rejected':<15}{report.rejected:>13,}{where}")
    lines += rejected_lines(report)
    lines.append(
        f"  {'records read':<15}{report.records_read:>13,}  "
        f"{report.bytes_read / 1e6:,.1f} MB from {counted(len(report.sources), 'source')}"
    )
    return [*lines, *_skipped_lines(report), *_doubt_lines(report), *_how_to_go_on(report, resume, kept=kept)]


def _left_out_lines(report: LoadReport) -> list[str]:
    counts = report.counts
    named = (
        ("filtered", counts.filtered, "--where is not true for them"),
        ("not sampled", counts.not_sampled, "--sample leaves them out"),
        ("duplicates", counts.duplicates, "--dedup: a record before them has the same key"),
        ("outside", counts.outside, "before --offset or after --limit"),
    )
    lines = [f"  {name:<15}{count:>13,}  {why}" for name, count, why in named if count]
    if lines and counts.left_out == counts.records_read:
        lines.append("  no record is left: check the options above with --preview 1")
    return lines


def _is_nothing_sent(report: LoadReport) -> bool:
    """Whether it is certain that a load over HTTP has put nothing in: no connection, or a wrong key."""
    done = report.loaded or report.already_loaded or report.rejected or report.unsettled or report.in_doubt
    return report.journal is not None and not done


def _skipped_lines(report: LoadReport) -> list[str]:
    """Lines about files that are not loaded, or not to their end, and how to load them when they are repaired."""
    files = report.skipped_files
    if not files:
        return []
    lines = [f"  {'files skipped':<15}{len(files):>13,}  (--skip-bad-files)"]
    lines += [f"    {_skipped(file)}" for file in files[:_MOST_FILES]]
    if len(files) > _MOST_FILES:
        lines.append(f"    … and {len(files) - _MOST_FILES:,} more; --report FILE lists all")
    if report.dry_run:
        return lines
    lines.append("when a skipped file is repaired, load it alone: the other files are loaded")
    if unpack := next(filter(None, (_unpacking(file.name) for file in files if file.lines)), None):
        lines.append(f"of one damaged after N lines, load only the rest: {unpack} FILE | tail -n +$((N+1))")
    return lines


def _unpacking(name: str) -> str | None:
    """The command that decompresses a file of this name to standard output; None if its lines are no records."""
    from loader.sources.codecs.gzip import GZIP  # needed for a damaged file only
    from loader.sources.endings import Endings
    from loader.sources.lines_source import JSON_LINES

    form, codec = Endings().kind(name.rpartition("/")[2]) or (JSON_LINES, None)
    return (codec or GZIP).command if form is JSON_LINES else None


def _skipped(file: SkippedFile) -> str:
    what = "lines" if _unpacking(file.name) else "records"
    return f"{file.name}: {file.reason}{f' (after {file.lines:,} {what})' if file.lines else ''}"


def _how_to_go_on(report: LoadReport, resume: str, *, kept: bool) -> list[str]:
    """What the same command does when it is run again. A run that leaves nothing to resume needs no such line."""
    if report.discarded:
        return ["nothing was written: --redis discard drops the encoded tasks"]
    if report.dry_run or (report.error_code == RejectStormError.code and not report.resumed):
        return []
    if not kept:
        return ["the embedded server's data went with it; --embedded-dir DIR keeps it"]
    if report.status == "failed" and report.error_code in _REFUSED_AGAIN:
        return []
    if report.error_code in (TooManyRejectsError.code, RejectStormError.code):
        return [f"go on with another --max-errors: {resume}"]
    if report.status != "completed":
        return [f"go on with: {resume}"]
    if not report.loaded + report.already_loaded:
        return []
    if report.journal is not None:
        return [f"job {report.job} does not send again what {report.journal} has as acknowledged"]
    return [f"job {report.job} loads nothing twice if it is run again; --again loads it a second time"]


def _doubt_lines(report: LoadReport) -> list[str]:
    """Lines about batches sent over HTTP whose outcome was unknown."""
    repeated = [batch for batch in report.in_doubt if batch.repeated]
    lines: list[str] = []
    if repeated:
        places = ", ".join(batch.place for batch in repeated[:3]) + (", …" if len(repeated) > 3 else "")
        count = sum(batch.records for batch in repeated)
        lines.append(f"  {'in doubt':<15}{count:>13,}  tasks were sent again and may be in twice: {places}")
    if report.unsettled:
        batches = "batch" if report.unsettled == 1 else "batches"
        lines.append(
            f"  {'unsettled':<15}{report.unsettled:>13,}  {batches} sent without an answer; a resume repeats them"
        )
    return lines
