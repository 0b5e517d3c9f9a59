"""Measures the figures of ``runqy-loader plan`` with real servers, and writes ``loader/planning/figures.json``.

    python -m benchmarks.planning            # all of it: some 15 minutes
    python -m benchmarks.planning --again    # the same, and of two CPU times the less is kept
    python -m benchmarks.planning --again redis-8.2      # only this server; the others stay as they are
    python -m benchmarks.planning --quick    # a part, and shorter: whether it works

    python -m benchmarks.planning --snapshots  # snapshots and Dask only

Forks, snapshots and Dask's scheduler are measured by CPU time as well: they are busy all the time that they take.

What else a machine does adds to the CPU time of a task, and never takes from it. So the least time of several runs is
the nearest to that of a quiet machine. Bytes do not depend on this.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import orjson

from benchmarks import binaries
from benchmarks.measure import ROOT
from benchmarks.payloads import payloads, write
from benchmarks.server import Server
from loader.api import load
from loader.machine import describe_machine
from loader.planning.figures import OWN, Figures, Persistence, Point, Rate, Scheduler, Snapshot, own_figures
from loader.planning.measure import measure
from loader.settings import LoadOptions
from loader.wire.client import Client

SIZES = (64, 110, 300, 1_000, 3_000, 10_000)
KINDS: tuple[dict[str, Any], ...] = (
    {"layout": "documented"},
    {"layout": "asynq", "profile": "runqy"},
    {"layout": "asynq", "profile": "asynq", "type": "task"},
)
FILES: dict[Persistence, tuple[str, ...]] = {
    "none": (),
    "aof-everysec": ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"),
    "aof-always": ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"),
}
_LEAST = "the least CPU time of several runs"
_SNAPSHOT_TASKS = 600_000
_EMPTY_TASKS = 4_000
_VARIED = 997
"""Payloads of different lengths, which are repeated."""


def collect(servers: Sequence[str], *, quick: bool) -> Figures:
    """Measures these servers, and all else."""
    points: list[Point] = []
    snapshots: list[Snapshot] = []
    rates: list[Rate] = []
    sizes = SIZES[1:4:2] if quick else SIZES
    for binary in map(binaries.find, servers):
        points += measured_points(binary, sizes)
        snapshots.append(snapshot(binary, 50_000 if quick else _SNAPSHOT_TASKS))
    rates += [measured_rate(binaries.find(binaries.DEFAULT), kind, 1 if quick else 5) for kind in FILES]
    return Figures(
        date=time.strftime("%Y-%m-%d"),
        machine=describe_machine(),
        busy=f"load average {os.getloadavg()[0]:.1f} at its end",
        points=points,
        snapshots=snapshots,
        rates=rates,
        scheduler=scheduler(500 if quick else _EMPTY_TASKS),
    )


def measured_points(binary: str, sizes: Sequence[int]) -> list[Point]:
    """All kinds of tasks, on a server by itself, and on one with an append-only file and a replica."""
    points: list[Point] = []
    for with_files in (False, True):
        with served(binary, "aof-everysec" if with_files else "none", replicas=int(with_files)) as url:
            for size, kind, compact in product(sizes, KINDS, ("always", "never")):
                options = LoadOptions(queue="q", redis=url, compact=compact, **kind)
                some = list(islice(payloads(size), _VARIED))
                point = asyncio.run(measure(options, some, rewritten if with_files else None, warm=bool(points)))
                say(point)
                points.append(point)
    return points


async def rewritten(control: Client) -> float:
    """Bytes of the append-only file when it is written anew: in Redis's default, a snapshot."""
    await control.execute("BGREWRITEAOF")
    while True:
        info: Any = await control.execute("INFO", "persistence")
        if not int(info["aof_rewrite_in_progress"]) and not int(info["aof_rewrite_scheduled"]):
            return float(info["aof_base_size"])
        await asyncio.sleep(0.05)


def snapshot(binary: str, tasks: int) -> Snapshot:
    """A snapshot of many tasks, and another one with a load beside it."""
    with served(binary, "none") as url, tempfile.TemporaryDirectory() as folder:
        first = write(Path(folder, "first.jsonl"), 300, tasks=tasks)
        second = write(Path(folder, "second.jsonl"), 301, tasks=tasks)
        asyncio.run(load(first.path, queue="q", redis=url, layout="documented"))
        return asyncio.run(_snapshot(url, second.path))


async def _snapshot(url: str, second: Path) -> Snapshot:
    from loader.wire.address import parse_address

    control = Client(parse_address(url), 60.0)
    before: Any = await control.execute("INFO")
    await control.execute("BGSAVE")
    forked: Any = await control.execute("INFO")
    await _saved(control)
    after: Any = await control.execute("INFO")
    folder: Any = await control.execute("CONFIG", "GET", "dir")
    size = Path(folder[1].decode(), "dump.rdb").stat().st_size
    keys = int(await control.execute("DBSIZE"))
    await control.execute("BGSAVE")
    loading = asyncio.create_task(load(second, queue="q", redis=url, layout="documented"))
    await _saved(control)
    meanwhile = int(await control.execute("DBSIZE")) - keys
    last: Any = await control.execute("INFO", "persistence")
    await loading
    await control.aclose()
    version = f"valkey {after['valkey_version']}" if "valkey_version" in after else f"redis {after['redis_version']}"
    return Snapshot(
        server=version,
        used_bytes=int(before["used_memory"]),
        resident_bytes=int(before["used_memory_rss"]),
        fork_seconds=min(int(after["latest_fork_usec"]) / 1e6, _grown(before, forked, "sys_main_thread")),
        save_seconds=_grown(before, after, "user_children") + _grown(before, after, "sys_children"),
        file_bytes=size,
        copied_bytes=int(last["rdb_last_cow_size"]),
        tasks_meanwhile=meanwhile,
        keys=keys,
    )


def _grown(before: Any, after: Any, kind: str) -> float:
    """CPU seconds of the server or of its children between two replies to INFO."""
    return float(after[f"used_cpu_{kind}"]) - float(before[f"used_cpu_{kind}"])


async def _saved(control: Client) -> None:
    while True:
        info: Any = await control.execute("INFO", "persistence")
        if not int(info["rdb_bgsave_in_progress"]):
            return
        await asyncio.sleep(0.02)


def measured_rate(binary: str, persistence: Persistence, runs: int) -> Rate:
    """Tasks a second by the clock."""
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        content = write(Path(folder, "rate.jsonl"), 300, tasks=200_000)
        for _ in range(runs):
            with served(binary, persistence) as url:
                report = asyncio.run(load(content.path, queue="q", redis=url, layout="documented"))
            rates.append(report.tasks_per_second)
    with Server(binary) as server:
        version = server.info()["redis_version"]
    return Rate(
        server=f"redis {version}",
        persistence=persistence,
        payload_bytes=300,
        tasks_per_second=statistics.median(rates),
        runs=runs,
    )


def scheduler(tasks: int) -> Scheduler | None:
    """Empty tasks of Dask; None if it is not installed."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        return None
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.gather(client.map(_nothing, range(100), pure=False))
        started = time.process_time()  # the scheduler is in this process
        client.gather(client.map(_nothing, range(tasks), pure=False, retries=0))
        seconds = time.process_time() - started
    return Scheduler(version=distributed.__version__, workers=2, tasks=tasks, seconds=seconds)


def _nothing(number: int) -> int:
    return number


@contextmanager
def served(binary: str, persistence: Persistence, replicas: int = 0) -> Iterator[str]:
    """The URL of a server with this persistence and so many replicas, which follow it."""
    with ExitStack() as stack:
        server = stack.enter_context(Server(binary, options=FILES[persistence]))
        for _ in range(replicas):
            host, port = server.target.address.split(":")
            stack.enter_context(Server(binary, options=("--replicaof", f"{host} {port}")))
        deadline = time.monotonic() + 60
        while server.info().get("connected_slaves") != str(replicas) or "wait_bgsave" in str(server.info()):
            if time.monotonic() > deadline:
                raise TimeoutError("the replica does not follow")
            time.sleep(0.05)
        yield server.target.url


def say(point: Point) -> None:
    """One line of progress."""
    form = "compact" if point.compact else "HSET"
    print(
        f"{point.server} {point.layout}/{point.profile} {form} {point.payload_bytes:,.0f} B {point.persistence}: "
        f"{point.client_us:.2f} + {point.server_us:.2f} us, {point.memory_bytes:,.0f} B",
        flush=True,
    )


def saved(figures: Figures) -> bytes:
    """As a file, a point a line."""
    content = orjson.loads(orjson.dumps(figures))
    for point in content["points"]:
        for name, value in point.items():
            if isinstance(value, float):
                point[name] = round(value, 3)
    lines = [f'  "{name}": {_lines(value)}' for name, value in content.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {orjson.dumps(one).decode()}" for one in value) + "\n  ]"
    return orjson.dumps(value).decode()


def least(found: Figures, before: Figures) -> Figures:
    """The same figures, with the least CPU time of both, and the highest rates; servers of either."""
    known = {_kind(point): point for point in before.points}
    measured = {point.server for point in found.points}
    points = [point for point in before.points if point.server not in measured]
    for point in found.points:
        earlier = known.get(_kind(point), point)
        times = {name: min(getattr(point, name), getattr(earlier, name)) for name in ("client_us", "server_us")}
        points.append(replace(point, **times))
    faster = {(rate.server, rate.persistence): rate for rate in before.rates}
    rates = [
        max(rate, faster.get((rate.server, rate.persistence), rate), key=lambda one: one.tasks_per_second)
        for rate in found.rates
    ]
    fewer = [one for one in (found.scheduler, before.scheduler) if one is not None]
    quickest = min(fewer, key=lambda one: one.task_seconds, default=None)
    snapshots = [one for one in before.snapshots if one.server not in measured] + list(found.snapshots)
    return replace(
        found, points=points, snapshots=snapshots, rates=rates, scheduler=quickest, busy=f"{found.busy}, {_LEAST}"
    )


def with_snapshots(before: Figures) -> Figures:
    """The same figures with new ones of snapshots and of Dask."""
    snapshots = [snapshot(binaries.find(name), _SNAPSHOT_TASKS) for name in binaries.NEWER]
    return replace(before, snapshots=snapshots, scheduler=scheduler(_EMPTY_TASKS))


def _kind(point: Point) -> tuple[object, ...]:
    """What a point is of, without what was measured."""
    length = round(point.payload_bytes)
    return point.server, point.layout, point.profile, point.compact, length, point.persistence, point.replicas


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    logging.getLogger("runqy_loader").setLevel(logging.ERROR)
    if "--snapshots" in sys.argv[1:]:
        path = ROOT / "loader" / "planning" / OWN
        path.write_bytes(saved(with_snapshots(own_figures())))
        return
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    figures = collect(named or binaries.NEWER, quick=quick)
    path = Path(tempfile.gettempdir(), OWN) if quick else ROOT / "loader" / "planning" / OWN
    if "--again" in sys.argv[1:]:
        figures = least(figures, own_figures())
    path.write_bytes(saved(figures))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
