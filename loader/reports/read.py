"""Reads JSON reports of loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
from isal.igzip_lib import IsalError

from loader.errors import UsageError
from loader.extras import require
from loader.outputs.gzip import open_stored
from loader.reports.figures import Report, points

_Number = float


class _Point(msgspec.Struct):
    """An interval; what ``loader.jobs.measurements`` writes of it."""

    at: _Number
    seconds: Annotated[_Number, msgspec.Meta(gt=0)]
    loaded: int
    rejected: int
    intended: int | None
    p50: _Number | None
    p99: _Number | None
    max: _Number | None
    histogram: str | None
    pending: int | None
    active: int | None
    scheduled: int | None
    retry: int | None
    archived: int | None
    oldest_pending_seconds: _Number | None


class _Series(msgspec.Struct):
    points: list[_Point]
    knee: dict[str, _Number] | None = None


class _Latency(msgspec.Struct):
    count: int
    histogram: str
    p50: _Number | None
    p90: _Number | None
    p99: _Number | None
    p99_9: _Number | None
    mean: _Number | None
    max: _Number | None


class _Machine(msgspec.Struct):
    cores: object
    cpu: object
    memory_gib: object
    python: object


class _Source(msgspec.Struct):
    format: str


class _Shape(msgspec.Struct):
    """What of a report is compared."""

    job: str
    status: str
    layout: str
    processes: int
    queues: dict[str, int]
    loaded: int
    records_read: int
    rejected: int
    bytes_read: int
    batches: int
    seconds: _Number
    tasks_per_second: _Number
    peak_rss_bytes: int
    sources: list[_Source]
    options: dict[str, str] = {}
    series: _Series | None = None
    latency: _Latency | None = None
    machine: _Machine | None = None
    server: dict[str, object] | None = None


_DAMAGED: tuple[type[Exception], ...] = (OSError, EOFError, IsalError)  # type: ignore[assignment]  # isal's stub
_ENDINGS = (".json", ".json.gz")


def read_side(path: Path) -> list[Report]:
    """The report in a file, or those in a folder.

    Raises:
        UsageError: There is none, one is no report of a load, or it needs a package that is not installed.
    """
    try:
        paths = sorted(one for one in path.iterdir() if one.name.endswith(_ENDINGS)) if path.is_dir() else [path]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Check the path") from error
    if not paths:
        raise UsageError(f"no report in {path}", "Reports are its files that end in .json or .json.gz")
    return [_read(one) for one in paths]


def _read(path: Path) -> Report:
    try:
        with open_stored(path) as file:
            report: dict[str, Any] = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}", "Name the file of a load's --report") from error
    except _DAMAGED as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {why}", "Name the file of a load's --report") from error
    try:
        msgspec.convert(report, _Shape)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} is no report of a load: {error}", "Name the file of a load's --report") from error
    if report.get("dry_run"):
        raise UsageError(f"{path} is the report of a dry run, which loads nothing", "Name another report")
    if report.get("latency") or any(point.get("histogram") for point in points(report)):
        require("pace", f"comparing latencies ({path})")
    return report
