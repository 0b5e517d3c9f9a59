"""A figure of a plan: a number, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

How = Literal["given", "measured", "interpolated", "extrapolated", "calculated"]
"""``interpolated``: between two measured lengths of payloads; ``extrapolated``: beyond them, or from a smaller data
set."""

Unit = Literal["", "tasks", "tasks/s", "bytes", "bytes/s", "s", "us", "h", "%"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a plan.

    Attributes:
        name: Its name in JSON.
        label: Its name for people.
        basis: The formula, or at what it was measured.
        source: The measurement that it is from, a key of ``Plan.sources``; '' for none.
    """

    name: str
    label: str
    value: float
    unit: Unit
    how: How
    basis: str
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        value: float = round(self.value) if self.unit in ("bytes", "bytes/s", "tasks") else self.value
        return {"value": value, "unit": self.unit, "how": self.how, "basis": self.basis, "source": self.source}


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that belong together, under a heading."""

    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class ServerSetting:
    """What to set on each server for the load.

    Attributes:
        value: As ``CONFIG SET`` takes it.
        why: One sentence without a full stop.
    """

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan.

    Attributes:
        settings: What to set on each server.
        warnings: What does not fit, or will break the load.
        notes: What else to know or to watch.
        sources: The measurements, by a letter.
    """

    sections: Sequence[Section]
    settings: Sequence[ServerSetting]
    warnings: Sequence[str]
    notes: Sequence[str]
    sources: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        """The value of a figure. Raises KeyError if the plan has none of this name."""
        return self.figure(name).value

    def figure(self, name: str) -> Figure:
        """The figure of this name. Raises KeyError if there is none."""
        for section in self.sections:
            for one in section.figures:
                if one.name == name:
                    return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; docs/a-billion-tasks.md names the fields."""
        return {
            "figures": {one.name: one.to_dict() for section in self.sections for one in section.figures},
            "settings": {one.name: {"value": one.value, "why": one.why} for one in self.settings},
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "sources": dict(self.sources),
        }
