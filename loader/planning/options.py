"""Every option of ``plan``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.pace.rates import rate
from loader.planning.figures import Persistence
from loader.planning.numbers import (
    count_of,
    count_problem,
    memory_problem,
    network_of,
    network_problem,
    payload_problem,
)
from loader.settings import shared
from loader.settings.check import check_declared
from loader.settings.option import COUNT, Excludes, Needs, Option
from loader.settings.sizes import size_of
from loader.settings.values import convert_values
from loader.tasks.profiles import LayoutName, ProfileName

_LOAD = "The load"
_HAVE = "Servers and machines"
_FIGURES = "Measured figures"
_MEASURING = Needs("measure", hint="Figures of the project need no server")


def _rate_problem(text: str) -> str | None:
    try:
        return None if rate(text) > 0 else "must be above 0"
    except ValueError as error:
        return str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Options of ``plan``. Field names are the long options of the command line with underscores."""

    tasks: Annotated[
        str | None,
        Option(
            help="How many tasks, such as 1e9 or 250M.",
            group=_LOAD,
            unit=COUNT,
            rule=count_problem,
            default_text="as many as the files have records",
        ),
    ] = None
    payload: Annotated[
        str | None,
        Option(
            help="Mean length of a payload, such as 300 or 2KB.",
            group=_LOAD,
            unit="SIZE",
            rule=payload_problem,
            default_text="as sampled from the files",
        ),
    ] = None
    layout: Annotated[LayoutName, Option(help="Redis keys of the tasks; see docs/layouts.md.", group=_LOAD)] = (
        "documented"
    )
    profile: Annotated[
        ProfileName,
        shared.PROFILE.but(
            help="In layout asynq: runqy's tasks, which have a second key each, or asynq's.",
            group=_LOAD,
            goes_with=(Needs("layout", "asynq", when="asynq"),),
            default_text="",
        ),
    ] = "runqy"
    compact: Annotated[
        shared.CompactMode, Option(help="How tasks are written, as in load; see docs/compact.md.", group=_LOAD)
    ] = "auto"
    server: Annotated[
        str,
        Option(
            help="Make and version of the servers: those with figures.",
            group=_HAVE,
            unit="NAME",
            goes_with=(Excludes("measure", hint="What is measured says it"),),
        ),
    ] = "redis-8.2"
    servers: Annotated[
        int | None,
        Option(
            help="How many servers there are, without replicas.",
            group=_HAVE,
            unit=COUNT,
            at_least=1,
            at_most=10_000,
            default_text="the fewest for --memory and --hours",
            goes_with=(Excludes("hours", hint="With so many servers, the plan says how long it takes"),),
        ),
    ] = None
    memory: Annotated[
        str | None,
        Option(
            help="Memory of each server's machine or container, such as 64GB.",
            group=_HAVE,
            unit="SIZE",
            rule=memory_problem,
            default_text="no limit",
        ),
    ] = None
    hours: Annotated[
        float | None,
        Option(help="In how many hours the load shall end.", group=_HAVE, unit="HOURS", above=0, default_text="open"),
    ] = None
    replicas: Annotated[
        int, Option(help="Replicas of each server.", group=_HAVE, unit=COUNT, at_least=0, at_most=100)
    ] = 1
    persistence: Annotated[Persistence, Option(help="What each server keeps on disk.", group=_HAVE)] = "aof-everysec"
    network: Annotated[
        str | None,
        Option(
            help="Network of each machine, each way, such as 10Gbit.",
            group=_HAVE,
            unit="RATE",
            rule=network_problem,
            default_text="no limit",
        ),
    ] = None
    cores: Annotated[
        int | None,
        Option(
            help="Cores for the loader, on all machines together.",
            group=_HAVE,
            unit=COUNT,
            at_least=1,
            default_text="as many as the servers keep busy",
        ),
    ] = None
    workers_rate: Annotated[
        str | None,
        Option(
            help="Tasks that all workers together end, such as 5000/s.",
            group=_HAVE,
            unit="RATE",
            rule=_rate_problem,
            default_text="not known",
        ),
    ] = None
    measure: Annotated[
        bool,
        Option(
            help="Measure what a task costs, on this machine and the server of --redis: scratch tasks are loaded into "
            "a queue of their own, and removed.",
            group=_FIGURES,
        ),
    ] = False
    redis: Annotated[
        str,
        shared.REDIS.but(
            help="Server to measure with; 'embedded' is the bundled Valkey.", env=(), goes_with=(_MEASURING,)
        ),
    ] = "embedded"
    redis_password_file: Annotated[Path | None, shared.REDIS_PASSWORD_FILE] = None
    redis_password_command: Annotated[str | None, shared.REDIS_PASSWORD_COMMAND] = None
    timeout: shared.Timeout = 30.0

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self, files: int) -> None:
        """Raises UsageError if a value is not what its option takes, or too little is said.

        Args:
            files: How many files are named.
        """
        check_declared(self)
        if not files and (self.tasks is None or self.payload is None):
            raise UsageError(
                "how many tasks and how long their payloads are is not given",
                "Give --tasks and --payload, such as --tasks 1e9 --payload 300, or name a file with such records",
            )

    @property
    def tasks_wanted(self) -> int | None:
        return None if self.tasks is None else count_of(self.tasks)

    @property
    def payload_bytes(self) -> int | None:
        return None if self.payload is None else size_of(self.payload)

    @property
    def memory_bytes(self) -> int | None:
        return None if self.memory is None else size_of(self.memory)

    @property
    def network_rate(self) -> float | None:
        """Bytes a second."""
        return None if self.network is None else network_of(self.network)

    @property
    def workers(self) -> float | None:
        """Tasks a second."""
        return None if self.workers_rate is None else rate(self.workers_rate)
