"""What happened: one object behind the progress display, the JSON report and the exit status."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "completed", "interrupted", "failed"]
_EXIT_REJECTS = 3
_EXIT_INTERRUPTED = 130


@dataclass(slots=True, kw_only=True)
class RunReport:
    """How a run ended, and how long it took."""

    status: Status = "running"
    error: str | None = None
    _started: float = field(default_factory=time.monotonic)
    _seconds: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started if self._seconds is None else self._seconds

    def end(self, status: Status, error: str | None = None) -> None:
        self.status, self.error = status, error
        self._seconds = time.monotonic() - self._started

    def _exit_status(self, rejected: int) -> int:
        if self.status == "completed":
            return _EXIT_REJECTS if rejected else 0
        return _EXIT_INTERRUPTED if self.status == "interrupted" else 1


@dataclass(slots=True)
class SourceReport:
    """Counts of one source, in records; ``bytes`` as stored."""

    name: str
    format: str
    size: int | None
    bytes_read: int = 0
    records_read: int = 0
    loaded: int = 0
    already_loaded: int = 0
    rejected: int = 0


@dataclass(slots=True)
class InDoubt:
    """A batch sent over HTTP of which it is unknown whether, or how much of it, the server had taken.

    Attributes:
        records: How many tasks it has.
        repeated: Whether it was sent again and acknowledged: then its tasks are in once or twice.
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
        """From its first record to its last."""
        if self.first_source == self.last_source:
            return f"{self.first_source}:{self.first_line}-{self.last_line}"
        return f"{self.first_source}:{self.first_line} to {self.last_source}:{self.last_line}"


@dataclass(slots=True)
class LoadReport(RunReport):
    """Counts of a load, filled as it goes.

    On a completed load ``records_read == loaded + already_loaded + rejected``.

    Attributes:
        job: Name of the job, by which it is resumed.
        resumed: Whether the job had been begun before this run.
        queues: Tasks that this run pushed, by queue.
        batches: Batches that this run committed.
        peak_child_rss_bytes: The most memory that a process of this load's has had resident, this one aside.
        last_reject: Place and reason of the last record rejected.
        ids_file: Where the ids of tasks went (``--ids-out``).
        in_doubt: Over HTTP: batches whose outcome was unknown at some time.
        unsettled: Over HTTP: how many batches are still in doubt at the end; a resume sends them again.
        journal: Over HTTP: the journal that a resume needs.
        discarded: Whether tasks were counted as loaded but written nowhere (``--redis discard``).
        valid: With ``dry_run``: records that would be loaded.
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
    valid: int = 0
    rejects_file: str | None = None
    last_reject: str = ""
    ids_file: str | None = None
    journal: str | None = None
    in_doubt: list[InDoubt] = field(default_factory=list)
    unsettled: int = 0
    peak_child_rss_bytes: int = 0

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
    def bytes_read(self) -> int:
        return sum(source.bytes_read for source in self.sources)

    @property
    def tasks_per_second(self) -> float:
        return self.loaded / self.seconds if self.seconds else 0.0

    @property
    def exit_status(self) -> int:
        """0 all in; 1 failed; 3 completed with rejects; 130 interrupted."""
        return self._exit_status(self.rejected)

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
            "dry_run": self.dry_run,
            "discarded": self.discarded,
            "resumed": self.resumed,
            "layout": self.layout,
            "processes": self.processes,
            "queues": self.queues,
            "records_read": self.records_read,
            "loaded": self.loaded,
            "already_loaded": self.already_loaded,
            "rejected": self.rejected,
            **({"valid": self.valid} if self.dry_run else {}),
            "rejects_file": self.rejects_file,
            "ids_file": self.ids_file,
            **self._http(),
            "batches": self.batches,
            "bytes_read": self.bytes_read,
            "seconds": round(self.seconds, 3),
            "tasks_per_second": round(self.tasks_per_second, 1),
            "peak_rss_bytes": max(peak_rss_bytes(), self.peak_child_rss_bytes),
            "sources": [
                {
                    "name": source.name,
                    "format": source.format,
                    "size": source.size,
                    "bytes_read": source.bytes_read,
                    "records_read": source.records_read,
                    "loaded": source.loaded,
                    "already_loaded": source.already_loaded,
                    "rejected": source.rejected,
                }
                for source in self.sources
            ],
        }


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
    """The most memory this process has had resident so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): kilobytes, on macOS bytes
