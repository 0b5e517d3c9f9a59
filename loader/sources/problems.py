"""Inputs that cannot be loaded: collected first, then told all at once, or skipped with ``--skip-bad-files``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

from loader.errors import LoaderError, SourceError, UsageError

log = logging.getLogger("runqy_loader")

_SHOWN = 50
"""The maximum number of problems in an error."""

_SKIP = "--skip-bad-files loads the rest"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one input cannot be loaded.

    Attributes:
        name: The input, for people.
        what: What is wrong, to be read after the name and a colon.
        hint: What to do, as one sentence.
        usage: Whether the command line is wrong, not the input.
    """

    name: str
    what: str
    hint: str
    usage: bool = False

    @classmethod
    def of(cls, name: str, error: LoaderError) -> Self:
        """The problem that an error of this input tells."""
        what = str(error.args[0])
        if what.startswith((f"{name} ", f"{name}: ")):
            what = what[len(name) :].lstrip(": ")
        return cls(name, what, error.hint, isinstance(error, UsageError))


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
    kind = UsageError if all(problem.usage for problem in found) else SourceError
    if len(found) == 1:
        (problem,) = found
        hint = f"{problem.hint}; {_SKIP}" if good else problem.hint
        return kind(f"{problem.name}: {problem.what}", hint)
    shown = [f"{problem.name}: {problem.what}" for problem in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown.append(f"… and {len(found) - _SHOWN:,} more")
    hints = list(dict.fromkeys(problem.hint for problem in found))
    hint = hints[0] if len(hints) == 1 else "Mend these inputs, or leave them out"
    hint = f"{hint}; {_SKIP}" if good else hint
    return kind(f"{_count(found, good)} cannot be loaded", hint, shown)


def _count(found: list[Problem], good: int) -> str:
    return f"{len(found):,} of {len(found) + good:,} inputs" if good else f"all {len(found):,} inputs"
