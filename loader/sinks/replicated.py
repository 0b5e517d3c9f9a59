"""Waiting until what a connection has written is on replicas, or on disk (``--wait-replicas``, ``--wait-fsync``).

WAIT and WAITAOF block a connection until what was written before is acknowledged (Redis documentation of both
commands). So what follows on the same connection waits as well, and nothing else does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import hiredis

from loader.errors import SinkError
from loader.settings import LoadOptions
from loader.wire.connection import Connection
from loader.wire.faults import from_reply
from loader.wire.resp import command

_STEP_SECONDS = 1.0
"""How long one command waits at most: a connection without any reply counts as lost after ``--timeout``."""


class Replicated:
    """What a load waits for after each batch. It is false if it waits for nothing."""

    def __init__(self, options: LoadOptions) -> None:
        self._replicas = options.wait_replicas
        self._fsync = options.wait_fsync
        self._seconds = options.retry_seconds
        step = b"%d" % (1000 * min(_STEP_SECONDS, options.timeout / 2))
        wanted = b"%d" % self._replicas
        self._command = command(b"WAITAOF", b"1", wanted, step) if self._fsync else command(b"WAIT", wanted, step)

    def __bool__(self) -> bool:
        return bool(self._replicas or self._fsync)

    async def all(self, connections: Iterable[Connection], where: str) -> None:
        """Waits until what each of these connections has written is where it must be.

        Raises:
            SinkError: It is not within ``retry_for``, or the server refuses the command.
            TransientError: A connection was lost.
        """
        if self:
            await asyncio.gather(*(self._one(connection, where) for connection in connections))

    async def _one(self, connection: Connection, where: str) -> None:
        deadline = time.monotonic() + self._seconds
        while True:
            (reply,) = await connection.call(self._command, replies=1)
            if isinstance(reply, hiredis.ReplyError):
                raise from_reply(str(reply), where)
            on_disk, replicas = (int(reply[0]), int(reply[1])) if self._fsync else (1, int(reply))
            if on_disk and replicas >= self._replicas:
                return
            if time.monotonic() >= deadline:
                what = f"only {replicas} of {self._replicas} replicas have" if on_disk else "the disk has not got"
                raise SinkError(
                    f"{where}: {what} what was written {self._seconds:g} s ago"
                    f" ({'--wait-fsync' if self._fsync else '--wait-replicas'})",
                    "The server itself has it. Look at its replicas and its disk, then run the same command again",
                )
