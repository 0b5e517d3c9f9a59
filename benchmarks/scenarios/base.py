"""The interface of a scenario to the harness."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from benchmarks import binaries
from benchmarks.contestants.registry import LIMIT, LOADER
from benchmarks.payloads import Dataset
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = 110
"""Bytes of the usual payload."""


View = Literal["rates", "start-up", "whole", "figures"]


class Shown(NamedTuple):
    """A column of a table with what contestants say themselves.

    Attributes:
        name: The name of the figure; see ``Run.figures``.
        text: The text of a value.
        of_runs: What is shown of the values of all runs: the median, minimum and maximum beside it, the maximum, or the
            median of their ratios to the base's in the same round.
    """

    heading: str
    name: str
    text: Callable[[float], str]
    of_runs: Literal["median", "spread", "most", "of base"] = "median"


class Varied(NamedTuple):
    """The value that a scenario varies: its heading in tables, and the form of its values."""

    heading: str
    text: Callable[[float], str]


class Scenario(ABC):
    """A question, with the cases that answer it. Subclasses are dataclasses: their fields are the command's options.

    Attributes:
        name: Name of the command and of the files.
        title: Title of the page.
        varied: The value that changes from case to case; None if only the contestant changes.
        variant_heading: Heading of the column with the variants of cases.
        base_heading: Heading of the column that compares cases with their bases.
        view: What its table shows: rates, how long short processes take, the time and CPU of whole processes, or what
            contestants say themselves.
        figures: The columns of the last of these.
        servers: The names of the servers that it is measured with by default.
        several_servers: Whether it can be measured with several.
        server_options: More options for the server.
        shows_memory: Whether the table shows the server's memory.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    varied: ClassVar[Varied | None] = None
    variant_heading: ClassVar[str] = ""
    base_heading: ClassVar[str] = ""
    view: ClassVar[View] = "rates"
    figures: ClassVar[tuple[Shown, ...]] = ()
    servers: ClassVar[tuple[str, ...]] = (binaries.DEFAULT,)
    several_servers: ClassVar[bool] = False
    server_options: ClassVar[tuple[str, ...]] = ()
    shows_memory: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def quick(cls) -> Self:
        """The same scenario with so little data that it takes seconds, as a test. Its figures mean nothing."""

    @abstractmethod
    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        """Runs all cases."""

    @classmethod
    def remark(cls, result: Result) -> str:
        """The text under the table."""
        return ""

    @classmethod
    @abstractmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        """Plots by file name (without its suffix)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfInputs(Scenario):
    """A scenario that loads the same payloads in several ways, each of which is a bar."""

    variant_heading: ClassVar[str] = "input"

    tasks: int = 500_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars

        return {cls.name: bars(result)}


def beside_the_limit(points: Iterable[tuple[float, Dataset, int, int | None]]) -> list[Case]:
    """Cases of the loader and the limit for each point: varied value, input, batch size, workers."""
    cases: list[Case] = []
    for value, dataset, batch_size, workers in points:
        limit = f"{LIMIT.name}/{value:g}"
        for key, contestant in ((f"{LOADER.name}/{value:g}", LOADER), (limit, LIMIT)):
            cases.append(Case(key, contestant, dataset, batch_size, workers, parameter=value, limit=limit))
    return cases
