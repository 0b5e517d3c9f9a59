"""The interface of a contestant to the harness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.measure import Usage
from benchmarks.payloads import Dataset
from benchmarks.server import Target
from loader.layouts.dump import FormName


@dataclass(frozen=True, slots=True)
class Work:
    """The load that a contestant must do.

    Attributes:
        workers: Connections; None for the contestant's own default.
        options: More options for the loader's command line.
        scratch: A folder only for this work, for files that the contestant needs.
        dumps: The form of the dumps that the server takes.
    """

    dataset: Dataset
    target: Target
    batch_size: int
    workers: int | None
    scratch: Path
    options: tuple[str, ...] = ()
    dumps: FormName = "listpack"


def whole_process(usage: Usage) -> float:
    """The seconds of a contestant that does not report its own."""
    return usage.seconds


class GatewayCpu(NamedTuple):
    """CPU seconds of two parts of a contestant: of its gateway, and of sending requests to the gateway."""

    gateway: float = 0
    sender: float = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a contestant does its work.

    Attributes:
        command: Run in the work's scratch folder, once a round.
        stdin: A file to read as standard input.
        seconds: Computes the seconds that the load took from what the process used and printed. Start-up is left out if
            the contestant reports it separately. Raises WrongResultError if the contestant reports a failure.
        gateway_cpu: Computes the CPU of a gateway and of the program that sends it requests, if there are any.
        same_ids: Whether its task ids must be the ones that the loader makes.
        figures: What it says itself, by name.
        made_at: When its tasks were made, in Unix nanoseconds, if that was before the run.
        lists_queues: Whether it adds queues to the list of queues, if the layout has such a list.
    """

    command: list[str]
    stdin: Path | None = None
    seconds: Callable[[Usage], float] = whole_process
    gateway_cpu: Callable[[Usage], GatewayCpu] | None = None
    same_ids: bool = False
    figures: Callable[[Usage], dict[str, float]] | None = None
    made_at: int | None = None
    lists_queues: bool = True


class Contestant(Protocol):
    """A way to load.

    Attributes:
        name: Its name on the command line and in results.
        label: Its name in tables and plots.
        same_work: Whether it leaves a whole load, which is checked. Otherwise it is shown separately.
        most_tasks: The most tasks that it is given, if it is too slow for a full load.
        note: A footnote on it.
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
        """Prepares everything that is not measured.

        Raises:
            UnavailableError: The contestant cannot take part on this machine.
        """
        ...
