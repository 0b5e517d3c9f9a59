"""The registration of runqy's workers from before January 2026 (runqy-worker, ``heartbeat.go``)."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time

import hiredis

from loader.consume.documented_scripts import SENT
from loader.preflight.consumers import SYNTHETIC
from loader.servers.question import Question, ask, ask_script
from loader.servers.session import Session
from loader.wire.faults import code_of, from_reply

_TTL = b"30"
_WORKERS = b"asynq:workers"

log = logging.getLogger("runqy_loader")


class DocumentedWorker:
    """The registration of a consumer of one queue.

    Attributes:
        name: ``host:pid``, and an id that tells that it is no real worker.
    """

    def __init__(self, session: Session, queue: str, concurrency: int) -> None:
        self._session = session
        self.name = f"{socket.gethostname() or 'unknown-host'}:{os.getpid()}:{SYNTHETIC}{secrets.token_hex(8)}"
        self._member = self.name.encode()
        self._key = b"asynq:workers:" + self._member
        self._told = False
        self._fields = (
            b"worker_id",
            self._member,
            b"started_at",
            b"%d" % time.time(),
            b"concurrency",
            b"%d" % concurrency,
            b"queues",
            f"map[{queue}:1]".encode(),  # a Go map, as its fmt package prints it
            b"status",
            b"running",
        )

    async def write(self) -> None:
        """Writes that the worker runs. Raises LoaderError."""
        await self._each(
            ask(b"HSET", self._key, *self._fields, b"last_beat", b"%d" % time.time()),
            ask(b"EXPIRE", self._key, _TTL),
        )
        await self._each(ask_script(SENT["register"], [_WORKERS], self._member, _TTL, SYNTHETIC.encode()))
        await self._drop_dead()

    async def clear(self) -> None:
        """Ends the registration. Raises LoaderError."""
        await self._each(ask(b"SREM", _WORKERS, self._member), ask(b"DEL", self._key))
        await self._drop_dead()

    async def _drop_dead(self) -> None:
        """Ends the registrations of synthetic consumers that were killed. Their hashes have expired."""
        (members,) = await self._session.values([ask(b"SMEMBERS", _WORKERS)])
        if not isinstance(members, list):
            return  # a sorted set, of workers of the other layout
        others = [one for one in members if SYNTHETIC.encode() in one and one != self._member]
        if not others:
            return
        living = await self._session.call([ask(b"EXISTS", b"asynq:workers:" + one) for one in others])
        if dead := [one for one, lives in zip(others, living, strict=True) if not lives]:
            await self._each(ask(b"SREM", _WORKERS, *dead))

    async def _each(self, *questions: Question) -> None:
        for reply in await self._session.values(questions):
            if isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" in str(reply):
                # Workers of the other layout keep a sorted set under this key.
                if not self._told:
                    log.warning(
                        "%s, key asynq:workers belongs to workers of the other layout: this consumer cannot register",
                        self._session.address,
                    )
                self._told = True
            elif isinstance(reply, hiredis.ReplyError):
                raise from_reply(str(reply), f"{self._session.address}, registration ({code_of(reply)})")
