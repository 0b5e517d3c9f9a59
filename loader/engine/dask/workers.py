"""The workers of a Dask cluster, as its scheduler knows them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from distributed import Client, Future, Scheduler

_ANSWER_SECONDS = 5.0
_SIGNS_A_SECOND = 50
"""Of all workers together at least, by a third of what Dask's workers do (``heartbeat_interval`` of its scheduler)."""

log = logging.getLogger("runqy_loader")


class Workers:
    """Which workers there are, and what they have.

    No call raises an error if the scheduler does not answer soon: whether it is lost is another question.

    Args:
        silent_seconds: After so long without a sign, a worker is silent.

    Attributes:
        threads: Of all workers that are not silent.
        live, silent: Their addresses.
        has_had_silent: Whether one was silent.
    """

    def __init__(self, client: Client, silent_seconds: float) -> None:
        self._client = client
        self._silent_seconds = silent_seconds
        self.threads = 0
        self.live: frozenset[str] = frozenset()
        self.silent: frozenset[str] = frozenset()
        self.has_had_silent = False

    @property
    def is_scheduler_there(self) -> bool:
        """Whether the client is connected."""
        return bool(self._client.status == "running")

    async def look(self) -> bool:
        """Asks which workers there are. Returns whether there was an answer."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                found = (await self._client.scheduler.identity(n_workers=-1))["workers"]
        except (OSError, TimeoutError) as error:
            log.debug("the Dask scheduler does not tell its workers: %s", error)
            return False
        newest = max((one["last_seen"] for one in found.values()), default=0.0)
        # Of many workers, each tells less often that it is there.
        limit = max(self._silent_seconds, len(found) / _SIGNS_A_SECOND)
        self.silent = frozenset(address for address, one in found.items() if newest - one["last_seen"] > limit)
        self.live = frozenset(found.keys() - self.silent)
        self.threads = sum(found[address]["nthreads"] for address in self.live)
        self.has_had_silent = self.has_had_silent or bool(self.silent)
        return True

    async def not_begun(self, keys: Sequence[Any]) -> set[Any]:
        """The keys among these of tasks that the scheduler has given to no worker; none without an answer.

        A task that has ended is none of them: what became of it may be on its way.
        """
        return await self._asked(_not_begun, keys)

    async def _asked(self, what: Callable[..., list[Any]], *arguments: object) -> set[Any]:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return set(await self._client.run_on_scheduler(what, *arguments))
        except (OSError, TimeoutError) as error:
            log.debug("the Dask scheduler does not answer: %s", error)
            return set()

    async def only_with_silent(self, keys: Sequence[Any]) -> set[Any]:
        """The keys among these of tasks that silent workers have, or whose results they alone have; none without an
        answer."""
        return await self._asked(_only_with, keys, self.silent) if self.silent else set()

    async def hang_up(self) -> None:
        """Has the scheduler wait for no answer of a silent worker. It asks for several results at once, and those of
        other workers would wait as well."""
        await self._asked(_hang_up, self.silent)

    async def cancel(self, futures: Sequence[Future]) -> None:
        """Has the scheduler forget tasks. Those that run go on."""
        if not futures:
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._client.cancel(list(futures))
        except (OSError, TimeoutError) as error:
            log.debug("tasks were not cancelled: %s", error)

    async def tell(self, what: Callable[..., None], *arguments: object) -> bool:
        """Has every worker do something. One that is silent is not waited for. Returns whether all have answered."""
        if not self.live:
            return True
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._client.run(what, *arguments, workers=list(self.live), on_error="ignore")
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("not all Dask workers were told: %s", error)
            return False
        return True


# These run in the scheduler.


def _not_begun(keys: Sequence[Any], dask_scheduler: Scheduler) -> list[Any]:
    tasks = dask_scheduler.tasks
    return [key for key in keys if key not in tasks or tasks[key].state not in ("processing", "memory", "erred")]


def _only_with(keys: Sequence[Any], workers: Collection[str], dask_scheduler: Scheduler) -> list[Any]:
    tasks = [dask_scheduler.tasks[key] for key in keys if key in dask_scheduler.tasks]
    having = {task.key: {*(task.who_has or ()), task.processing_on} - {None} for task in tasks}
    return [key for key, found in having.items() if found and all(one.address in workers for one in found)]


def _hang_up(workers: Collection[str], dask_scheduler: Scheduler) -> list[Any]:
    for address in workers:
        dask_scheduler.rpc.remove(address)
    return []
