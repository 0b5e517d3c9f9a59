"""From the paths that a user gives to the list of sources, in an order that is always the same."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import orjson

from loader.errors import SourceError, UsageError
from loader.sources.base import printable
from loader.sources.format import FileSource, InputFile
from loader.sources.formats import FORMATS, STDIN_FORMAT, Kind, by_ending, format_hint, kind_named

STDIN = "-"
REJECTS_ENDING = ".rejects.jsonl"
_MOST_OF_A_REJECT = 256 * 1024 * 1024

log = logging.getLogger("runqy_loader")


def discover(
    arguments: Sequence[str], forced: str | None, passing_over: Sequence[str | os.PathLike[str]] = ()
) -> list[FileSource]:
    """Expands files, globs, directories (recursively, sorted) and ``-``. Groups consecutive documents.

    Args:
        forced: Format of all inputs, as in ``--format``; None to infer it from each name.
        passing_over: Files to skip in directories and globs, such as the load's own report. Rejects files are skipped
            because of their ending. Otherwise, the same command would find more input when it is run again.

    Raises:
        UsageError: There is no argument, ``-`` is given twice, the format of a file cannot be inferred from its name,
            or ``forced`` is not a format.
        SourceError: A path does not exist, a glob or a directory has no payload file, or a directory cannot be listed.
    """
    if not arguments:
        raise UsageError("no input given", "Name files, globs, directories, or - for standard input")
    if "" in arguments:
        raise UsageError("an input has an empty name", "Is a variable unset?")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", "Name it once")
    own = {Path(path).resolve() for path in passing_over}
    kind = None if forced is None else kind_named(forced)
    files = [file for argument in arguments for file in _expand(argument, kind, own)]
    if not files:
        raise SourceError("the input has only rejects of loads, and no payloads", "Extract the records from its lines")
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
    for form, run in groupby(files, key=lambda file: file.format):
        if FORMATS[form].takes_runs:
            sources.append(FileSource.of(form, tuple(run)))
        else:
            sources += [FileSource.of(form, (file,)) for file in run]
    return sources


def _expand(argument: str, forced: Kind | None, own: set[Path]) -> Iterable[InputFile]:
    if argument == STDIN:
        kind = forced or kind_named(STDIN_FORMAT)
        if kind[0].open_stdin is None:
            raise UsageError(f"standard input cannot be read as {kind[0].title}", kind[0].instead_of_stdin)
        return [_input_file("-", None, kind)]
    path = Path(argument)
    try:
        if path.is_dir():
            return _directory(path, forced, own)
        if path.name.endswith(REJECTS_ENDING) and _holds_rejects(path):
            # A shell may have expanded a pattern. With rejects, the same command would be another job the next time.
            log.warning("skipping %s: it has rejects of a load, not payloads", argument)
            return []
        if path.exists():
            return [_input_file(argument, path, forced or _kind_of(path))]
    except OSError as error:
        raise SourceError(f"{argument}: {error.strerror}", "Check the path and its permissions") from error
    if glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - Path.glob does not support absolute patterns
        found = [Path(match) for match in matches if Path(match).is_file() and not _is_own(Path(match), own)]
        if not found:
            raise SourceError(f"{argument}: no file matches", "Check the pattern")
        return [_input_file(str(file), file, forced or _kind_of(file)) for file in found]
    raise SourceError(f"{argument}: no such file or directory", "Check the path")


def _holds_rejects(path: Path) -> bool:
    """Whether a file with the ending of a rejects file really has rejects."""
    try:
        with path.open("rb") as file:
            first = orjson.loads(file.readline(_MOST_OF_A_REJECT))
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(first, dict) and first.keys() >= {"source", "line", "byte_offset", "reason", "record"}


def _is_own(path: Path, own: set[Path]) -> bool:
    return path.name.endswith(REJECTS_ENDING) or path.resolve() in own


def _directory(path: Path, forced: Kind | None, own: set[Path]) -> list[InputFile]:
    def failed(error: OSError) -> None:
        raise SourceError(f"{error.filename}: {error.strerror}", "Check its permissions") from error

    kinds = by_ending()
    found: list[InputFile] = []
    for parent, folders, names in os.walk(path, onerror=failed):
        folder = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            kind = forced or _kind_by_ending(name, kinds)
            if kind is not None and not name.startswith(".") and not _is_own(folder / name, own):
                found.append(_input_file(str(folder / name), folder / name, kind))
    if not found:
        raise SourceError(
            f"{path}: no payload file in this directory", f"Files need one of these endings: {', '.join(kinds)}"
        )
    return found


def _kind_by_ending(name: str, kinds: Mapping[str, Kind]) -> Kind | None:
    """The format and compression of a file, from the longest ending that matches its name."""
    lower = name.lower()
    endings = [ending for ending in kinds if lower.endswith(ending)]
    return kinds[max(endings, key=len)] if endings else None


def _kind_of(path: Path) -> Kind:
    found = _kind_by_ending(path.name, by_ending())
    if found is None:
        raise UsageError(f"{path}: its name has no known ending", format_hint())
    return found


def _input_file(name: str, path: Path | None, kind: Kind) -> InputFile:
    form, codec = kind
    return InputFile(printable(name), path, form.name, codec)
