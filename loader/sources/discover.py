"""From the paths that a user gives to the list of sources, in an order that is always the same."""

from __future__ import annotations

import errno
import glob
import logging
import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from loader.errors import SourceError, UsageError
from loader.outputs.names import REJECTS_ENDING, written_by_a_load
from loader.sources.base import one_line
from loader.sources.endings import Endings, label
from loader.sources.format import FileSource, InputFile
from loader.sources.formats import FORMATS, STDIN_FORMAT, Kind, kind_named
from loader.sources.passed_over import REACHED_TWICE, PassedOver
from loader.sources.problems import Problem, Problems
from loader.sources.walk import Entry, Walk
from loader.tasks.sizes import counted

if TYPE_CHECKING:
    from loader.sources.remote.choose import RemoteChoice
    from loader.sources.remote.expand import RemoteInput

STDIN = "-"
_MOST_OF_A_REJECT = 256 * 1024 * 1024

log = logging.getLogger("runqy_loader")


def discover(
    arguments: Sequence[str],
    forced: str | None,
    passing_over: Sequence[str | os.PathLike[str]] = (),
    problems: Problems | None = None,
    remote: Mapping[str, RemoteInput] | None = None,
) -> list[FileSource]:
    """Expands files, globs, directories (recursively, sorted) and ``-``. Groups consecutive documents.

    docs/reference.md says which files of a directory or a glob are input. What is passed over is told in the log.

    Args:
        forced: Format of all inputs, as in ``--format``; None to infer it from each name.
        passing_over: Files to skip in directories and globs, such as the load's own report. Rejects files are skipped
            because of their ending. Otherwise, the same command would find more input when it is run again.
        problems: Collects the inputs that do not exist, cannot be looked at, or whose format is not known. Without it,
            they are an error.
        remote: What the URLs among the arguments mean.

    Raises:
        UsageError: There is no argument, an input is named twice, or ``forced`` is not a format.
        SourceError: A glob or a directory has no payload file.
    """
    if not arguments:
        raise UsageError("no input given", "Name files, globs, directories, or - for standard input")
    if "" in arguments:
        raise UsageError("an input has an empty name", "Is a variable unset?")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", "Name it once")
    own = {os.path.realpath(path) for path in passing_over}
    collected = Problems() if problems is None else problems
    expansion = _Expansion(None if forced is None else kind_named(forced), own, collected, remote or {})
    files = [file for argument in arguments for file in expansion.files(argument)]
    if problems is None:
        collected.settle(len(files))
    if not files and not collected:
        raise SourceError("the input has only rejects of loads, and no payloads", "Extract the records from its lines")
    return grouped(files)


def grouped(files: Sequence[InputFile]) -> list[FileSource]:
    """The sources of these files. Consecutive files of a format that allows it are one source."""
    sources: list[FileSource] = []
    for form, run in groupby(files, key=lambda file: file.format):
        if FORMATS[form].takes_runs:
            sources.append(FileSource.of(form, tuple(run)))
        else:
            sources += [FileSource.of(form, (file,)) for file in run]
    return sources


class _Expansion:
    """Expands one argument after the other, and finds files that are reached twice.

    Args:
        own: Real paths of files that this run writes.
    """

    def __init__(
        self, forced: Kind | None, own: set[str], problems: Problems, remote: Mapping[str, RemoteInput]
    ) -> None:
        self._forced = forced
        self._own = own
        self._problems = problems
        self._endings = Endings()
        self._remote = remote
        self._elsewhere: RemoteChoice | None = None
        self._number = 0  # of the argument
        self._seen: dict[str, tuple[int, str]] = {}  # real path -> number of the argument, path
        self._real_folders: dict[str, str] = {}

    def files(self, argument: str) -> Iterable[InputFile]:
        """The files that the next argument names."""
        self._number += 1
        if argument == STDIN:
            return [self._standard_input()]
        if (elsewhere := self._remote.get(argument)) is not None:
            return self._remote_choice().files(elsewhere)
        try:
            state = os.stat(argument)
        except (OSError, ValueError) as error:  # ValueError: a null byte
            if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError) or error.errno == errno.ELOOP:
                return self._not_there(argument)
            if glob.has_magic(argument) and not os.path.lexists(argument):
                return self._glob(argument)  # a pattern may be longer than a name
            self._problem(argument, f"{error.strerror}", "Check the path and its permissions")
            return ()
        if glob.has_magic(argument):
            _tell_of_pattern(argument)
        return self._directory(argument) if stat.S_ISDIR(state.st_mode) else self._named(argument)

    def _remote_choice(self) -> RemoteChoice:
        if self._elsewhere is None:
            from loader.sources.remote.choose import RemoteChoice  # few loads need it

            self._elsewhere = RemoteChoice(self._forced, self._endings, self._problems)
        return self._elsewhere

    def _standard_input(self) -> InputFile:
        kind = self._forced or kind_named(STDIN_FORMAT)
        if kind[0].open_stdin is None:
            raise UsageError(f"standard input cannot be read as {kind[0].title}", kind[0].instead_of_stdin)
        return _input_file("-", None, kind)

    def _not_there(self, argument: str) -> Iterable[InputFile]:
        if os.path.islink(argument.replace("\0", "")):
            self._problem(argument, "is a link that leads to no file", "Correct or delete the link")
        elif glob.has_magic(argument):
            return self._glob(argument)
        else:
            self._problem(argument, "no such file or directory", "Check the path")
        return ()

    # --- a file -------------------------------------------------------------------------------------------------

    def _named(self, argument: str) -> Iterator[InputFile]:
        """A file that is named itself. It is input, whatever its name."""
        path = Path(argument)
        if path.name.endswith(REJECTS_ENDING) and _holds_rejects(path):
            # A shell may have expanded a pattern. With rejects, the same command would be another job the next time.
            log.warning("skipping %s: it has rejects of a load, not payloads", one_line(argument))
            return
        kind = self._forced or self._endings.kind(path.name)
        if kind is None:
            from loader.sources.recognition.peek import unnamed  # few loads need it here

            inner = self._endings.kind(path.stem)  # of a.json.xz: JSON documents
            form = (inner or kind_named(STDIN_FORMAT))[0]
            self._problems.add(unnamed(_input_file(argument, path, (form, None)), path))
            return
        real = self._real(argument)
        if real in self._own:
            raise UsageError(
                f"{one_line(argument)} is an input, and this run would write to it",
                "Name another file to write to; of a directory, files that the run writes are not input",
            )
        if self._is_new(real, argument):
            yield _input_file(argument, path, kind)
        else:
            log.info("passed over %s: it is a link to an input that is loaded already", one_line(argument))

    def _real(self, path: str) -> str:
        """The path without links. Most files of a long list are in the same folder."""
        folder, name = os.path.split(path)
        if os.path.islink(path) or name in ("", ".", ".."):
            return os.path.realpath(path)
        if (real := self._real_folders.get(folder)) is None:
            real = self._real_folders[folder] = os.path.realpath(folder)
        return f"{real.rstrip('/')}/{name}"

    def _is_new(self, real: str, path: str) -> bool:
        """Whether this file was not reached before.

        Raises:
            UsageError: Two arguments name it by the same path, without a link.
        """
        if (before := self._seen.get(real)) is None:
            self._seen[real] = (self._number, path)
            return True
        number, earlier = before
        if number != self._number and os.path.abspath(earlier) == os.path.abspath(path):
            raise UsageError(f"{one_line(path)} is named twice", "Its records would be loaded twice; name it once")
        return False

    # --- a directory --------------------------------------------------------------------------------------------

    def _directory(self, argument: str) -> list[InputFile]:
        passed_over = PassedOver(one_line(argument))
        before = len(self._problems)
        found = list(self._below(argument, passed_over, self._walk(passed_over)))
        if not self._has_input(found, passed_over, before):
            has = f" (passed over: {passed_over.summary})" if passed_over else ""
            self._problem(argument, f"no payload file in this directory{has}", self._hint_for_none())
        return found

    def _has_input(self, found: list[InputFile], passed_over: PassedOver, before: int) -> bool:
        """Whether a directory or a glob has input, or a problem that says why not. Then, tells what was passed over.

        Args:
            before: The number of problems before it.
        """
        if not found and not passed_over.has_input and len(self._problems) == before:
            return False
        if passed_over:
            log.info("%s", passed_over.line)
        return True

    def _hint_for_none(self) -> str:
        if self._forced is not None:
            return "Name the files themselves: with --format, a file that is named is input whatever its ending"
        return f"Files need one of these endings: {self._endings.known}; or name them, with --format"

    def _walk(self, passed_over: PassedOver) -> Walk:
        return Walk(self._endings, passed_over, self._unlistable)

    def _unlistable(self, folder: str, error: OSError) -> None:
        self._problem(folder, f"this directory cannot be listed: {error.strerror}", "Check its permissions")

    def _below(self, folder: str, passed_over: PassedOver, walk: Walk) -> Iterator[InputFile]:
        """The input files of a directory that an argument names, or that its pattern matches."""
        for entry in walk.entries(str(Path(folder))):
            if entry.name.startswith("."):
                passed_over.add("hidden", entry.real)
                continue
            kind = self._endings.kind(entry.name)
            if self._forced is not None:
                kind = self._forced if self._endings.is_plausible(entry.name, self._forced[0]) else None
            yield from self._found(entry, kind, passed_over)

    def _found(self, entry: Entry, kind: Kind | None, passed_over: PassedOver) -> Iterator[InputFile]:
        """A file of a directory or a glob, if it is input."""
        if entry.real in self._own:
            passed_over.add("written by this run", entry.real)
        elif holds := written_by_a_load(entry.name):
            passed_over.add(holds, entry.real)
        elif kind is None:
            passed_over.add(label(entry.name) if entry.what == "file" else entry.what, entry.real)
        elif entry.what == "dangling link":
            self._problem(entry.path, "is a link that leads to no file", "Correct or delete the link")
        elif self._is_new(entry.real, entry.path):
            yield _input_file(entry.path, Path(entry.path), kind)
        elif entry.path != self._seen[entry.real][1]:
            passed_over.add(REACHED_TWICE, entry.real)

    # --- a glob -------------------------------------------------------------------------------------------------

    def _glob(self, argument: str) -> list[InputFile]:
        matches = glob.glob(_pattern(argument), recursive=True)
        # `d/**` matches d/ too, which is d.
        paths = {path: os.path.isdir(path) for path in (str(Path(match)) for match in matches)}
        ordered = sorted(paths, key=lambda path: (paths[path], self._endings.order(path)))
        passed_over = PassedOver(shlex.quote(one_line(argument)))
        walk = self._walk(passed_over)
        found: list[InputFile] = []
        before = len(self._problems)
        for path in ordered:
            if paths[path]:
                found += self._below(path, passed_over, walk)
            else:
                found += self._found(self._entry(path), self._kind_in_glob(path, argument), passed_over)
        if self._has_input(found, passed_over, before):
            return found
        if passed_over:
            what = f"no payload file matches (passed over: {passed_over.summary})"
            self._problem(argument, what, self._hint_for_none())
        else:
            self._problem(argument, _why_nothing_matches(argument), "Check the pattern")
        return found

    def _entry(self, path: str) -> Entry:
        name = os.path.basename(path)
        if os.path.isfile(path):
            return Entry(path, self._real(path), name, "file")
        return Entry(path, path, name, "special file" if os.path.exists(path) else "dangling link")

    def _kind_in_glob(self, path: str, argument: str) -> Kind | None:
        return self._endings.kind_in_glob(os.path.basename(path), os.path.basename(argument), self._forced)

    def _problem(self, name: str, what: str, hint: str) -> None:
        self._problems.add(Problem(one_line(name), what, hint))


def _pattern(argument: str) -> str:
    """The pattern, with folders taken literally that exist by the name that is written: ``runs[1]/*.jsonl``."""
    parts = argument.split("/")
    for index, part in enumerate(parts[:-1]):
        if glob.has_magic(part):
            if not os.path.isdir("/".join([*argument.split("/")[:index], part])):
                break
            parts[index] = glob.escape(part)
    return "/".join(parts)


def _why_nothing_matches(argument: str) -> str:
    """The reason, as far as the folder before the first special character tells it."""
    folder = os.path.dirname(re.split(r"[*?[]", argument, maxsplit=1)[0])
    try:
        with os.scandir(folder or "."):
            return "no file matches"
    except OSError as error:
        return f"no file matches: {one_line(folder)}: {error.strerror}"


def _tell_of_pattern(argument: str) -> None:
    """Tells the user if a path that exists is also a pattern that matches other files."""
    others = [match for match in glob.glob(argument, recursive=True) if match != argument]
    if others:
        log.info(
            "%s is taken as a name; as a pattern it would match %s, such as %s",
            one_line(argument),
            counted(len(others), "other"),
            one_line(min(others)),
        )


def _holds_rejects(path: Path) -> bool:
    """Whether a file with the ending of a rejects file really has rejects."""
    try:
        with path.open("rb") as file:
            first = orjson.loads(file.readline(_MOST_OF_A_REJECT))
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(first, dict) and first.keys() >= {"source", "line", "byte_offset", "reason", "record"}


def _input_file(name: str, path: Path | None, kind: Kind) -> InputFile:
    form, codec = kind
    return InputFile(one_line(name), path, form.name, codec)
