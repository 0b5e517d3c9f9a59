"""Inputs that cannot be loaded: collected first, then told all at once, or skipped with ``--skip-bad-files``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

from loader.errors import LoaderError, SourceError, UsageError

log = logging.getLogger("runqy_loader")

_SHOWN = 50
"""The maximum number of lines about problems in an error."""

_NAMED = 5
"""The maximum number of files with the same fault that have a line each."""

_SKIP = "--skip-bad-files loads the rest"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one input cannot be loaded.

    Attributes:
        name: The input, for people.
        what: What is wrong, to be read after the name and a colon.
        hint: What to do, as one sentence.
        kind: The class of its error.
        remedy: What to use for it, such as ``--format json-array``; empty if that takes a sentence.
    """

    name: str
    what: str
    hint: str
    kind: type[LoaderError] = SourceError
    remedy: str = ""

    @classmethod
    def of(cls, name: str, error: LoaderError) -> Self:
        """The problem that an error of this input tells."""
        what = str(error.args[0])
        if what.startswith((f"{name} ", f"{name}: ")):
            what = what[len(name) :].lstrip(": ")
        return cls(name, what, error.hint, UsageError if isinstance(error, UsageError) else SourceError)


class Problems:
    """Collects the problems of all inputs of a load.

    Args:
        skip: Whether inputs with problems are skipped. Otherwise they are an error.
    """

    def __init__(self, *, skip: bool = False) -> None:
        self._skip = skip
        self._found: list[Problem] = []

    def add(self, problem: Problem) -> None:
        self._found.append(problem)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def skipped(self) -> tuple[Problem, ...]:
        """The inputs that are not loaded."""
        return tuple(self._found)

    def settle(self, good: int) -> None:
        """Ends the collection.

        Args:
            good: The number of inputs without a problem.

        Raises:
            UsageError, SourceError: There are problems, and they are not skipped, or no other input is left.
        """
        if not self._found:
            return
        if not good or not self._skip:
            raise _error(self._found, good)
        log.warning("going on without %s, which cannot be loaded", _count(self._found, good))


def _error(found: list[Problem], good: int) -> LoaderError:
    """One error for all problems."""
    kinds = {problem.kind for problem in found}
    kind = kinds.pop() if len(kinds) == 1 else SourceError
    if len(found) == 1:
        (problem,) = found
        hint = f"{problem.hint}; {_SKIP}" if good else problem.hint
        return kind(f"{problem.name}: {problem.what}", hint)
    groups = _by_fault(found)
    lines = [line for group in groups for line in _lines(group)]
    shown = lines[:_SHOWN]
    if len(lines) > _SHOWN:
        shown.append(f"… and {len(lines) - _SHOWN:,} more")
    hints = list(dict.fromkeys(problem.hint for problem in found))
    same = len(hints) == 1 or (len(groups) == 1 and groups[0][0].remedy)
    hint = hints[0] if same else "Correct these inputs, or leave them out"
    hint = f"{hint}; {_SKIP}" if good else hint
    told = f"{_count(found, good)} cannot be loaded" if good else f"none of the {len(found):,} inputs can be loaded"
    return kind(told, hint, shown)


def _by_fault(found: list[Problem]) -> list[list[Problem]]:
    """The problems in groups of the same fault, the largest group first."""
    groups: dict[str, list[Problem]] = {}
    for problem in found:
        groups.setdefault(problem.what, []).append(problem)
    return sorted(groups.values(), key=lambda group: -len(group))


def _lines(group: list[Problem]) -> list[str]:
    """A line for each input, or one line if too many have the same fault."""
    end = f": {group[0].what}" + (f" ({group[0].remedy})" if group[0].remedy else "")
    names = [problem.name for problem in group]
    if len(group) <= _NAMED:
        return [name + end for name in names]
    return [f"{', '.join(names[:_NAMED])}, … ({len(group):,} files){end}"]


def _count(found: list[Problem], good: int) -> str:
    return f"{len(found):,} of {len(found) + good:,} inputs"
