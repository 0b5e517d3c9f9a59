"""Reads JSON reports of loads."""

from __future__ import annotations

from pathlib import Path

import orjson

from loader.errors import UsageError
from loader.extras import require
from loader.outputs.gzip import open_stored
from loader.reports.figures import Report, points

_NEEDED = ("job", "status", "layout", "loaded", "records_read", "seconds", "sources", "batches")
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
            report = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}", "Name the file of a load's --report") from error
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {why}", "Name the file of a load's --report") from error
    if not isinstance(report, dict) or any(name not in report for name in _NEEDED):
        raise UsageError(f"{path} is no report of a load", "Name the file of a load's --report")
    if report.get("dry_run"):
        raise UsageError(f"{path} is the report of a dry run, which loads nothing", "Name another report")
    if report.get("latency") or any(point.get("histogram") for point in points(report)):
        require("pace", f"comparing latencies ({path})")
    return report
