"""Work on a job's keys that only the holder of its lease may do, beside loads: a rollback, or a change to its record.

The process may be suspended at any point, and another run may then take the job over, load it to its end, and be gone.
So the lease has a connection of its own, and each connection of the work sends nothing before the lease is renewed:
not when it is new, and not before a call, if the last renewal is not of this moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from loader.jobs.lease import Lease, Run, while_held
from loader.servers.closing import close_quietly
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers

T = TypeVar("T")


class UnderLease:
    """Repeats steps, and does work under the lease of a job.

    Args:
        servers: All that the work sends goes through these.
    """

    def __init__(self, servers: Servers, patience: Patience) -> None:
        self._servers = servers
        self._patience = patience
        self._lease: Lease | None = None

    async def repeat(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a step while it fails with a fault that may pass; within ``work`` while the lease is held."""
        return await retry(step, self._patience, between=self._reconnect)

    async def work(self, job: str, doing: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Does work while it holds the lease of a job.

        Args:
            doing: See ``Lease``.

        Raises:
            JobBusyError: Another process works on the job, or has taken it over.
            LoaderError: The server refuses, or cannot be reached.
        """
        control = self._servers.beside()
        lease = Lease(control, job, Run.new(), doing=doing)
        name = lease.next_connection_name()
        try:
            await retry(lambda: control.reach(name), self._patience)
            await retry(lease.acquire, self._patience, between=control.reconnect)
            try:
                self._lease = lease
                self._servers.guard_with(lease.prove, lease.next_connection_name())
                return await while_held([lease], work())
            finally:
                self._lease = None
                self._servers.guard_with(None)
                await close_quietly(lease.release())
        finally:
            await control.aclose()

    async def _reconnect(self) -> None:
        if self._lease is not None:
            await self._lease.reconnect()
        await self._servers.reconnect()
