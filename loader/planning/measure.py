"""Measures what a task costs on a real server: loads scratch tasks, reads INFO before and after, and removes them.

The scratch tasks are in a queue of their own with a random name, which no consumer serves, and in a job of their own.
``rollback`` takes them back, as any job's. No other key is written, apart from the set ``asynq:queues`` in the asynq
layout, out of which the queue is taken again.

Facts: Redis documentation of INFO. ``used_cpu_user_main_thread`` is the time of the thread that executes commands. Its
figures are those of the whole server: what other clients do meanwhile is counted as well.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loader.api import Loader
from loader.errors import LoaderError, SinkError
from loader.jobs.report import LoadReport
from loader.jobs.standing import job_key
from loader.planning.figures import Persistence, Point
from loader.preflight.estimate import table_slots
from loader.queues.existing import QUEUES_KEY
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.settings.server_address import server_address
from loader.undo.options import RollbackOptions
from loader.undo.rollback import Rollback
from loader.wire.client import Client
from loader.wire.faults import translated
from loader.wire.replies import parse_list

TASKS = 32_000
"""Tasks of the longer load. The table of all keys has then finished growing, if nothing else is in it."""

MOST_BYTES = 64_000_000
"""Bytes of payloads of the longer load; of long payloads, fewer tasks are loaded."""

_SHARE = 8
"""The shorter load has this part of the tasks."""

_FEWEST = 16 * _SHARE
_SLOT = 8
_KEEP = "1h"
_LOOK_SECONDS = 0.15
_REST_SECONDS = 3.0
_STILL = 4096
"""Bytes by which the memory of a server at rest may still change."""

Look = Callable[[Client], Awaitable[float]]
"""Something to find out while all scratch tasks are there, with the server's control connection."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What INFO says at one moment.

    Attributes:
        memory: ``used_memory`` without the buffers of clients, replicas and the append-only file, in bytes.
        processor: CPU seconds of the server's main thread.
        client: CPU seconds of this process.
    """

    server: str
    memory: int
    keys: int
    processor: float
    received: int
    replicated: int | None
    aof: int | None
    persistence: Persistence
    replicas: int
    client: float
    looked: float = 0.0

    @classmethod
    def of(cls, info: Mapping[str, Any], policy: str, database: int) -> Seen:
        """From a reply to INFO.

        Args:
            policy: ``appendfsync``; '' if it is not known.
        """
        name = "valkey" if "valkey_version" in info else "redis"
        buffers = ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer")
        shared = info.get("mem_total_replication_buffers", info.get("mem_replication_backlog", 0))
        replicas, has_aof = int(info.get("connected_slaves", 0)), bool(int(info.get("aof_enabled", 0)))
        user = info.get("used_cpu_user_main_thread", info["used_cpu_user"])
        system = info.get("used_cpu_sys_main_thread", info["used_cpu_sys"])
        keys = parse_list(str(info.get(f"db{database}", ""))).get("keys", 0)
        return cls(
            server=f"{name} {info[f'{name}_version']}",
            memory=int(info["used_memory"]) - sum(int(info.get(one, 0)) for one in buffers) - int(shared),
            keys=int(keys),
            processor=float(user) + float(system),
            received=int(info["total_net_input_bytes"]),
            replicated=int(info["master_repl_offset"]) if replicas else None,
            aof=int(info["aof_current_size"]) if has_aof else None,
            persistence=("aof-always" if policy == "always" else "aof-everysec") if has_aof else "none",
            replicas=replicas,
            client=time.process_time(),
        )


@dataclass(frozen=True, slots=True)
class Load:
    """One load, with what INFO said before and after it."""

    report: LoadReport
    before: Seen
    after: Seen

    @property
    def memory(self) -> float:
        """Bytes of its tasks, without the slots of the table of all keys."""
        slots = table_slots(self.after.keys) - table_slots(self.before.keys)
        return self.after.memory - self.before.memory - _SLOT * slots


async def measure(
    options: LoadOptions, payloads: Sequence[bytes], look: Look | None = None, *, warm: bool = False
) -> Point:
    """Measures tasks with these payloads, which are repeated as often as needed.

    Args:
        options: The server, layout, profile, type and way of writing. Settled layouts only.
        payloads: JSON texts, one at least.
        warm: Whether this process has measured before, so that all that it needs once is there.
        look: What else to find out; its value, a task, becomes ``file_bytes``.

    Raises:
        LoaderError: The server refuses, or cannot be reached. Scratch tasks are removed all the same, as far as the
            server lets that be done; the error names the job if they are not.
    """
    mean = sum(map(len, payloads)) / len(payloads)
    count = max(_FEWEST, min(TASKS, round(MOST_BYTES / max(1.0, mean))))
    servers = Servers(server_address(options), options.timeout)
    try:
        await servers.reach()
        if servers.is_cluster:
            raise SinkError(
                f"{servers} is a cluster, whose nodes have figures of their own",
                "Measure with a single server of the same version",
            )
        with TemporaryDirectory(prefix="runqy-loader-") as folder, _quiet():
            few = _write(Path(folder, "few.jsonl"), payloads, count // _SHARE)
            many = _write(Path(folder, "many.jsonl"), payloads, count)
            if not warm:
                await _load(servers, options, few, look=None)  # what is imported and set up once
            short = await _load(servers, options, few, look)
            long = await _load(servers, options, many, look)
    finally:
        await servers.aclose()
    return _point(options, short, long, mean)


def _point(options: LoadOptions, short: Load, long: Load, mean: float) -> Point:
    tasks = long.report.loaded - short.report.loaded

    def each(kind: str) -> float:
        grown = [getattr(load.after, kind) - getattr(load.before, kind) for load in (short, long)]
        return float(grown[1] - grown[0]) / tasks

    def each_if(kind: str) -> float | None:
        pairs = [(getattr(load.before, kind), getattr(load.after, kind)) for load in (short, long)]
        if any(None in pair or pair[0] > pair[1] for pair in pairs):  # shorter: it was written anew meanwhile
            return None
        return each(kind)

    after = long.after
    return Point(
        server=after.server,
        layout="asynq" if options.layout == "asynq" else "documented",
        profile=options.profile or "runqy",
        compact=2 * long.report.compact > long.report.loaded,
        payload_bytes=mean,
        tasks=tasks,
        persistence=after.persistence,
        replicas=after.replicas,
        client_us=1e6 * each("client"),
        server_us=1e6 * each("processor"),
        memory_bytes=long.memory / long.report.loaded,
        keys=each("keys"),
        sent_bytes=each("received"),
        replicated_bytes=each_if("replicated"),
        aof_bytes=each_if("aof"),
        file_bytes=(after.looked - short.after.looked) / tasks if after.looked else None,
    )


async def _load(servers: Servers, options: LoadOptions, path: Path, look: Look | None) -> Load:
    """Loads a file as a job of its own, and takes it back."""
    token = secrets.token_hex(8)
    name = f"runqy-loader-plan-{token}"
    # A queue's name is a part of its tasks' keys: so it is as long as names of queues are.
    scratch: dict[str, Any] = {"queue": f"plan-{token[:8]}", "job": name, "keep_job": _KEEP, "processes": 1}
    own = replace(options, **scratch, force_layout=True, force_queue=True)
    async with _removed(servers, own):
        before = await _seen(servers)
        async with Loader(own) as loader:
            report = await loader.load(path)
        after = await _seen(servers)
        if look is not None:
            after = replace(after, looked=await look(servers.clients()[0]))
        return Load(report, before, after)


@asynccontextmanager
async def _removed(servers: Servers, options: LoadOptions) -> AsyncIterator[None]:
    """Removes what the job has written, whatever happens."""
    job, queue = options.job, options.default_queue
    assert job is not None and queue is not None  # noqa: S101, PT018 - they have names
    try:
        yield
    finally:
        undoing = RollbackOptions(
            redis=options.redis,
            redis_password_file=options.redis_password_file,
            redis_password_command=options.redis_password_command,
            timeout=options.timeout,
        )
        control = servers.clients()[0]
        try:
            with translated(str(servers)):
                if await control.execute("EXISTS", job_key(job)):
                    await Rollback(job, undoing).run()
                await control.execute("DEL", job_key(job))
                if options.layout == "asynq":
                    await control.execute("SREM", QUEUES_KEY, queue)
        except LoaderError as error:
            raise LoaderError(
                f"the scratch tasks of the measurement are still there: {error.args[0]}",
                f"When the server answers again: runqy-loader rollback {job}",
            ) from error


async def _seen(servers: Servers) -> Seen:
    """What INFO says: times at once, memory and files when the server has come to rest.

    A server frees the buffers of connections that are closed, and writes the end of its append-only file, a little
    later. ``mem_clients_normal`` is renewed from time to time only.
    """
    control, until = servers.clients()[0], time.monotonic() + _REST_SECONDS
    (policy,) = await control.ask([("CONFIG", "GET", "appendfsync")])
    how = policy[1].decode() if isinstance(policy, list) and len(policy) > 1 else ""

    async def look() -> tuple[Seen, bool]:
        with translated(str(servers)):
            info: Any = await control.execute("INFO")
        return Seen.of(info, how, servers.address.db), not int(info.get("aof_buffer_length", 0))

    first, is_written = await look()
    last, is_at_rest = first, False
    while not is_at_rest and time.monotonic() < until:
        before = last
        await asyncio.sleep(_LOOK_SECONDS)
        last, is_written = await look()
        is_at_rest = is_written and abs(last.memory - before.memory) <= _STILL
    return replace(first, memory=last.memory, keys=last.keys, aof=last.aof)


def _write(path: Path, payloads: Sequence[bytes], count: int) -> Path:
    """Writes so many payloads, each with a line end."""
    whole, rest = divmod(count, len(payloads))
    lines = b"\n".join(payloads) + b"\n"
    with path.open("wb") as file:
        for _ in range(whole):
            file.write(lines)
        file.write(b"".join(payload + b"\n" for payload in payloads[:rest]))
    return path


@contextmanager
def _quiet() -> Any:
    """Keeps warnings about the target to itself: these tasks are not to stay."""
    log = logging.getLogger("runqy_loader")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
