"""The kinds of target, as values. ``LoadOptions.target`` is the target of a load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ToRedis:
    """A Redis server. ``url`` is as given, not checked yet."""

    url: str


@dataclass(frozen=True, slots=True)
class ToEmbedded:
    """The bundled server, started for the run.

    Attributes:
        directory: The directory for its data; None if the data is deleted at the end of the run.
    """

    directory: Path | None


@dataclass(frozen=True, slots=True)
class ToHttp:
    """runqy's HTTP API. ``url`` is as given, not checked yet."""

    url: str


@dataclass(frozen=True, slots=True)
class ToDiscard:
    """No target: tasks are encoded, and the bytes are dropped."""


Target = ToRedis | ToEmbedded | ToHttp | ToDiscard
