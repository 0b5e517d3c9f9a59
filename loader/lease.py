"""One loader a job at a time, and no late write of a dead one.

A run names all its connections ``runqy-loader:<job>:<run>:<process>.<n>`` and holds a lease that it renews. A run that
was killed leaves the lease behind for a moment, but no connections: the server drops them once it has worked off what
they sent. So a lease whose holder has no connection is taken over at once, and one whose holder is there is respected.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count

import orjson
import redis.asyncio
import redis.exceptions

from loader.errors import JobBusyError, TransientError
from loader.wire.faults import from_redis_py, translated

LEASE_MS = 15_000
RENEW_SECONDS = 4.0
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.05

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the loader, which may be several processes: the lease's holder."""

    token: str
    host: str
    pid: int

    @classmethod
    def new(cls) -> Run:
        return cls(secrets.token_hex(6), socket.gethostname(), os.getpid())

    def connection_name(self, job: str, process: int, number: int) -> str:
        return f"runqy-loader:{job}:{self.token}:{process}.{number}"


class Lease:
    """The right to load one job.

    Args:
        job: Name of the job.
        run: The holder; all its processes may use and renew the lease.
        where: The server's address, for errors.
        process: Number of this process within the run.
    """

    def __init__(self, control: redis.asyncio.Redis, job: str, run: Run, where: str, process: int = 0) -> None:
        self._control = control
        self._job = job
        self._run = run
        self._where = where
        self._process = process
        self._key = f"runqy-loader:{{{job}}}:lease"
        self._holder = orjson.dumps({"run": run.token, "host": run.host, "pid": run.pid})
        self._numbers = count(1)
        self._can_fence = True

    def next_connection_name(self) -> str:
        """A name that no other connection has or had."""
        return self._run.connection_name(self._job, self._process, next(self._numbers))

    async def acquire(self) -> None:
        """Takes the lease.

        Raises:
            JobBusyError: Another process is loading this job.
            LoaderError: The server does not answer as it should.
        """
        loop = asyncio.get_running_loop()
        patience = loop.time() + _GRACE_SECONDS
        told = False
        with translated(self._where):
            while not await self._control.set(self._key, self._holder, nx=True, px=LEASE_MS):
                holder = await self._control.get(self._key)
                if holder is None:
                    continue
                others = await self._connections_of_other_runs()
                if others == []:
                    replaced = await self._control.eval(_REPLACE, 1, self._key, holder, self._holder, LEASE_MS)
                    if replaced:
                        log.info("took job %s over from %s, which is gone", self._job, _describe(holder))
                        break
                elif loop.time() > patience:
                    if others is None and not told:
                        # The server tells no connections: only the lease's end shows that its holder is gone.
                        told = True
                        patience = loop.time() + LEASE_MS / 1000 + _GRACE_SECONDS
                        log.warning(
                            "waiting up to %d s for the lease of %s to end", LEASE_MS // 1000, _describe(holder)
                        )
                        continue
                    raise JobBusyError(
                        f"job {self._job} is being loaded by {_describe(holder)}",
                        "Wait for it or stop it; to load the same input a second time, give another --job name",
                    )
                await asyncio.sleep(_POLL_SECONDS)
            for connection in await self._connections_of_other_runs() or ():
                # Its run lost the lease: stalled for long, or on a host that died without closing anything.
                await self._kill(connection)

    async def renew(self) -> None:
        """Renews the lease.

        Raises:
            JobBusyError: Another run has taken it.
        """
        with translated(self._where):
            mine = await self._control.eval(_RENEW, 1, self._key, self._holder, LEASE_MS)
        if not mine:
            raise JobBusyError(
                f"job {self._job} was taken over by another process while this one could not reach the server",
                "Leave it to that one",
            )

    async def release(self) -> None:
        await self._control.eval(_RELEASE, 1, self._key, self._holder)

    async def reconnect(self) -> None:
        """Drops idle connections: what took a worker's has most likely taken these, and each would cost a retry."""
        with translated(self._where):
            await self._control.connection_pool.disconnect(inuse_connections=False)

    async def fence(self, connection_names: Collection[str]) -> None:
        """Makes sure that the server executes nothing more of what lost connections of this run had sent.

        A server that hung may still hold a connection's commands and run them later: then it would write the hash of
        a task that a resend has pushed and a worker has taken. After CLIENT KILL it will not.
        """
        with translated(self._where):
            try:
                clients = await self._control.client_list()
            except redis.exceptions.ResponseError as error:
                if isinstance(from_redis_py(error, self._where), TransientError):
                    raise
                self._cannot_fence(error)
                return
            for client in clients:
                if client["name"] in connection_names:
                    await self._kill(client["id"])

    async def _kill(self, client_id: str) -> None:
        try:
            await self._control.client_kill_filter(_id=client_id)
        except redis.exceptions.ResponseError as error:
            if "No such client" not in str(error):
                self._cannot_fence(error)

    def _cannot_fence(self, error: Exception) -> None:
        if self._can_fence:
            self._can_fence = False
            log.warning(
                "the server refuses CLIENT LIST or CLIENT KILL (%s): after a lost connection no task is pushed twice, "
                "but a hash may be written once more after its task was taken",
                error,
            )

    async def _connections_of_other_runs(self) -> list[str] | None:
        """Ids of connections; None where the server does not tell."""
        prefix, own = f"runqy-loader:{self._job}:", f"runqy-loader:{self._job}:{self._run.token}:"
        try:
            clients = await self._control.client_list()
        except redis.exceptions.ResponseError as error:
            if isinstance(from_redis_py(error, self._where), TransientError):
                raise
            return None
        return [c["id"] for c in clients if c["name"].startswith(prefix) and not c["name"].startswith(own)]


def _describe(holder: bytes | str) -> str:
    try:
        fields = orjson.loads(holder)
        return f"process {fields['pid']} on {fields['host']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "another process"
