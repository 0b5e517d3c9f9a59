"""What the harness asks of a contestant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.measure import Usage
from benchmarks.payloads import Dataset
from benchmarks.server import Target


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        workers: Connections; None for the contestant's own default.
        options: More options for the loader's command line.
        scratch: A folder of this work's own, for files that the contestant needs.
    """

    dataset: Dataset
    target: Target
    batch_size: int
    workers: int | None
    scratch: Path
    options: tuple[str, ...] = ()


def whole_process(usage: Usage) -> float:
    """The seconds of a contestant that does not tell its own."""
    return usage.seconds


class Apart(NamedTuple):
    """CPU seconds told apart within a contestant: a gateway's, and those that went into sending it requests."""

    gateway: float = 0
    sender: float = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a contestant does it.

    Attributes:
        command: Run in the work's scratch folder, once a round.
        stdin: A file to read as standard input.
        seconds: From what the process used and said to the seconds that the load took, without the start of
            interpreters where the contestant tells them apart. Raises WrongResultError if it says that it failed.
        apart: CPU of a gateway and of the program that sends it requests, where there are those.
        same_ids: Whether its task ids are the loader's own, so that they must be the same ones.
        made_at: When its tasks were made, in Unix nanoseconds, where that was before the run.
        lists_queues: Whether it adds queues to the list of queues, where the layout has one.
    """

    command: list[str]
    stdin: Path | None = None
    seconds: Callable[[Usage], float] = whole_process
    apart: Callable[[Usage], Apart] | None = None
    same_ids: bool = False
    made_at: int | None = None
    lists_queues: bool = True


class Contestant(Protocol):
    """A way to load.

    Attributes:
        name: On the command line and in results.
        label: In tables and plots.
        same_work: Whether it leaves a whole load, which is checked; else it is shown apart.
        most_tasks: It is given no more than this, where it is too slow for a full load.
        note: A footnote.
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def same_work(self) -> bool: ...

    @property
    def most_tasks(self) -> int | None: ...

    @property
    def note(self) -> str: ...

    def prepare(self, work: Work) -> Plan:
        """Makes ready all that is not to be measured.

        Raises:
            UnavailableError: It cannot take part on this machine.
        """
        ...
