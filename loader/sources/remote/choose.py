"""Which of the objects that URLs mean are input: the same rules as for the files of directories and globs."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator

from loader.errors import UsageError
from loader.outputs.names import written_by_a_load
from loader.sources.endings import Endings, label
from loader.sources.format import InputFile
from loader.sources.formats import Kind, format_hint
from loader.sources.passed_over import PassedOver
from loader.sources.problems import Problem, Problems
from loader.sources.remote.expand import RemoteEntry, RemoteInput

log = logging.getLogger("runqy_loader")


class RemoteChoice:
    """Chooses among objects, and finds those that are reached twice.

    Args:
        forced: The format of ``--format``; None if names say it.
    """

    def __init__(self, forced: Kind | None, endings: Endings, problems: Problems) -> None:
        self._forced = forced
        self._endings = endings
        self._problems = problems
        self._seen: set[str] = set()

    def files(self, found: RemoteInput) -> Iterator[InputFile]:
        """The input of one URL.

        Raises:
            UsageError: An object is input of another URL already.
        """
        if found.problem is not None:
            self._problems.add(found.problem)
            return
        if found.how == "named":
            (entry,) = found.entries
            kind = self._forced or self._endings.kind(entry.file_name)
            if kind is None:
                problem = Problem(found.name, "its name has no known ending", format_hint(), UsageError)
                self._problems.add(problem)
                return
            yield self._input(entry, kind)
            return
        passed_over = PassedOver(shlex.quote(found.name) if found.how == "pattern" else found.name)
        any_input = False
        for entry in found.entries:
            why = self._why_not(entry)
            kind = None if why else self._kind(entry, found.last)
            if kind is None:
                passed_over.add(why or label(entry.file_name), entry.file.content_url)
                continue
            any_input = True
            yield self._input(entry, kind)
        if not any_input:
            what = f"no payload file here (passed over: {passed_over.summary})"
            self._problems.add(Problem(found.name, what, self._hint()))
        elif passed_over:
            log.info("%s", passed_over.line)

    def _why_not(self, entry: RemoteEntry) -> str:
        if any(part.startswith(".") for part in entry.below.split("/")):
            return "hidden"
        return written_by_a_load(entry.file_name)

    def _kind(self, entry: RemoteEntry, last: str) -> Kind | None:
        if not entry.below:
            return self._endings.kind_in_glob(entry.file_name, last, self._forced)
        if self._forced is None:
            return self._endings.kind(entry.file_name)
        return self._forced if self._endings.is_plausible(entry.file_name, self._forced[0]) else None

    def _input(self, entry: RemoteEntry, kind: Kind) -> InputFile:
        file = entry.file
        if file.content_url in self._seen:
            raise UsageError(f"{file.name} is named twice", "Its records would be loaded twice; name it once")
        self._seen.add(file.content_url)
        form, codec = kind
        return InputFile(file.name, None, form.name, codec, remote=file)

    def _hint(self) -> str:
        if self._forced is not None:
            return "Name the objects themselves: with --format, one that is named is input whatever its ending"
        return f"Objects need one of these endings: {self._endings.known}; or name them, with --format"
