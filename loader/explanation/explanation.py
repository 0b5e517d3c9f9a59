"""What a load would do, as words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WrittenKey:
    """A key that the load writes.

    Attributes:
        key: Its name. What is not known ahead stands in angle brackets: ``<id>``, ``<queue>``, ``<shard>``.
        type: Its type in Redis.
        holds: What it holds, for people.
    """

    key: str
    type: str
    holds: str


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that the load writes: its path, and what it holds."""

    path: str
    holds: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the explanation.

    Attributes:
        name: Its name in JSON and in the text.
        says: Sentences for people.
        facts: The same as JSON values.
    """

    name: str
    says: Sequence[str]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that there is to say about a load that has not begun.

    Attributes:
        parts: In the order in which they are told.
        keys: Empty if nothing is written to Redis.
    """

    parts: Sequence[Part]
    keys: Sequence[WrittenKey]
    files: Sequence[WrittenFile]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON: for each part its facts and its sentences, then keys and files."""
        return {
            **{part.name: {**part.facts, "says": list(part.says)} for part in self.parts},
            "keys": [{"key": one.key, "type": one.type, "holds": one.holds} for one in self.keys],
            "files": [{"path": one.path, "holds": one.holds} for one in self.files],
        }
