"""The two ends of a migration: the servers with the job's record and lease, and the connections to them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from loader.errors import JobMismatchError, SinkError
from loader.jobs.job import Job
from loader.jobs.keep import keep_record, standing_to_load
from loader.jobs.lease import Lease, Run
from loader.jobs.standing import job_key, lease_key
from loader.migrate.options import MigrateOptions
from loader.migrate.source import Claims
from loader.servers.closing import close_quietly
from loader.servers.question import ask
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.wire.address import Address
from loader.wire.faults import translated


@dataclass(frozen=True, slots=True)
class Held:
    """A server on which the job is recorded and its lease is held."""

    servers: Servers
    lease: Lease
    job: Job

    async def confirm(self) -> None:
        """Checks that the server still has what it had when this run began.

        Raises:
            SinkError: It has lost that, and tasks with it.
        """
        if not await self.job.has_run(self.lease.run.token):
            raise lost_data(self.servers)

    @asynccontextmanager
    async def session(self, servers: Servers, options: MigrateOptions, *, fenced: bool) -> AsyncIterator[Session]:
        """A session whose connections belong to this lease.

        Args:
            servers: These servers, or others that are only read.
            fenced: Whether late writes of a lost connection would do harm. Then these servers close lost connections.
        """

        async def fence(names: Collection[str]) -> None:
            await self.lease.reconnect()
            await self.lease.renew()
            await self.lease.fence(names)

        names = self.lease.next_connection_name
        guards = (fence, self.lease.renew) if fenced else (None, None)
        session = Session(servers, options.timeout, options.retry_for, names, *guards)
        try:
            yield session
        finally:
            await session.close()


def lost_data(server: object) -> SinkError:
    """The error for a server that has lost tasks since it acknowledged them."""
    return SinkError(
        f"{server} has lost data that it had acknowledged: it was emptied, restarted, or failed over, without its "
        "last data",
        "Run the same command again: a copy copies what is missing; for a move, see docs/migrate.md, 'If the target "
        "is lost'",
    )


@asynccontextmanager
async def hold_job(name: str, run: Run, address: Address, options: MigrateOptions) -> AsyncIterator[Held]:
    """Records the job on a server, and holds its lease during the ``with`` block.

    Raises:
        JobMismatchError, JobBusyError: See ``Job.open`` and ``Lease.acquire``.
        LoaderError: The server cannot be reached, or refuses.
    """
    servers = Servers(address, options.timeout)
    try:
        lease = Lease(servers, name, run)
        job = Job(servers, name)
        own_name = lease.next_connection_name()
        await retry(lambda: servers.reach(own_name), options.retry_for, connected=False)
        manifest = options.manifest()
        recorded = await retry(
            lambda: job.open(manifest), options.retry_for, written=lambda: False, between=servers.reconnect
        )
        if recorded is not None:
            _refuse_other(name, recorded, manifest)
        await retry(lease.acquire, options.retry_for, between=servers.reconnect)
        await retry(lambda: job.note_run(run.token), options.retry_for, between=servers.reconnect)
        try:
            await retry(lambda: _keep(servers, job, manifest), options.retry_for, between=servers.reconnect)
            yield Held(servers, lease, job)
        finally:
            await close_quietly(lease.release())
    finally:
        await servers.aclose()


async def _keep(servers: Servers, job: Job, manifest: dict[str, Any]) -> None:
    """Has the record of the job stay, and what it remembers; or begins it anew, if that has ended."""
    standing = await standing_to_load(servers, job)
    if standing.manifest is None:
        await job.open(manifest)
        job.resumed = False
    await keep_record(servers, job.name)


def _refuse_other(job: str, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises JobMismatchError if a job was begun with other options."""
    for key, value in now.items():
        if recorded.get(key) != value:
            raise JobMismatchError(
                f"job {job} was begun with --{key.replace('_', '-')} {recorded.get(key)}, not {value}",
                "Resume with the same options, or give another --job name",
            )


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a migration.

    Attributes:
        target: The job on the target's server.
        source: The job on the source's server. It is the target's if both are one server, or if nothing is claimed.
        into: The session with the target.
        out: The session with the source.
        same: Whether source and target are the same server and database.
    """

    target: Held
    source: Held
    into: Session
    out: Session
    same: bool

    async def reconnect(self) -> None:
        """See ``Servers.reconnect``."""
        for end in self.held:
            await end.servers.reconnect()

    @property
    def held(self) -> list[Held]:
        """Both ends, or the one end if they are the same."""
        return [self.target] if self.source is self.target else [self.target, self.source]


async def is_seen(name: str, run: Run, source: Session) -> bool:
    """Whether the source has the lease that a run took at the target. Then both are one server, even if their addresses
    differ."""
    key = lease_key(name).encode()
    (holder,) = await source.call([ask(b"GET", key)], f"key {key.decode()}")
    return holder is not None and orjson.loads(holder).get("run") == run.token


async def bind(ends: Ends, claims: Claims, source: str) -> None:
    """Binds the tasks that this job has claimed in the source to this target, which knows which of them are in.

    Args:
        source: The source's server, for errors.

    Raises:
        JobMismatchError: The tasks were claimed for another target, or the target has lost its data.
    """
    name = ends.target.job.name
    key = job_key(name)
    there, here = ends.target.servers.client_of(key), ends.source.servers.client_of(key)
    with translated(f"key {key}"):
        await there.execute("HSETNX", key, "token", secrets.token_hex(8))
        token = await there.execute("HGET", key, "token")
        bound = await here.execute("HGET", key, "token")
        if bound != token and await claims.held():
            raise JobMismatchError(
                f"job {name} holds tasks in {claims.holding_key.decode()} on {source} that it claimed "
                "for another target, or the target has lost its data",
                "Resume with the same target; else see docs/migrate.md, 'If the target is lost'",
            )
        await here.execute("HSET", key, "token", token or b"")
