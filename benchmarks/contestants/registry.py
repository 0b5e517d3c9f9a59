"""Contestants by name, in the order in which each round runs them."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.contestants.base import Contestant
from benchmarks.contestants.go_clients import GO_REDIS, RUEIDIS
from benchmarks.contestants.node_clients import IOREDIS, VALKEY_GLIDE
from benchmarks.contestants.redis_benchmark import RedisBenchmark
from benchmarks.contestants.redis_cli import GeneratedPipe, Replay
from benchmarks.contestants.redis_py import ASYNCIO, GUIDE, GUIDE_ONE_CLIENT, SYNC
from benchmarks.contestants.runqy_loader import RunqyLoader
from benchmarks.errors import BenchmarkError

LOADER: Contestant = RunqyLoader()
BY_HSET: Contestant = RunqyLoader("runqy-loader-hset", "runqy-loader, by HSET", options=("--compact=never",))
DISCARDING: Contestant = RunqyLoader(
    "runqy-loader-discard", "runqy-loader, discarding", "makes all commands and sends them nowhere", discard=True
)
LIMIT: Contestant = Replay()

CONTESTANTS: tuple[Contestant, ...] = (
    LOADER,
    BY_HSET,
    LIMIT,
    GeneratedPipe(),
    RUEIDIS,
    GO_REDIS,
    VALKEY_GLIDE,
    IOREDIS,
    ASYNCIO,
    SYNC,
    GUIDE_ONE_CLIENT,
    GUIDE,
    RedisBenchmark(),
)


def chosen(names: Iterable[str]) -> list[Contestant]:
    """The contestants with these names, or all if no name is given. The limit is always included.

    Raises:
        BenchmarkError: There is no contestant with this name.
    """
    wanted = set(names)
    if unknown := wanted - {contestant.name for contestant in CONTESTANTS}:
        known = ", ".join(contestant.name for contestant in CONTESTANTS)
        raise BenchmarkError(f"there is no contestant {', '.join(sorted(unknown))}; there are: {known}")
    return [c for c in CONTESTANTS if not wanted or c.name in wanted or c is LIMIT]
