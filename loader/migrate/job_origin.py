"""See ``Origin``: a queue of another system."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace

from loader.errors import UnknownQueueError
from loader.foreign.registry import system_of
from loader.foreign.system import Where, count_waiting
from loader.migrate.foreign_source import ForeignSnapshot, JobReader, JobTranslation
from loader.migrate.options import MigrateOptions
from loader.migrate.source import TaskSource
from loader.migrate.translate import Translates
from loader.preflight.intended import IntendedLoad
from loader.preflight.schedule import forwarded_queues
from loader.preflight.usage import Usage
from loader.servers.question import ask
from loader.servers.session import Session

log = logging.getLogger("runqy_loader")


class JobOrigin:
    """See ``Origin``.

    Args:
        usage: The use of the target.

    Raises:
        UsageError: The jobs of this system cannot be read.
    """

    def __init__(self, options: MigrateOptions, usage: Usage) -> None:
        self._options = options
        where = Where(options.from_queue, options.from_prefix, options.unacked)
        self._system = system_of(options.from_system or "", where)
        self._forwarded = forwarded_queues(IntendedLoad(replace(options.target, envelope=True), ""), usage)

    async def require(self, session: Session) -> None:
        keys = self._system.keys()
        if not any(await session.call([ask(b"EXISTS", key) for key in keys])):
            names = ", ".join(key.decode(errors="backslashreplace") for key in keys)
            raise UnknownQueueError(
                f"--from-queue: {self._system.title} has no queue {self._options.from_queue} on {session.address}: "
                f"none of its keys is there ({names})",
                "Check the name, the database, and --from-prefix; runqy-loader inspect lists what is on a server",
            )

    async def waiting(self, session: Session) -> int:
        return await count_waiting(session, self._system)

    async def staying(self, session: Session) -> dict[str, int]:
        return await self._system.staying(session)

    async def elsewhere(self, session: Session) -> int:
        return 0

    async def snapshot(self, session: Session, stack: ExitStack) -> TaskSource:
        if sign := await self._system.workers(session):
            log.warning(
                "workers of %s seem to run (%s): what they take after this is in both places; stop them first, or run "
                "what is migrated only when they are stopped",
                self._system.title,
                sign,
            )
        reader = JobReader(self._options, self._forwarded)
        return ForeignSnapshot(session, self._system, reader, stack, self._options.batch_size)

    def translation(self) -> Translates:
        return JobTranslation()
