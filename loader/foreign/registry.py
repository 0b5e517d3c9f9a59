"""The other systems by name. A new one is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable

from loader.errors import UsageError
from loader.foreign.bee_queue import BeeQueue
from loader.foreign.bullmq import BullMq
from loader.foreign.celery import Celery
from loader.foreign.dramatiq import Dramatiq
from loader.foreign.rq import Rq
from loader.foreign.saq import Saq
from loader.foreign.sidekiq import Sidekiq
from loader.foreign.system import System, Where
from loader.foreign.taskiq import Taskiq

SYSTEMS: dict[str, type[System]] = {
    "bee-queue": BeeQueue,
    "bullmq": BullMq,
    "celery": Celery,
    "dramatiq": Dramatiq,
    "rq": Rq,
    "saq": Saq,
    "sidekiq": Sidekiq,
    "taskiq": Taskiq,
}

_PICKLED = {"arq": "arq", "huey": "Huey"}
"""Systems whose jobs are all pickles, and their names for people."""


def system_of(name: str, where: Where) -> System:
    """One queue of a system.

    Raises:
        UsageError: There is no such system, or its jobs cannot be read.
    """
    if name in SYSTEMS:
        make: Callable[[Where], System] = SYSTEMS[name]
        return make(where)
    if name in _PICKLED:
        raise UsageError(
            f"--from-system {name}: {_PICKLED[name]} stores its jobs as pickles, and to read a pickle is to run the "
            "code that it holds",
            "Write the jobs to JSON lines with a program of your own that has their code, and load that file",
        )
    raise UsageError(f"--from-system must be one of {', '.join(sorted(SYSTEMS))}, not {name!r}")
