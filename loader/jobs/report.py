"""The report of a run: the source of the progress display, the JSON report and the exit status."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from loader.errors import LoaderError
from loader.jobs.counts import SourceCounts
from loader.jobs.holding import Holding
from loader.jobs.measurements import Measurements
from loader.jobs.reject_kinds import RejectKinds
from loader.sources.base import printable
from loader.tasks.reasons import Reason, ReasonCode

if TYPE_CHECKING:
    from loader.pace.account import PaceReport
    from loader.pace.latency import LatencyRecorder

Status = Literal["running", "completed", "interrupted", "failed"]
_EXAMPLES = 10
_EXIT_REJECTS = 3
_EXIT_INTERRUPTED = 130
_NOT_OURS = "unexpected"
"""``error_code`` of an exception that is not a LoaderError, for example from the caller's iterable."""


@dataclass(slots=True, kw_only=True)
class RunReport:
    """The status of a run, its duration, its error, and its rejects by reason.

    Attributes:
        error: The message of the error; None if there was none.
        error_code: ``LoaderError.code`` of the error, or "unexpected" for any other exception.
        rejected_by_code: The number of rejected records or tasks for each reason.
        kinds: The same by kind of reason, with examples.
        started_at: Seconds since 1970 (``time.time``) when it began.
    """

    status: Status = "running"
    error: str | None = None
    error_code: str | None = None
    rejected_by_code: Counter[ReasonCode] = field(default_factory=Counter)
    kinds: RejectKinds = field(default_factory=RejectKinds)
    started_at: float = field(default_factory=time.time)
    _started: float = field(default_factory=time.monotonic)
    _seconds: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started if self._seconds is None else self._seconds

    def end(self, status: Status) -> None:
        self.status = status
        self._seconds = time.monotonic() - self._started

    def fail(self, error: Exception) -> None:
        """Ends with status 'failed'."""
        self.error = str(error)
        self.error_code = error.code if isinstance(error, LoaderError) else _NOT_OURS
        self.end("failed")

    def count_reject(self, why: Reason, place: str, record: bytes = b"") -> None:
        """Counts a rejected record or task.

        Args:
            place: Its source and line, or its id.
        """
        self.rejected_by_code[why.code] += 1
        self.kinds.add(why, place, record)

    def most_rejected(self) -> list[tuple[ReasonCode, int]]:
        """``rejected_by_code``, the most frequent first."""
        return sorted(self.rejected_by_code.items(), key=lambda counted: (-counted[1], counted[0]))

    def _codes(self) -> dict[str, int]:
        return {code.value: count for code, count in self.most_rejected()}

    def _examples(self) -> list[dict[str, Any]]:
        return [
            {
                "code": example.why.code.value,
                "count": count,
                "place": printable(example.place),
                "reason": example.why.text,
                "record": example.record,
            }
            for count, example in self.kinds.most_frequent(_EXAMPLES)
        ]

    def _exit_status(self, rejected: int) -> int:
        if self.status == "completed":
            return _EXIT_REJECTS if rejected else 0
        return _EXIT_INTERRUPTED if self.status == "interrupted" else 1


@dataclass(slots=True)
class SourceReport(SourceCounts):
    """One source, and its counts so far.

    Attributes:
        size: Bytes as stored; None if this is not known ahead.
    """

    name: str
    format: str
    size: int | None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file of the input that is not loaded, or not to its end (``--skip-bad-files``).

    Attributes:
        reason: What is wrong with it, to be read after its name and a colon.
        lines: The number of its first lines that are loaded or rejected, because the damage comes after them.
    """

    name: str
    reason: str
    lines: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "reason": self.reason, "lines": self.lines}


@dataclass(slots=True)
class InDoubt:
    """A batch that was sent over HTTP with an unknown outcome: the server may have accepted it, in whole or in part.

    Attributes:
        records: The number of its tasks.
        repeated: Whether it was sent again and acknowledged. Then its tasks are in once or twice.
    """

    queue: str
    first_source: str
    first_line: int
    last_source: str
    last_line: int
    records: int
    reason: str
    repeated: bool = False

    @property
    def place(self) -> str:
        """The place of the batch, from its first record to its last."""
        if self.first_source == self.last_source:
            return f"{self.first_source}:{self.first_line}-{self.last_line}"
        return f"{self.first_source}:{self.first_line} to {self.last_source}:{self.last_line}"


@dataclass(frozen=True, slots=True)
class PreviewedTask:
    """A task that a load would make.

    Attributes:
        payload: The payload, byte for byte.
        options: The task's options that are not zero or empty.
    """

    id: str
    queue: str
    payload: bytes
    options: dict[str, Any]

    def to_line(self) -> bytes:
        """One line of JSON. Line ends between the tokens of the payload become blanks."""
        payload = orjson.Fragment(self.payload.translate(_LINE_ENDS))
        task = {"id": self.id, "queue": self.queue, "payload": payload, "options": self.options}
        return orjson.dumps(task, option=orjson.OPT_APPEND_NEWLINE)


_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


@dataclass(slots=True)
class LoadReport(RunReport):
    """Counts of a load, updated as it runs.

    For a completed load, ``records_read == loaded + already_loaded + rejected + left_out``.

    Attributes:
        job: Name of the job, by which it is resumed.
        resumed: Whether the job was begun before this run.
        queues: Tasks that this run pushed, by queue.
        batches: Batches that this run committed.
        compact: Tasks that this run wrote compact (by RESTORE).
        server_bytes_a_task: Growth of the server's memory in this run, in bytes a task; None if it is not known.
        peak_child_rss_bytes: The largest peak resident memory of the other processes of this load.
        last_reject: Place and reason of the last rejected record.
        ids_file: The file with the ids of tasks (``--ids-out``), or the place for one file a shard.
        skipped_files: Files that are not loaded, or not to their end (``--skip-bad-files``).
        in_doubt: Over HTTP: batches whose outcome was unknown at some time.
        unsettled: Over HTTP: the number of batches still in doubt at the end. A resume sends them again.
        journal: Over HTTP: the journal that a resume needs.
        discarded: Whether tasks were counted as loaded but not written (``--redis discard``).
        fallback: What ``queue_fallbacks`` counts, and their queue, for people; '' unless ``--queue-field`` or
            ``--queue-from`` is given beside ``--queue``.
        holding: What holds the load back, and for how long it has done so.
        valid: With ``dry_run``: the number of records that would be loaded.
        preview: With ``--preview``: the first tasks; otherwise None.
        measured: What ``--series`` has noted; None without it.
        failed_conditions: What ``--fail-if`` has found at the end, a line each; None if nothing was looked for.
        pace: What was due and what was sent; None if nothing holds deliveries back.
        latency: How long after its due time each task was in; None without due times.
    """

    job: str
    layout: str
    sources: list[SourceReport]
    dry_run: bool = False
    discarded: bool = False
    processes: int = 1
    resumed: bool = False
    queues: dict[str, int] = field(default_factory=dict)
    batches: int = 0
    compact: int = 0
    server_bytes_a_task: float | None = None
    valid: int = 0
    preview: list[PreviewedTask] | None = None
    fallback: str = ""
    rejects_file: str | None = None
    last_reject: str = ""
    ids_file: str | None = None
    journal: str | None = None
    skipped_files: list[SkippedFile] = field(default_factory=list)
    in_doubt: list[InDoubt] = field(default_factory=list)
    unsettled: int = 0
    peak_child_rss_bytes: int = 0
    measured: Measurements | None = None
    failed_conditions: list[str] | None = None
    holding: Holding = field(default_factory=Holding)
    pace: PaceReport | None = None
    latency: LatencyRecorder | None = None

    @property
    def counts(self) -> SourceCounts:
        """The sum over all sources."""
        return SourceCounts.total(self.sources)

    @property
    def records_read(self) -> int:
        return sum(source.records_read for source in self.sources)

    @property
    def loaded(self) -> int:
        return sum(source.loaded for source in self.sources)

    @property
    def already_loaded(self) -> int:
        return sum(source.already_loaded for source in self.sources)

    @property
    def rejected(self) -> int:
        return sum(source.rejected for source in self.sources)

    @property
    def queue_fallbacks(self) -> int:
        return sum(source.queue_fallbacks for source in self.sources)

    @property
    def filtered(self) -> int:
        return sum(source.filtered for source in self.sources)

    @property
    def not_sampled(self) -> int:
        return sum(source.not_sampled for source in self.sources)

    @property
    def duplicates(self) -> int:
        return sum(source.duplicates for source in self.sources)

    @property
    def outside(self) -> int:
        return sum(source.outside for source in self.sources)

    @property
    def left_out(self) -> int:
        return sum(source.left_out for source in self.sources)

    @property
    def dealt_with(self) -> int:
        """Records whose fate is known: of those that are read, the others are on their way."""
        return self.loaded + self.already_loaded + self.rejected + self.valid + self.left_out

    @property
    def bytes_read(self) -> int:
        return sum(source.bytes_read for source in self.sources)

    @property
    def tasks_per_second(self) -> float:
        return self.loaded / self.seconds if self.seconds else 0.0

    @property
    def exit_status(self) -> int:
        """0 all in; 1 failed; 3 completed with rejects or without some files; 130 interrupted."""
        return self._exit_status(self.rejected + len(self.skipped_files))

    def _written(self) -> dict[str, Any]:
        if self.journal is not None or self.dry_run:
            return {}
        size = self.server_bytes_a_task
        return {"compact": self.compact, "server_bytes_a_task": None if size is None else round(size, 1)}

    def _paced(self) -> dict[str, Any] | None:
        held = self.holding.seconds
        if self.pace is None and not held:
            return None
        from loader.pace.account import PaceReport  # only for loads that wait for something

        pace = self.pace or PaceReport(sent=self.loaded)
        return pace.to_dict(time.monotonic(), held)

    def _http(self) -> dict[str, Any]:
        if self.journal is None:
            return {}
        in_doubt = [_doubt(batch) for batch in self.in_doubt]
        return {"journal": self.journal, "in_doubt": in_doubt, "unsettled_batches": self.unsettled}

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/reference.md for its fields."""
        return {
            "job": self.job,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "dry_run": self.dry_run,
            "discarded": self.discarded,
            "resumed": self.resumed,
            "layout": self.layout,
            "processes": self.processes,
            "queues": self.queues,
            **self.counts.by_name,
            "rejected_by_code": self._codes(),
            "rejected_examples": self._examples(),
            **({"valid": self.valid} if self.dry_run else {}),
            "rejects_file": self.rejects_file,
            "skipped_files": [file.to_dict() for file in self.skipped_files],
            "ids_file": self.ids_file,
            **self._http(),
            "batches": self.batches,
            **self._written(),
            "seconds": round(self.seconds, 3),
            "tasks_per_second": round(self.tasks_per_second, 1),
            "pace": self._paced(),
            "latency": None if self.latency is None else self.latency.to_dict(),
            "peak_rss_bytes": max(peak_rss_bytes(), self.peak_child_rss_bytes),
            "sources": [
                {"name": source.name, "format": source.format, "size": source.size, **source.by_name}
                for source in self.sources
            ],
            **({} if self.failed_conditions is None else {"failed_conditions": self.failed_conditions}),
            **({} if self.measured is None else self.measured.to_dict()),
        }

    def to_record(self) -> dict[str, Any]:
        """The report as it is kept with the job in Redis: without what ``--series`` has noted, and without histogram,
        which may be long."""
        found = replace(self, measured=None).to_dict()
        if found["latency"] is not None:
            del found["latency"]["histogram"]
        return found


def _doubt(batch: InDoubt) -> dict[str, Any]:
    return {
        "queue": batch.queue,
        "first": {"source": batch.first_source, "line": batch.first_line},
        "last": {"source": batch.last_source, "line": batch.last_line},
        "records": batch.records,
        "reason": batch.reason,
        "repeated": batch.repeated,
    }


def peak_rss_bytes() -> int:
    """Peak resident memory of this process so far, in bytes."""
    # getrusage(2) on Linux keeps the peak of the process that called exec: of a large parent, its memory would be told.
    # VmHWM (proc_pid_status(5)) begins anew.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): kilobytes; on macOS, bytes
