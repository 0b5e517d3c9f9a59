"""Checks which queues exist."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import hiredis

from loader.gateway.link import Link
from loader.gateway.options import ServeOptions
from loader.queues.existing import QUEUES_KEY
from loader.queues.names import resolve_queue
from loader.wire.faults import from_reply
from loader.wire.resp import command

_MAX_AGE_SECONDS = 1.0


class KnownQueues:
    """Resolves the names of queues, and checks whether the queues exist.

    Raises:
        UsageError: The file of queues cannot be used.
    """

    def __init__(self, options: ServeOptions, link: Link) -> None:
        self._sub_queues = options.defaults.sub_queues
        self._link = link
        self._configured = _configured(options.queues_file)
        self._asks_redis = options.queue_check == "redis"
        self._on_server: set[str] = set()
        self._created: set[str] = set()
        self._asked_at = -_MAX_AGE_SECONDS
        self._asking = asyncio.Lock()

    @property
    def configured(self) -> set[str] | None:
        """Full names of the queues in ``--queues-file``; None without that option."""
        return self._configured

    def resolve(self, name: str) -> str:
        """The full name of a queue; see ``resolve_queue``.

        Raises:
            QueueNameError: The name breaks the rules.
        """
        return resolve_queue(name, sub_queues=self._sub_queues)

    async def exists(self, queue: str) -> bool:
        """Whether tasks may be put into this queue. Without ``--queues-file`` and ``--queue-check``, they always may.

        Raises:
            SinkError: Redis is not available, or refuses.
        """
        if self._configured is None and not self._asks_redis:
            return True
        if self._configured is not None and queue in self._configured:
            return True
        if self._asks_redis and queue not in self._on_server:
            await self._ask()
        return self._asks_redis and queue in self._on_server

    def created(self, queue: str) -> None:
        """Notes that a task was put into this queue, so that the queue exists even if the last list lacks it."""
        self._created.add(queue)

    async def all(self) -> set[str]:
        """Full names of all queues that may hold tasks: configured, created here, or listed by the server.

        Raises:
            SinkError: Redis is not available, or refuses.
        """
        await self._ask()
        return self._on_server | self._created | (self._configured or set())

    async def _ask(self) -> None:
        # At most one SMEMBERS a second, however many requests name queues that do not exist.
        async with self._asking:
            if time.monotonic() - self._asked_at < _MAX_AGE_SECONDS:
                return
            (reply,) = await self._link.call(command(b"SMEMBERS", QUEUES_KEY.encode()), replies=1)
            if isinstance(reply, hiredis.ReplyError):
                raise from_reply(str(reply), f"key {QUEUES_KEY}")
            self._on_server = {member.decode(errors="replace") for member in reply}
            self._asked_at = time.monotonic()


def _configured(path: Path | None) -> set[str] | None:
    if path is None:
        return None
    from loader.queues.runqy_yaml import configured_queues  # the gateway runs without YAML

    return configured_queues(path)
