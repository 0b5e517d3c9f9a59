"""The figures of a plan, in sections. Each function makes one section."""

from __future__ import annotations

import math
from collections.abc import Iterator

from loader.planning.capacity import BACKLOG_SECONDS, HEADROOM
from loader.planning.figure import Figure, Section, Unit
from loader.planning.wanted import DASK, SNAPSHOTS
from loader.planning.work import HOUR, Work
from loader.tasks.sizes import in_bytes

_US: Unit = "us"
_BYTES: Unit = "bytes"

_BUSY_SCHEDULER = 0.5
"""Share of its time from which on a scheduler counts as the limit: it also has to answer workers and clients."""


def sections(work: Work) -> Iterator[Section]:
    """All of them that say something about this load."""
    wanted = work.wanted
    yield _load(work)
    yield _task(work)
    yield _servers(work)
    yield _time(work)
    yield _network(work)
    if wanted.replicas:
        yield _replication(work)
    if wanted.forks:
        yield _files(work)
    yield _shards(work)
    yield _drivers(work)


def _given(name: str, label: str, value: float, unit: Unit) -> Figure:
    return Figure(name, label, value, unit, "given", "")


def _calculated(name: str, label: str, value: float, unit: Unit, formula: str) -> Figure:
    return Figure(name, label, value, unit, "calculated", formula)


def _load(work: Work) -> Section:
    wanted = work.wanted
    return Section(
        "The load",
        [
            _given("tasks", "tasks", wanted.tasks, "tasks"),
            _given("payload_bytes", "payload, mean", wanted.payload, "bytes"),
            _calculated("input_bytes", "input", work.input_bytes, "bytes", "tasks x bytes a record"),
            _calculated(
                "read_rate", "input read", work.input_bytes / work.seconds, "bytes/s", "input / time of the load"
            ),
        ],
    )


def _task(work: Work) -> Section:
    costs, wanted = work.known.costs, work.wanted
    times = [("client_us", "CPU of the loader", costs.client_us), ("server_us", "CPU of the server", costs.server_us)]
    sizes = [
        ("memory_bytes", "memory of the server", costs.memory_bytes),
        ("sent_bytes", "sent to it", costs.sent_bytes),
    ]
    if wanted.replicas and costs.replicated_bytes:
        sizes.append(("replicated_bytes", "sent to a replica", costs.replicated_bytes))
    if wanted.has_aof and costs.aof_bytes:
        sizes.append(("aof_bytes", "append-only file", costs.aof_bytes))
    if wanted.forks and costs.file_bytes:
        sizes.append(("file_bytes", "snapshot", costs.file_bytes))
    return Section(
        "A task, by the length of its payload",
        [
            Figure(f"task_{name}", label, cost.value, unit, cost.how, cost.basis, cost.source)
            for unit, each in ((_US, times), (_BYTES, sizes))
            for name, label, cost in each
        ],
    )


def _servers(work: Work) -> Section:
    wanted, memory, snapshot = work.wanted, work.memory, work.known.snapshot
    reasons = [] if wanted.memory is None else [f"machines of {in_bytes(wanted.memory)}"]
    reasons += [] if wanted.hours is None else [f"{wanted.hours:g} h"]
    fewest = f"the fewest for {' and '.join(reasons)}" if reasons else "one takes them all"
    servers = (
        _calculated("servers", "servers", work.servers, "", fewest)
        if wanted.servers is None
        else _given("servers", "servers", work.servers, "")
    )
    ratio = snapshot.resident_bytes / snapshot.used_bytes
    found = [
        servers,
        _calculated("tasks_a_server", "tasks", work.here, "tasks", "tasks / servers"),
        _calculated("tasks_memory", "tasks, keys, lists", memory.tasks, "bytes", "tasks x memory"),
        _calculated("table_bytes", "table of all keys", memory.table, "bytes", "8 bytes x next power of 2"),
        _calculated("used_memory", "used_memory", memory.used, "bytes", "tasks + table"),
        _calculated("maxmemory", "maxmemory to set", HEADROOM * memory.used, "bytes", f"{HEADROOM} x used_memory"),
        Figure(
            "resident_bytes",
            "resident",
            memory.resident,
            "bytes",
            "extrapolated",
            f"{ratio:.2f} x used_memory",
            SNAPSHOTS,
        ),
    ]
    if wanted.forks:
        basis = f"{snapshot.copied_bytes / max(1, snapshot.tasks_meanwhile):,.0f} bytes a task loaded meanwhile"
        found.append(
            Figure("copied_bytes", "copied in a snapshot", memory.copied, "bytes", "extrapolated", basis, SNAPSHOTS)
        )
    parts = f"{HEADROOM} x resident{' + backlog' if wanted.replicas else ''}{' + copied' if wanted.forks else ''}"
    found.append(_calculated("machine_memory", "memory of a machine", memory.machine, "bytes", parts))
    return Section("Servers, and the memory of each at the end", found)


def _time(work: Work) -> Section:
    rates, wanted, factor = work.rates, work.wanted, work.known.sync_factor
    slower = "" if factor == 1 else f" x {factor:.2f} [r]"
    found = [
        _calculated("server_rate", "one server takes", rates.server, "tasks/s", f"1 s / its CPU a task{slower}"),
        _calculated("core_rate", "one core makes", rates.core, "tasks/s", "1 s / its CPU a task"),
    ]
    if rates.network is not None:
        basis = "bytes/s / bytes a task"
        found.append(_calculated("network_rate", "one network carries", rates.network, "tasks/s", basis))
    found += [
        _calculated("rate", "the load", rates.total, "tasks/s", f"limit: {rates.limit}"),
        _calculated("seconds", "time of the load", work.seconds, "s", "tasks / rate"),
    ]
    if wanted.workers_rate is not None:
        basis = "tasks / rate of the workers"
        found.append(_calculated("workers_seconds", "until workers are through", work.workers_seconds, "s", basis))
    return Section("Time", found)


def _network(work: Work) -> Section:
    costs, wanted, rate = work.known.costs, work.wanted, work.rates.total
    sent = costs.sent_bytes.value
    replicated = wanted.replicas * costs.replicated_bytes.value if costs.replicated_bytes else 0.0
    found = [_calculated("server_in", "into each server", rate / work.servers * sent, "bytes/s", "its rate x sent")]
    if wanted.replicas:
        basis = f"its rate x sent to a replica x {wanted.replicas}"
        found.append(_calculated("server_out", "out of each server", wanted.replicas * work.stream, "bytes/s", basis))
    found += [
        _calculated("loader_out", "out of the loader", rate * sent, "bytes/s", "rate x sent"),
        _calculated("network_bytes", "in all", wanted.tasks * (sent + replicated), "bytes", "tasks x all that is sent"),
    ]
    return Section("Network", found)


def _replication(work: Work) -> Section:
    cut = f"that x {BACKLOG_SECONDS} s (repl-timeout)"
    return Section(
        "Replication, each server",
        [
            _calculated("stream", "to each replica", work.stream, "bytes/s", "rate x sent to a replica"),
            _calculated("backlog", "repl-backlog-size", work.memory.backlog, "bytes", cut),
            Figure(
                "copy_seconds",
                "a whole copy takes",
                work.copy_seconds,
                "s",
                "extrapolated",
                "a snapshot" + ("" if work.wanted.network is None else ", and sending it"),
                SNAPSHOTS,
            ),
            _calculated("copy_buffer", "waits meanwhile", work.copy_buffer, "bytes", "both: rate x time"),
        ],
    )


def _files(work: Work) -> Section:
    wanted, snapshot, costs = work.wanted, work.known.snapshot, work.known.costs
    found: list[Figure] = []
    if wanted.has_aof and (written := work.rewrites) is not None and costs.aof_bytes is not None:
        each = costs.aof_bytes.value
        rate = work.rates.total / work.servers * each
        found += [
            _calculated("aof_growth", "append-only file", work.here * each, "bytes", "tasks x bytes, no rewrite"),
            _calculated("aof_rate", "written to it", rate, "bytes/s", "rate x bytes"),
            _calculated("aof_rewrites", "rewrites by default", written.count, "", "at each doubling from 64 MB"),
            _calculated("aof_peak", "disk with them", written.peak, "bytes", "old and new file"),
        ]
    saved = f"{snapshot.save_seconds:.1f} s of CPU for {in_bytes(snapshot.file_bytes)}"
    forked = f"{1000 * snapshot.fork_seconds:.1f} ms for {in_bytes(snapshot.resident_bytes)}"
    found += [
        _calculated("snapshot_bytes", "a snapshot at the end", work.file, "bytes", "tasks x snapshot"),
        Figure("snapshot_seconds", "  takes", work.save_seconds, "s", "extrapolated", saved, SNAPSHOTS),
        Figure("fork_seconds", "  server stands still", work.fork_seconds, "s", "extrapolated", forked, SNAPSHOTS),
    ]
    return Section("Disk and snapshots, each server", found)


def _shards(work: Work) -> Section:
    wanted, known, cores = work.wanted, work.known, work.cores
    shards = max(1, math.ceil(work.input_bytes / known.shard_bytes))
    seconds = wanted.tasks / shards / (work.rates.total / cores)
    size = min(float(known.shard_bytes), work.input_bytes)
    found = [
        _calculated("cores", "cores for the loader", cores, "", "rate / rate of a core")
        if wanted.cores is None
        else _given("cores", "cores for the loader", cores, ""),
        _calculated("shard_bytes", "a shard", size, "bytes", "16 MiB, more if too many"),
        _calculated("shards", "shards", shards, "", "input / shard"),
        _calculated("shard_seconds", "  each takes", seconds, "s", "its tasks / rate of a core here"),
    ]
    if (scheduler := known.scheduler) is not None:
        milliseconds = f"{1000 * scheduler.task_seconds:.1f} ms"
        enough = math.floor(_BUSY_SCHEDULER * seconds / scheduler.task_seconds)
        found += [
            Figure(
                "scheduler_seconds",
                "Dask's scheduler needs",
                shards * scheduler.task_seconds,
                "s",
                "extrapolated",
                f"{milliseconds} a shard",
                DASK,
            ),
            _calculated(
                "scheduler_workers",
                "  enough for workers",
                enough,
                "",
                f"half its time: {_BUSY_SCHEDULER} x time of a shard / {milliseconds}",
            ),
        ]
    return Section("Shards and workers of the loader", found)


def _drivers(work: Work) -> Section:
    wanted, costs = work.wanted, work.known.costs
    machines = work.servers * (1 + wanted.replicas)
    hours = work.seconds / HOUR
    until = "time of the load" if wanted.workers_rate is None else "until workers are through"
    held = machines * work.memory.machine / 1e9 * work.workers_seconds / HOUR
    share = 100 * wanted.payload / costs.memory_bytes.value
    return Section(
        "What it costs",
        [
            _calculated("machines", "servers with replicas", machines, "", "servers x (1 + replicas)"),
            _calculated("memory_hours", "GB hours of memory", held, "", f"machines x memory x {until}"),
            _calculated("core_hours", "core hours of the loader", work.cores * hours, "", "cores x time of the load"),
            _calculated("payload_share", "payload in the memory", share, "%", "the rest: hash, key, id, list"),
        ],
    )
