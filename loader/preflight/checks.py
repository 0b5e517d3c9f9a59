"""What a check finds, in words for people and in numbers for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "error", "unknown"]
_GRAVITY: dict[Level, int] = {"ok": 0, "unknown": 1, "warning": 2, "error": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        name: Which check.
        level: An error keeps a load from starting; a warning and what cannot be known do not.
        text: What was found, a clause without a full stop.
        hint: What to do about it, as one sentence; empty where there is nothing to do.
        numbers: The figures behind the text; sizes in bytes, times in seconds.
    """

    name: str
    level: Level
    text: str
    hint: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.text}. {self.hint}" if self.hint else self.text

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the JSON report of ``doctor``."""
        return {
            "name": self.name,
            "level": self.level,
            "text": self.text,
            "hint": self.hint,
            "numbers": dict(self.numbers),
        }


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level; ok where there is nothing."""
    return max((finding.level for finding in findings), key=_GRAVITY.__getitem__, default="ok")


def worst_of_each(parts: Iterable[list[Finding]]) -> list[Finding]:
    """Of several nodes' findings, the gravest of each name, in the order of the first node's."""
    gravest: dict[str, Finding] = {}
    for part in parts:
        for finding in part:
            before = gravest.setdefault(finding.name, finding)
            if _GRAVITY[finding.level] > _GRAVITY[before.level]:
                gravest[finding.name] = finding
    return list(gravest.values())


def in_bytes(size: float) -> str:
    """A size for people, in decimal units: ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
