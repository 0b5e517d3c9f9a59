"""JSON on standard output, and the report's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loader.errors import LoaderError
from loader.outputs.gzip import as_stored


def print_json(value: Any) -> None:
    """Prints JSON on standard output."""
    with open(1, "wb", closefd=False) as stdout:  # sys.stdout may be None, or not UTF-8
        stdout.write(_encoded(value))


def _encoded(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_report(path: Path | None, report: dict[str, Any], *, unless_since: float | None = None) -> None:
    """Writes the JSON report, if the user wants one.

    Args:
        unless_since: A Unix time. A file that was written since then is left alone: it has the report of the run that
            has taken the job over from this one.

    Raises:
        LoaderError: The file cannot be written.
    """
    if path is None:
        return
    try:
        if str(path) == "-":
            print_json(report)
        elif unless_since is None or not path.is_file() or path.stat().st_mtime < unless_since:
            path.write_bytes(as_stored(path, _encoded(report)))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LoaderError(f"--report {path} cannot be written: {error.strerror}", "Everything else is done") from error
