"""Only one loader works on a job at a time, and a dead loader cannot write late.

A run names all its connections ``runqy-loader:<job>:<run>:<process>.<n>`` and holds a lease that it renews. A killed
run leaves its lease for a moment, but no connections: the server closes them when it has processed what they sent. So a
lease whose holder has no connections is taken over at once. A lease whose holder has connections is respected.

A server lists the connections of all its databases, and each database has jobs of its own. So names hold the database,
if it is not 0: ``runqy-loader/<database>:<job>:…``.

A run may be suspended at any point, and taken over meanwhile. So it renews the lease before the first write of each
connection, when the connection has its name: whoever takes over later closes it. It also does so before it writes to a
file that the next run may write to as well (``fenced_file.py``).
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

import hiredis
import orjson

from loader.errors import JobBusyError, TransientError
from loader.jobs.standing import job_key, lease_key
from loader.layouts.lua import as_sent
from loader.servers.routing import Servers, list_clients
from loader.wire.client import Client
from loader.wire.faults import from_reply, translated

T = TypeVar("T")

LEASE_MS = 15_000
RENEW_SECONDS = 4.0
_PROOF_SECONDS = 0.25
"""For how long a renewal proves that no other run has the lease. A run that was suspended meanwhile needs a new one."""

_NEVER = (-math.inf, -math.inf)
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.05

ACQUIRE = b"""\
-- Takes a job's lease.
-- KEYS[1]: the lease
-- KEYS[2]: the job. It counts the runs that have held its lease. So a run that was suspended beyond the end of its
--          lease, while another run worked, cannot take the lease again.
-- ARGV[1]: the holder to replace, '' for none
-- ARGV[2]: the new holder
-- ARGV[3]: milliseconds
-- Reply: the number of this run; 0 if another run holds the lease
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return redis.call('HINCRBY', KEYS[2], 'runs', 1)
"""
RENEW = b"""\
-- Renews a job's lease.
-- KEYS[1]: the lease
-- KEYS[2]: the job
-- ARGV[1]: the holder
-- ARGV[2]: milliseconds
-- ARGV[3]: the number of its run
-- Reply: 1; 0 if another run has taken the lease; the holder, if the server has lost data and has an older lease again
local holder = redis.call('GET', KEYS[1])
local runs = tonumber(redis.call('HGET', KEYS[2], 'runs') or 0)
if holder and holder ~= ARGV[1] then return runs < tonumber(ARGV[3]) and holder or 0 end
-- If the server has lost its data, it has lost the job as well: go on.
if not holder and runs > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE = b"""\
-- Releases a job's lease.
-- KEYS[1]: the lease
-- ARGV[1]: the holder
-- Reply: 1; 0 if it does not hold the lease
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the loader, in one or several processes. It is the holder of the lease.

    Attributes:
        number: The number of runs that have held the job's lease, including this run; 0 before it holds the lease.
        is_spread: Whether its other processes may be on other machines. They may outlive it for a time, so the run is
            gone when its first process has no connection.
    """

    token: str
    host: str
    pid: int
    number: int = 0
    is_spread: bool = False

    @classmethod
    def new(cls, *, is_spread: bool = False) -> Run:
        return cls(secrets.token_hex(6), socket.gethostname(), os.getpid(), is_spread=is_spread)

    def process_name(self, process: int | str) -> str:
        """The name of a process of this run, in the names of its connections."""
        return f"{self.token}:{process}"

    def connection_name(self, job: str, database: int, process: int | str, number: int) -> str:
        """The name of a connection of this run."""
        return f"{connections_of(job, database)}{self.process_name(process)}.{number}"


def connections_of(job: str, database: int) -> str:
    """The beginning of the names of all connections of a job in a database."""
    return f"runqy-loader/{database}:{job}:" if database else f"runqy-loader:{job}:"


class Lease:
    """The right to load one job.

    Args:
        job: Name of the job.
        run: The holder; all its processes may use and renew the lease.
        process: Number or name of this process within the run; 0 for the one that holds the lease.
        doing: What the run does to the job, for messages: "rolled back", for example. '' for a load.
    """

    def __init__(self, servers: Servers, job: str, run: Run, process: int | str = 0, *, doing: str = "") -> None:
        self._servers = servers
        self._job = job
        self.run = run
        self._where = str(servers)
        self._process = process
        self._doing = doing
        self._key = lease_key(job)
        self._keys = (self._key, job_key(job))
        self._database = servers.address.db
        self._numbers = count(1)
        self._can_fence = True
        self._proved_at = _NEVER

    @property
    def _holder(self) -> bytes:
        run = self.run
        named = self._servers.accepts_names
        holder: dict[str, Any] = {"run": run.token, "host": run.host, "pid": run.pid, "named": named}
        if run.is_spread:
            holder["spread"] = True
        return orjson.dumps(holder | {"doing": self._doing} if self._doing else holder)

    @property
    def _client(self) -> Client:
        return self._servers.client_of(self._key)

    def next_connection_name(self) -> str:
        """A name that no other connection has or has had."""
        return self.run.connection_name(self._job, self._database, self._process, next(self._numbers))

    async def acquire(self) -> None:
        """Takes the lease.

        Raises:
            JobBusyError: Another process is loading this job.
            LoaderError: The server does not answer, or replies with an error.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GRACE_SECONDS
        waits_for_end = False
        with translated(self._where):
            while not await self._take(b""):
                holder = await self._client.execute("GET", self._key)
                if holder is None:
                    continue
                others = await self._connections_of(holder) if _is_named(holder) else None
                if others == []:
                    if await self._take(holder):
                        log.info("took job %s over from %s, which is gone", self._job, _describe(holder))
                        break
                elif loop.time() > deadline:
                    if others is None and not waits_for_end:
                        # The server does not list connections, or does not accept names: only the end of the lease
                        # shows that its holder is gone.
                        waits_for_end = True
                        deadline = loop.time() + LEASE_MS / 1000 + _GRACE_SECONDS
                        log.warning(
                            "waiting up to %d s for the lease of %s to end", LEASE_MS // 1000, _describe(holder)
                        )
                        continue
                    raise _busy(self._job, holder)
                await asyncio.sleep(_POLL_SECONDS)
            for server, connection in await self._connections_of_other_runs() or ():
                # The run of this connection lost the lease: it was stalled for long, or its host died.
                await self._kill(server, connection)

    async def _take(self, holder: bytes | str) -> bool:
        number = await self._eval(ACQUIRE, self._keys, holder, self._holder, LEASE_MS)
        if number:
            self.run = replace(self.run, number=int(number))
        return bool(number)

    async def renew(self) -> None:
        """Renews the lease.

        Raises:
            JobBusyError: Another run has taken the lease.
            LoaderError: The server does not answer, or replies with an error.
        """
        asked_at = _now()
        if self.run.is_spread and self._process != 0 and await self._is_held_by_driver():
            self._proved_at = asked_at
            return
        with translated(self._where):
            reply = await self._eval(RENEW, self._keys, self._holder, LEASE_MS, self.run.number)
            # A server that was restarted with older data may have the lease of a run that is gone.
            mine = reply == 1 or (isinstance(reply, bytes) and await self._take_from_dead(reply))
        if mine:
            self._proved_at = asked_at
        else:
            lost = JobBusyError(
                f"job {self._job} was taken over by another process while this one could not reach the server",
                "Leave it to that one",
            )
            lost.taken_over = True
            raise lost

    async def is_driven(self) -> bool:
        """Whether the first process of this run holds the lease.

        Raises:
            LoaderError: The server does not answer, or replies with an error.
        """
        with translated(self._where):
            return bool(await self._client.execute("GET", self._key) == self._holder)

    async def _is_held_by_driver(self) -> bool:
        """Whether the first process of this run has the lease; False if another run has.

        The other processes of a spread run may outlive it, and do not keep the lease in its place.

        Raises:
            TransientError: Nobody has it: the run is over, or its first process is about to renew it.
        """
        with translated(self._where):
            holder = await self._client.execute("GET", self._key)
        if holder is None:
            raise TransientError(f"job {self._job}: the process that drives the load does not hold its lease")
        return bool(holder == self._holder)

    async def _take_from_dead(self, holder: bytes) -> bool:
        others = await self._connections_of(holder) if _is_named(holder) else None
        return others == [] and await self._take(holder)

    def is_proved(self) -> bool:
        """Whether the lease was renewed so recently that no other run can have it by now."""
        return all(abs(now - then) <= _PROOF_SECONDS for now, then in zip(_now(), self._proved_at, strict=True))

    async def prove(self, is_needed: bool) -> None:
        """Renews the lease, if it is not proved already or a new proof is needed. Raises as ``renew``."""
        if is_needed or not self.is_proved():
            await self.renew()

    def doubt(self) -> None:
        """Takes the proof back: a lost connection may mean that another run has closed it."""
        self._proved_at = _NEVER

    async def release(self) -> None:
        await self._eval(RELEASE, self._keys[:1], self._holder)

    async def _eval(self, script: bytes, keys: Sequence[str], *arguments: bytes | str | int) -> Any:
        return await self._client.execute("EVAL", as_sent(script), len(keys), *keys, *arguments)

    async def reconnect(self) -> None:
        """See ``Servers.reconnect``."""
        await self._servers.reconnect()

    async def fence(self, connection_names: Collection[str]) -> None:
        """Makes sure that the server executes no more commands from lost connections of this run.

        A server that hung may still have commands of a connection and run them later. Then it would write the hash of
        a task that a resend has pushed and a worker has taken. CLIENT KILL prevents this.
        """
        await self._close(lambda name: name in connection_names)

    async def _close(self, is_wanted: Callable[[str], bool]) -> None:
        for server in self._servers.clients():
            clients = await list_clients(server, self._where)
            if clients is None:
                self._cannot_fence()
            for client in clients or ():
                if is_wanted(client["name"]):
                    await self._kill(server, client["id"])

    async def close_connections(self, processes: Collection[str]) -> None:
        """Has the servers close all connections of other processes of this run.

        Args:
            processes: See ``Run.process_name``.
        """
        beginnings = tuple(f"{connections_of(self._job, self._database)}{process}." for process in processes)
        await self._close(lambda name: name.startswith(beginnings))

    async def _kill(self, server: Client, client_id: str) -> None:
        with translated(self._where):
            try:
                await server.execute("CLIENT", "KILL", "ID", client_id)
            except hiredis.ReplyError as error:
                if isinstance(from_reply(str(error), self._where), TransientError):
                    raise
                if "No such client" not in str(error):
                    self._cannot_fence()

    def _cannot_fence(self) -> None:
        if self._can_fence:
            self._can_fence = False
            log.warning(
                "the server refuses CLIENT LIST or CLIENT KILL: after a lost connection no task is pushed twice, but a "
                "hash may be written once more after its task was taken"
            )

    async def _connections_of(self, holder: bytes) -> list[tuple[Client, str]] | None:
        """The connections that show that a holder is there. Otherwise as ``_connections_of_other_runs``."""
        fields = _fields(holder)
        return await self._connections_of_other_runs(f"{fields.get('run')}:0." if fields.get("spread") else "")

    async def _connections_of_other_runs(self, whose: str = "") -> list[tuple[Client, str]] | None:
        """Servers and ids of connections; None if a server refuses to list them.

        Args:
            whose: The beginning of the names of the processes that count.
        """
        prefix = connections_of(self._job, self._database)
        own = f"{prefix}{self.run.token}:"
        found: list[tuple[Client, str]] = []
        for server in self._servers.clients():
            clients = await list_clients(server, self._where)
            if clients is None:
                return None
            names = ((client["id"], client["name"]) for client in clients)
            found += [
                (server, id_) for id_, name in names if name.startswith(prefix + whose) and not name.startswith(own)
            ]
        return found


async def while_held(leases: Sequence[Lease], work: Coroutine[Any, Any, T]) -> T:
    """Runs work while all leases are renewed. Returns the result of the work.

    Raises:
        JobBusyError: Another run has taken one of the leases.
    """
    working = asyncio.create_task(work)
    keeping = [asyncio.create_task(_keep(lease)) for lease in leases]
    try:
        await asyncio.wait([working, *keeping], return_when=asyncio.FIRST_COMPLETED)
        for keeper in keeping:
            if keeper.done():
                keeper.result()
        return await working
    finally:
        for task in (working, *keeping):
            task.cancel()
        await asyncio.wait([working, *keeping])


async def _keep(lease: Lease) -> None:
    """Renews the lease until it is cancelled. Raises JobBusyError if another run has taken the lease."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await lease.renew()
        except TransientError as error:
            log.debug("the lease could not be renewed: %s", error)
            try:
                await lease.reconnect()  # the slot of the job may have moved to another node
            except TransientError as still:
                log.debug("the servers could not be asked again: %s", still)


def _now() -> tuple[float, float]:
    """Two clocks: a machine that was suspended shows that by one of them at least."""
    return time.monotonic(), time.time()


def _is_named(holder: bytes | str) -> bool:
    """Whether the holder's connections have names on the server, so that missing connections show that it is gone."""
    return bool(_fields(holder).get("named", True))


def _busy(job: str, holder: bytes | str) -> JobBusyError:
    doing = _fields(holder).get("doing")
    if isinstance(doing, str):
        return JobBusyError(f"job {job} is being {doing} by {_describe(holder)}", "Wait for that one")
    error = JobBusyError(
        f"job {job} is being loaded by {_describe(holder)}",
        "Wait for it or stop it; to load the same input a second time, give another --job name",
    )
    error.loading = True
    return error


def _fields(holder: bytes | str) -> dict[str, Any]:
    try:
        found = orjson.loads(holder)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _describe(holder: bytes | str) -> str:
    fields = _fields(holder)
    return f"process {fields['pid']} on {fields['host']}" if {"pid", "host"} <= fields.keys() else "another process"
