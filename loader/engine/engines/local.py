"""Runs the shards of a load on this machine: in this process, or in several."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from loader.engine.engines.base import Steered
from loader.engine.part import Part, PartialLoad
from loader.jobs.report import LoadReport
from loader.sources.shards import Shard

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_LEFT_FOR_OTHERS = 2
_SHARDS_A_PROCESS = 4
_MOST_PROCESSES = 4

log = logging.getLogger("runqy_loader")


class LocalEngine(Steered):
    """``--engine local``. See ``loader.engine.engines.base`` for what it does."""

    is_spread = False

    async def run(self, part: Part, shards: Sequence[Shard], report: LoadReport) -> bool:
        """Loads the shards. See ``Pipeline.run`` and ``ProcessPool.run``."""
        report.processes = _process_count(part, shards)
        if report.processes == 1:
            here = PartialLoad(part, report)
            self.steer(here)
            return await here.run(_each(shards))
        from loader.engine.processes import ProcessPool

        pool = ProcessPool(part, report.processes, report)
        self.steer(pool)
        return await pool.run(shards)


def _process_count(part: Part, shards: Sequence[Shard]) -> int:
    if part.options.is_limited and not part.options.writes_nothing:
        if part.options.processes not in ("auto", 1):
            log.info(
                "--processes %s is not used: a load with limits such as --max-pending is sent by one process",
                part.options.processes,
            )
        return 1
    if part.options.counts_in_order:
        if part.options.processes not in ("auto", 1):
            log.info("--dedup, --offset and --limit need all records in their order: one process loads them")
        return 1
    if part.options.is_paced:
        if part.options.processes not in ("auto", 1):
            log.info(
                "--processes %s is not used: a load with %s is sent by one process",
                part.options.processes,
                part.options.scheduled_by,
            )
        return 1
    wanted, repeatable = part.options.processes, all(source.identity.repeatable for source in part.sources)
    if wanted == "auto":
        shared = repeatable and Path(sys.executable or "").stem.startswith("python")  # else a program embeds Python
        return spare_processes(processors(), len(shards), part.options.workers) if shared else 1
    if wanted > 1 and not repeatable:
        log.info("input from a pipe or an iterable cannot be shared between processes: one process loads it")
        return 1
    return max(1, min(wanted, len(shards)))


def spare_processes(processors: int, shards: int, workers: int) -> int:
    """The number of processes for ``--processes auto``.

    One process nearly keeps a server busy. More of them pay if each has several shards, because a process takes a fifth
    of a second to start, and if processors are left for the server, which may be on this machine, and for its workers.
    One worker means that the order matters, which only one process keeps.
    """
    if workers == 1:
        return 1
    return max(1, min(processors - _LEFT_FOR_OTHERS, shards // _SHARDS_A_PROCESS, _MOST_PROCESSES))


def processors(cpu_max: Path = _CPU_MAX) -> int:
    """The number of processors that this process may use: a container may give it a share of those that it sees.

    Args:
        cpu_max: The quota of its control group, version 2: microseconds in each period of microseconds, or "max".
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, cpu_max.read_text().split())
        count = min(count, quota // period)
    return max(1, count)


async def _each(shards: Sequence[Shard]) -> AsyncIterator[Shard]:
    for shard in shards:
        yield shard
