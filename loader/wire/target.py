"""Where tasks go: the kinds of target, as values. ``LoadOptions.target`` decides which of them a load has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ToRedis:
    """A Redis server. ``url`` is as given, not looked at yet."""

    url: str


@dataclass(frozen=True, slots=True)
class ToEmbedded:
    """The bundled server, started for the run.

    Attributes:
        directory: Where it keeps its data; None for data that goes when the run ends.
    """

    directory: Path | None


@dataclass(frozen=True, slots=True)
class ToHttp:
    """runqy's HTTP API. ``url`` is as given, not looked at yet."""

    url: str


@dataclass(frozen=True, slots=True)
class ToDiscard:
    """Nowhere: tasks are encoded, and the bytes thrown away."""


Target = ToRedis | ToEmbedded | ToHttp | ToDiscard
