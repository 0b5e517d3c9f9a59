"""From the paths a user names to the list of sources, in an order that never changes."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import orjson

from loader.errors import SourceError, UsageError
from loader.settings import FormatName
from loader.sources.base import printable

STDIN = "-"
REJECTS_ENDING = ".rejects.jsonl"
_MOST_OF_A_REJECT = 256 * 1024 * 1024
RecordFormat = Literal["jsonl", "json"]
_SUFFIXES: dict[str, FormatName] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonl.gz": "jsonl.gz",
    ".ndjson.gz": "jsonl.gz",
    ".json": "json",
    ".json.gz": "json.gz",
}

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input. ``path`` is None for standard input."""

    name: str
    path: Path | None
    format: RecordFormat
    gzipped: bool


@dataclass(frozen=True, slots=True)
class FileSource:
    """A source made of files: one file of lines, or a run of files with one JSON document each."""

    name: str
    format: RecordFormat
    files: tuple[InputFile, ...]


def discover(
    arguments: Sequence[str], forced: FormatName | None, passing_over: Sequence[str | os.PathLike[str]] = ()
) -> list[FileSource]:
    """Expands files, globs, directories (recursively, sorted) and ``-``; groups documents that follow each other.

    Args:
        forced: Format of all inputs; None to tell it by each name.
        passing_over: Files that directories and globs do not stand for, such as the load's own report. Rejects files
            are passed over by their ending. Otherwise the same command, run again, would find more input.

    Raises:
        UsageError: No argument, ``-`` twice, or a file whose name tells no format.
        SourceError: A path does not exist, a glob or a directory holds no payload file, or one cannot be listed.
    """
    if not arguments:
        raise UsageError("no input given", "Name files, globs, directories, or - for standard input")
    if "" in arguments:
        raise UsageError("an input has an empty name", "Is a variable unset?")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", "Name it once")
    own = {Path(path).resolve() for path in passing_over}
    files = [file for argument in arguments for file in _expand(argument, forced, own)]
    if not files:
        raise SourceError("the input holds what loads rejected, and no payloads", "Take its records out of their lines")
    seen: set[Path] = set()
    for file in files:
        if file.path is not None:
            resolved = file.path.resolve()
            if resolved in own:
                raise UsageError(f"{file.name} is an input, and this run would write to it", "Name another file")
            if resolved in seen:
                raise UsageError(f"{file.name} is named twice", "Its records would be loaded twice; name it once")
            seen.add(resolved)
    sources: list[FileSource] = []
    for is_documents, run in groupby(files, key=lambda file: file.format == "json"):
        if is_documents:
            group = tuple(run)
            name = group[0].name if len(group) == 1 else f"{group[0].name} … ({len(group)} documents)"
            sources.append(FileSource(name, "json", group))
        else:
            sources += [FileSource(file.name, file.format, (file,)) for file in run]
    return sources


def _expand(argument: str, forced: FormatName | None, own: set[Path]) -> Iterable[InputFile]:
    if argument == STDIN:
        if forced is not None and forced.startswith("json") and not forced.startswith("jsonl"):
            raise UsageError(
                "standard input takes JSON lines only", "Make the document one line first, as `jq -c .` does"
            )
        return [_input_file("-", None, forced or "jsonl")]
    path = Path(argument)
    try:
        if path.is_dir():
            return _directory(path, forced, own)
        if path.name.endswith(REJECTS_ENDING) and _holds_rejects(path):
            # A shell has expanded a pattern: to load them would make the same command another job the second time.
            log.warning("passing over %s: it holds what a load rejected, not payloads", argument)
            return []
        if path.exists():
            return [_input_file(argument, path, forced or _format_of(path))]
    except OSError as error:
        raise SourceError(f"{argument}: {error.strerror}", "Check the path and its permissions") from error
    if glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
        found = [Path(match) for match in matches if Path(match).is_file() and not _is_own(Path(match), own)]
        if not found:
            raise SourceError(f"{argument}: no file matches", "Check the pattern")
        return [_input_file(str(file), file, forced or _format_of(file)) for file in found]
    raise SourceError(f"{argument}: no such file or directory", "Check the path")


def _holds_rejects(path: Path) -> bool:
    """Whether a file is what its ending says."""
    try:
        with path.open("rb") as file:
            first = orjson.loads(file.readline(_MOST_OF_A_REJECT))
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(first, dict) and first.keys() >= {"source", "line", "byte_offset", "reason", "record"}


def _is_own(path: Path, own: set[Path]) -> bool:
    return path.name.endswith(REJECTS_ENDING) or path.resolve() in own


def _directory(path: Path, forced: FormatName | None, own: set[Path]) -> list[InputFile]:
    def failed(error: OSError) -> None:
        raise SourceError(f"{error.filename}: {error.strerror}", "Check its permissions") from error

    found: list[InputFile] = []
    for parent, folders, names in os.walk(path, onerror=failed):
        folder = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            format_name = forced or _format_by_name(name)
            if format_name is not None and not name.startswith(".") and not _is_own(folder / name, own):
                found.append(_input_file(str(folder / name), folder / name, format_name))
    if not found:
        raise SourceError(
            f"{path}: no payload file in this directory", f"Files need one of these endings: {', '.join(_SUFFIXES)}"
        )
    return found


def _format_by_name(name: str) -> FormatName | None:
    lower = name.lower()
    return next((found for suffix, found in _SUFFIXES.items() if lower.endswith(suffix)), None)


def _format_of(path: Path) -> FormatName:
    found = _format_by_name(path.name)
    if found is None:
        raise UsageError(f"{path}: its name tells no format", "Say --format jsonl or --format json (or .gz of these)")
    return found


def _input_file(name: str, path: Path | None, format_name: FormatName) -> InputFile:
    record_format: RecordFormat = "jsonl" if format_name.startswith("jsonl") else "json"
    return InputFile(printable(name), path, record_format, format_name.endswith(".gz"))
