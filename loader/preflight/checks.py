"""The findings of checks: a text for people, and numbers for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from loader.errors import with_hint

Level = Literal["ok", "warning", "error", "unknown"]
_GRAVITY: dict[Level, int] = {"ok": 0, "unknown": 1, "warning": 2, "error": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        name: The name of the check.
        level: Only an error keeps a load from starting; a warning or ``unknown`` does not.
        text: The result, as a clause without a full stop.
        hint: What to do about it, as one sentence; empty if there is nothing to do.
        numbers: The figures behind the text; sizes in bytes, times in seconds.
    """

    name: str
    level: Level
    text: str
    hint: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return with_hint(self.text, self.hint)

    def ignored_by(self, flag: str) -> Finding:
        """An error as a warning: the user has given an option to load nevertheless."""
        return Finding(self.name, "warning", f"{self.text} (ignored: {flag})", numbers=self.numbers)

    def to_dict(self) -> dict[str, Any]:
        """The finding in the JSON report of ``doctor``."""
        return {
            "name": self.name,
            "level": self.level,
            "text": self.text,
            "hint": self.hint,
            "numbers": dict(self.numbers),
        }


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; ok if there are no findings."""
    return max((finding.level for finding in findings), key=_GRAVITY.__getitem__, default="ok")


def worst_of_each(parts: Iterable[list[Finding]]) -> list[Finding]:
    """The worst finding of each name, from the findings of several nodes, in the order of the first node's findings."""
    gravest: dict[str, Finding] = {}
    for part in parts:
        for finding in part:
            before = gravest.setdefault(finding.name, finding)
            if _GRAVITY[finding.level] > _GRAVITY[before.level]:
                gravest[finding.name] = finding
    return list(gravest.values())
