"""Files of the input that cannot be loaded, all told in one error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from loader.errors import SourceError
from loader.sources.format import InputFile

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be loaded.

    Attributes:
        fault: What is wrong with it, without its name. Files with the same fault are shown together.
        error: The error for this file alone.
        remedy: What to use for it, such as ``--format json-array``; empty if that takes a sentence.
    """

    file: InputFile
    fault: str
    error: SourceError
    remedy: str = ""


def faults(bad: Sequence[BadFile]) -> Iterator[str]:
    """The faults, the most frequent first, each with the first files that have it, and their number."""
    for fault, group in _by_fault(bad):
        shown = ", ".join(one.file.name for one in group[:_SHOWN])
        names = f"{shown}, … ({len(group)} files)" if len(group) > _SHOWN else shown
        remedy = f" ({group[0].remedy})" if group[0].remedy else ""
        yield f"{names}: {fault}{remedy}"


def _by_fault(bad: Sequence[BadFile]) -> list[tuple[str, list[BadFile]]]:
    ordered = sorted(bad, key=lambda one: one.fault)  # stable, so the files of a group keep their order
    groups = [(fault, list(group)) for fault, group in groupby(ordered, key=lambda one: one.fault)]
    return sorted(groups, key=lambda group: -len(group[1]))


def error_of(bad: Sequence[BadFile]) -> SourceError:
    """One error for all of these files."""
    groups = _by_fault(bad)
    first = groups[0][1][0].error
    if len(bad) == 1:
        return first
    message = f"{len(bad)} files cannot be loaded; {'; '.join(faults(bad))}"
    if len(groups) == 1:
        return type(first)(message, first.hint)
    return type(first)(message, "Load each kind by itself: a command with one of the files alone says more")
