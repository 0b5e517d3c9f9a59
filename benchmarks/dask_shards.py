"""A program for the scenario ``dask``: on one cluster of processes, empty Dask tasks, then a load of as many shards.

    python -m benchmarks.dask_shards PATH URL WORKERS SHARD_BYTES [OPTION...]

It prints one JSON object with its figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from distributed import Client

from benchmarks.outcome import QUEUE
from benchmarks.recorder import JOB
from loader.api import Loader
from loader.settings import LoadOptions
from loader.sources import shards

_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster(workers: int) -> Iterator[tuple[Client, int, list[int]]]:
    """A client, the pid of the scheduler, and those of the workers, which have one thread each."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"

        def start(what: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(file), *arguments]
            return subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        running = [start("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(workers)]
        try:
            with Client(scheduler_file=str(file), set_as_default=False) as client:
                client.wait_for_workers(workers)
                yield client, scheduler.pid, [one.pid for one in running]
        finally:
            for process in (*running, scheduler):
                process.kill()
                process.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def nothing(number: int) -> None:
    """An empty task."""


def main(path: str, url: str, workers: int, shard_bytes: int, *options: str) -> None:
    """Measures, and prints the figures."""
    shards.SHARD_BYTES, shards.MOST_SHARDS = shard_bytes, 10**9
    with cluster(workers) as (client, scheduler, pids), redis.Redis.from_url(url) as server:
        client.gather(client.map(nothing, range(100), pure=False))  # connections, and the first tasks
        wanted = LoadOptions(
            queue=QUEUE, redis=url, job=JOB, layout="documented", engine="dask", scheduler=client.scheduler.address
        )
        before = _snapshot(server, scheduler, pids)
        report = asyncio.run(_load(wanted, path))
        after = _snapshot(server, scheduler, pids)
        count = sum(1 for _ in server.scan_iter(match="*:claim", count=1000))
        began = time.perf_counter()
        client.gather(client.map(nothing, range(-count, 0), pure=False))
        empty = time.perf_counter() - began
    spent = {name: (after[name] - before[name]) / count for name in before}
    print(
        json.dumps(
            {
                "seconds": report.seconds,
                "shards": count,
                "ms an empty task": 1000 * empty / count,
                "ms a shard": 1000 * report.seconds / count,
                "of an empty task": report.seconds / empty,
                "scheduler ms": 1000 * spent["scheduler"],
                "driver ms": 1000 * spent["driver"],
                "worker ms": 1000 * spent["workers"],
                "commands": spent["commands"],
                "bytes in": spent["bytes"],
            }
        )
    )


async def _load(options: LoadOptions, path: str) -> Any:
    async with Loader(options) as loader:
        return await loader.load([path])


def _snapshot(server: Any, scheduler: int, workers: list[int]) -> dict[str, float]:
    stats = server.info("stats")
    return {
        "scheduler": cpu_seconds(scheduler),
        "driver": cpu_seconds(os.getpid()),
        "workers": sum(map(cpu_seconds, workers)),
        "commands": float(stats["total_commands_processed"]),
        "bytes": float(stats["total_net_input_bytes"]),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
