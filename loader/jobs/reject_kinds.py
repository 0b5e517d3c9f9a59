"""Rejects of a run by kind: how many there are of each, and one as an example."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from loader.tasks.reasons import Reason, ReasonCode

MOST_KINDS = 100
"""Reasons may quote the record, so a run could have as many kinds as rejects. Beyond this many, each code is a kind."""

_KEPT_OF_RECORD = 200
_PLACE_IN_RECORD = re.compile(r" \((?:line|column) [^)]*\)")
_VARIABLE = re.compile(r"'[^']*'|\b0x[0-9A-F]+|(?<![A-Za-z]-)\b[0-9][0-9.,]*")


class Kind(NamedTuple):
    """A kind of reject: the code and the text of the reason, without what differs from record to record."""

    code: ReasonCode
    pattern: str


@dataclass(frozen=True, slots=True)
class Example:
    """One rejected record or task.

    Attributes:
        place: Its source and line, or its id.
        record: Its beginning, as printable text.
    """

    place: str
    why: Reason
    record: str


@dataclass(slots=True)
class RejectKinds:
    """The rejects of a run by kind."""

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, Example] = field(default_factory=dict)

    def add(self, why: Reason, place: str, record: bytes) -> None:
        """Counts a reject."""
        kind = Kind(why.code, _VARIABLE.sub("…", _PLACE_IN_RECORD.sub("", why.text)))
        if kind not in self.examples:
            if len(self.examples) >= MOST_KINDS:
                kind = Kind(why.code, "")
            self.examples.setdefault(kind, Example(place, why, printable_text(record)))
        self.counts[kind] += 1

    def add_all(self, counts: Counter[Kind], examples: dict[Kind, Example]) -> None:
        """Adds what another process has counted."""
        self.counts.update(counts)
        for kind, example in examples.items():
            self.examples.setdefault(kind, example)

    def most_frequent(self, count: int) -> list[tuple[int, Example]]:
        """The most frequent kinds: the number of rejects of each, and its example."""
        ordered = sorted(self.counts.items(), key=lambda counted: -counted[1])
        return [(number, self.examples[kind]) for kind, number in ordered[:count] if number]


def printable_text(record: bytes) -> str:
    """The beginning of a record as text, with escapes for what a terminal would not show, or would obey."""
    text = record[:_KEPT_OF_RECORD].strip().decode(errors="backslashreplace")
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return f"{text}…" if len(record) > _KEPT_OF_RECORD else text
