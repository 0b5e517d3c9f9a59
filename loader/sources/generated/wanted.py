"""Which records of which template are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "generated"
"""The name of the format in manifests and reports. It is no value of ``--format``: a template is no input."""


@dataclass(frozen=True, slots=True)
class GeneratedRecords:
    """Records of a template.

    Attributes:
        template: The path of the template.
        first: Number of the first record, from 1.
        count: How many.
    """

    template: Path
    count: int
    seed: int = 1
    first: int = 1

    def recorded(self, made_by: str) -> dict[str, Any]:
        """What a job's manifest has of it.

        Args:
            made_by: The library that makes a part of the values, with its version; '' for none.
        """
        found: dict[str, Any] = {"count": self.count, "seed": self.seed, "first": self.first}
        return {**found, "library": made_by} if made_by else found


def flags_of(source: Mapping[str, Any]) -> list[str]:
    """The options that make a source of a manifest again."""
    made = source["generated"]
    words = ["--generate", source["name"], "--count", str(made["count"])]
    words += ["--seed", str(made["seed"])] if made["seed"] != 1 else []
    return words + (["--first", str(made["first"])] if made["first"] != 1 else [])


def described(source: Mapping[str, Any]) -> str:
    """A source of a manifest, for people."""
    made = source["generated"]
    last = made["first"] + made["count"] - 1
    by = f", by {made['library']}" if made.get("library") else ""
    return f"records {made['first']} to {last} of {source['name']} with seed {made['seed']}{by}"
