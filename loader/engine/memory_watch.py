"""Watches the memory of the servers during a load: stops at ``--stop-at-memory``, and notices evicted keys."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from loader.errors import EvictedError, LoaderError, MemoryLimitError, SinkError, UsageError
from loader.servers.memory import Memory, read_memory
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.settings.memory import MemoryThreshold
from loader.tasks.sizes import in_bytes
from loader.wire.address import Address

_LONGEST_PAUSE = 1.0
_SHORTEST_PAUSE = 0.02
_LOOKS_AHEAD = 4
"""At the present rate of growth, the memory is read this many times before it reaches the threshold."""
_FEWEST_TO_MEASURE = 1000
"""With fewer tasks, the buffers of connections and the ledger count as much as the tasks."""
_LEAST_RATE = 64e6
"""The smallest rate of growth to expect, in bytes a second: a load that has not begun, or waits, may go on any time."""

log = logging.getLogger("runqy_loader")


class MemoryWatch:
    """Watches one load.

    Args:
        before: The memory of each server before the load; None in place of what a server does not tell.
    """

    def __init__(self, servers: Servers, options: LoadOptions, before: Mapping[Address, Memory | None]) -> None:
        self._servers = servers
        self._threshold = options.memory_threshold
        self._option = f"--stop-at-memory {options.stop_at_memory}"
        self._headroom, self._given_headroom = options.headroom, options.memory_headroom
        self._before = before
        self._reached: MemoryLimitError | None = None

    def check_threshold(self) -> None:
        """Refuses a load that would stop at once, or whose threshold cannot be watched.

        Raises:
            MemoryLimitError: The memory is over the threshold already.
            LoaderError: A server does not tell how much memory it uses, or has no ``maxmemory`` to take a share of.
        """
        if self._threshold is None:
            return
        for address, memory in self._before.items():
            if memory is None:
                raise _untold(address, self._option)
            if self._threshold.share is not None and not memory.limit:
                raise UsageError(
                    f"{address}: {self._option} is a share of maxmemory, and the server has none",
                    "Give a number of bytes, or set maxmemory",
                )
        self._compare(self._before)
        if self._reached is not None:
            raise self._reached

    def check_headroom(self) -> None:
        """Refuses a load whose ``--memory-headroom`` cannot be watched.

        Raises:
            LoaderError: A server does not tell how much memory it uses, has no ``maxmemory``, or one that is too small.
        """
        if self._headroom is None:
            return
        option = f"--memory-headroom {self._given_headroom}"
        for address, memory in self._before.items():
            if memory is None:
                raise _untold(address, option)
            if not memory.limit:
                raise UsageError(
                    f"{address}: {option} is memory below maxmemory, and the server has none", "Set maxmemory"
                )
            if self._headroom.of(memory.limit) >= memory.limit:
                raise UsageError(
                    f"{address}: {option} is as much as the server's maxmemory ({in_bytes(memory.limit)}), so nothing "
                    "could be loaded",
                    "Give less, or raise maxmemory",
                )

    async def during(self, work: Callable[[], Awaitable[bool]], stop: Callable[[], None]) -> bool:
        """Runs a load. Returns whether every record was processed.

        Args:
            stop: Makes the load end in good order.

        Raises:
            MemoryLimitError: The load was stopped because the memory had reached the threshold.
            EvictedError: Tasks may have been evicted.
            LoaderError: The load failed.
        """
        watching = None
        if self._threshold is not None:
            watching = asyncio.create_task(self._watch(self._threshold, stop))
        try:
            complete = await work()
        except SinkError as error:
            if (evicted := await self._evicted()) is not None:
                raise evicted from error
            if self._reached is not None:  # what was in flight did not fit any more
                raise self._reached from error
            raise
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.wait([watching])
        if (evicted := await self._evicted()) is not None:
            raise evicted
        if self._reached is not None and not complete:
            raise self._reached
        return complete

    async def bytes_a_task(self, tasks: int) -> float | None:
        """By how much the servers' memory has grown for each task of a load, in bytes.

        None if it is not known, or if the load is so small that other growth would distort it.
        """
        if tasks < _FEWEST_TO_MEASURE or None in self._before.values():
            return None
        try:
            now = await read_memory(self._servers)
        except LoaderError as error:  # a figure for the report must not fail a load that is complete
            log.debug("the memory could not be read: %s", error)
            return None
        before = [memory.used for memory in self._before.values() if memory is not None]
        after = [memory.used for memory in now.values() if memory is not None]
        grown = sum(after) - sum(before)
        return grown / tasks if len(after) == len(before) and grown > 0 else None

    async def _watch(self, threshold: MemoryThreshold, stop: Callable[[], None]) -> None:
        last, read_at, pause = self._before, time.monotonic(), _SHORTEST_PAUSE
        while self._reached is None:
            await asyncio.sleep(pause)
            try:
                now = await read_memory(self._servers)
            except LoaderError as error:
                log.debug("the memory could not be read: %s", error)
                pause = _LONGEST_PAUSE
                continue
            self._compare(now)
            passed = time.monotonic() - read_at
            read_at += passed
            pause = min((_pause(threshold, last.get(at), memory, passed) for at, memory in now.items()), default=pause)
            last = now
        stop()

    def _compare(self, now: Mapping[Address, Memory | None]) -> None:
        """Notes the first server that is over the threshold."""
        for address, memory in now.items():
            if self._reached is None and memory is not None and self._threshold is not None:
                if memory.used < _bytes(self._threshold, memory):
                    continue
                share = f", {memory.used / memory.limit:.0%} of its maxmemory" if memory.limit else ""
                self._reached = MemoryLimitError(
                    f"{address}: {in_bytes(memory.used)} in use{share}: stopped by {self._option}",
                    "Let workers drain the queue, or raise maxmemory; then run the same command again to go on",
                )

    async def _evicted(self) -> EvictedError | None:
        """The error for a load of which tasks may have been evicted; a warning if only keys that expire were."""
        if not any(memory is not None and memory.evicts for memory in self._before.values()):
            return None
        try:
            now = await read_memory(self._servers)
        except LoaderError as error:  # the load's own outcome must not be lost for it
            log.debug("it is not known whether keys were evicted: %s", error)
            return None
        for address, memory in now.items():
            before = self._before.get(address)
            if memory is None or before is None or memory.evicted <= before.evicted:
                continue
            count = memory.evicted - before.evicted
            what = f"{address} has evicted {count:,} keys during this load (maxmemory-policy {before.policy})"
            if before.policy.startswith("volatile"):  # tasks never expire
                log.warning("%s: no task is among them, but locks of unique tasks may be", what)
                continue
            return EvictedError(
                f"{what}: tasks of this load may be among them, or the record of what is loaded",
                "Set maxmemory-policy noeviction and make room; then empty the queue and load under a new --job name",
            )
        return None


def _untold(address: Address, option: str) -> SinkError:
    return SinkError(
        f"{address}: the server does not tell how much memory it uses (INFO is refused), which {option} needs",
        "Give the user the right to INFO",
    )


def _bytes(threshold: MemoryThreshold, memory: Memory) -> float:
    return threshold.size if threshold.share is None else threshold.share * memory.limit


def _pause(threshold: MemoryThreshold, before: Memory | None, memory: Memory | None, passed: float) -> float:
    """Seconds until the memory is to be read again."""
    if before is None or memory is None:
        return _LONGEST_PAUSE
    rate = max((memory.used - before.used) / max(passed, 1e-6), _LEAST_RATE)
    left = (_bytes(threshold, memory) - memory.used) / rate
    return min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, left / _LOOKS_AHEAD))
