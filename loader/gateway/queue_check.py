"""Checks which queues exist."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import hiredis

from loader.errors import QueueNameError
from loader.gateway.link import Link, wrong_type
from loader.gateway.options import ServeOptions
from loader.queues.existing import QUEUES_KEY
from loader.queues.names import resolve_queue
from loader.wire.faults import from_reply
from loader.wire.resp import command

A_SET = "a set of queues"
"""What the key with the names of the queues holds."""

_MAX_AGE_SECONDS = 1.0
_LONGEST_NAME = 255
"""Bytes of a queue's full name."""

_MOST_NAMES = 1000
"""Names that are remembered: a quarter of a megabyte at most."""


class KnownQueues:
    """Resolves the names of queues, and checks whether the queues exist.

    Raises:
        UsageError: The file of queues cannot be used.
    """

    def __init__(self, options: ServeOptions, link: Link) -> None:
        self._sub_queues = options.defaults.sub_queues
        self._link = link
        self._configured = configured(options.queues_file)
        self._asks_redis = options.queue_check == "redis"
        self._seen: dict[str, float] = {}  # on the server, and when that was asked
        self._created: dict[str, None] = {}

    def resolve(self, name: str) -> str:
        """The full name of a queue; see ``resolve_queue``.

        Raises:
            QueueNameError: The name breaks the rules, or is longer than 255 bytes.
        """
        queue = resolve_queue(name, sub_queues=self._sub_queues)
        if len(queue) > _LONGEST_NAME // 4 and len(queue.encode()) > _LONGEST_NAME:
            raise QueueNameError(f"the name of the queue is longer than {_LONGEST_NAME} bytes")
        return queue

    async def exists(self, queue: str) -> bool:
        """Whether tasks may be put into this queue. Without ``--queues-file`` and ``--queue-check``, they always may.

        Raises:
            SinkError: Redis is not available, or refuses.
        """
        if self._configured is None and not self._asks_redis:
            return True
        if self._configured is not None and queue in self._configured:
            return True
        return self._asks_redis and await self._is_on_server(queue)

    def created(self, queue: str) -> None:
        """Notes that a task was put into this queue. The names noted last are kept."""
        if queue not in self._created:
            _bound(self._created)
            self._created[queue] = None

    async def some(self, limit: int) -> tuple[set[str], bool]:
        """Full names of queues that may hold tasks, and whether these are all.

        Args:
            limit: About how many of the server's names are read.

        Raises:
            SinkError: Redis is not available, or refuses.
        """
        found, cursor = {*self._created, *(self._configured or ())}, b"0"
        while len(found) < limit:
            reply = await self._ask(b"SSCAN", QUEUES_KEY.encode(), cursor, b"COUNT", b"1000")
            cursor, members = reply
            found |= {member.decode(errors="replace") for member in members}
            if cursor == b"0":
                return found, True
        return found, False

    async def _is_on_server(self, queue: str) -> bool:
        now = time.monotonic()
        if now - self._seen.get(queue, -_MAX_AGE_SECONDS) < _MAX_AGE_SECONDS:
            return True
        if not await self._ask(b"SISMEMBER", QUEUES_KEY.encode(), queue.encode()):
            return False
        _bound(self._seen)
        self._seen[queue] = now
        return True

    async def _ask(self, *words: bytes) -> Any:
        (reply,) = await self._link.call(command(*words), replies=1)
        if (error := wrong_type(reply, QUEUES_KEY, A_SET)) is not None:
            raise error
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply), f"key {QUEUES_KEY}")
        return reply


def _bound(names: dict[str, Any]) -> None:
    """Makes room for a name, in place of the oldest one if need be: clients choose the names."""
    if len(names) >= _MOST_NAMES:
        del names[next(iter(names))]


def configured(path: Path | None) -> set[str] | None:
    """Full names of the queues in ``--queues-file``; None without that option.

    Raises:
        UsageError: The file of queues cannot be used.
    """
    if path is None:
        return None
    from loader.queues.runqy_yaml import configured_queues  # the gateway runs without YAML

    return configured_queues(path)
