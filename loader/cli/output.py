"""JSON on standard output, and the report's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader.errors import LoaderError
from loader.outputs.whole import WholeFile


def print_json(value: Any) -> None:
    """Prints JSON on standard output."""
    with open(1, "wb", closefd=False) as stdout:  # sys.stdout may be None, or not UTF-8
        stdout.write(_encoded(value))


def _encoded(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class FileMark:
    """What shows that a file has been written meanwhile. No clock is asked: clocks jump.

    Attributes:
        state: Of the file that is there: its number, size, and time of its last change as the file system says it.
    """

    state: tuple[int, int, int] | None

    @classmethod
    def of(cls, path: Path | None) -> FileMark:
        """The mark of a file, which need not exist."""
        try:
            found = None if path is None else path.stat()
        except OSError:
            found = None
        return cls(None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns))


def write_report(path: Path | None, report: dict[str, Any], *, unless_changed: FileMark | None = None) -> None:
    """Writes the JSON report, if the user wants one.

    Args:
        unless_changed: An earlier mark of the file. A file that was written since then is left alone: it has the
            report of the run that has taken the job over from this one.

    Raises:
        LoaderError: The file cannot be written.
    """
    if path is None:
        return
    if str(path) == "-":
        try:
            print_json(report)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritten(f"--report {path} cannot be written: {error.strerror}") from error
    elif unless_changed is None or not path.is_file() or FileMark.of(path) == unless_changed:
        try:
            with WholeFile(path, "--report") as file:
                file.write(_encoded(report))
                file.keep()
        except LoaderError as error:
            raise unwritten(str(error.args[0])) from error


def unwritten(what: str) -> LoaderError:
    """The error for a file that cannot be written when the work is done."""
    return LoaderError(what, "Everything else is done")
