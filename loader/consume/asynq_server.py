"""The registration of asynq's server: what it says of itself and of the tasks in service (asynq 0.26, ``heartbeat.go``,
``internal/rdb``: ``WriteServerState``, ``ClearServerState``)."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence

import hiredis

from loader.consume.asynq_scripts import SENT
from loader.consume.calls import Call, Script, run_calls
from loader.consume.way import HEARTBEAT_SECONDS, Taken
from loader.layouts.task_message import decode, number_field, text_field
from loader.preflight.consumers import SYNTHETIC
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.wire.faults import code_of, from_reply

_TTL = 2 * HEARTBEAT_SECONDS
_SERVERS, _WORKERS = b"asynq:servers", b"asynq:workers"
_REGISTER = Script(SENT["register"])

log = logging.getLogger("runqy_loader")


class AsynqServer:
    """The registration of a consumer of one queue.

    Attributes:
        name: ``host:pid:id``, as it stands in asynq's keys. The id tells that it is no real server.
    """

    def __init__(self, session: Session, queue: str, concurrency: int) -> None:
        self._session = session
        self._queue = queue
        self._concurrency = concurrency
        self._host, self._pid = socket.gethostname() or "unknown-host", os.getpid()
        self._id = f"{SYNTHETIC}{secrets.token_hex(8)}"
        self._started = time.time()
        self._told = False
        self.name = f"{self._host}:{self._pid}:{self._id}"
        self._key = f"asynq:servers:{{{self.name}}}".encode()
        self._workers_key = f"asynq:workers:{{{self.name}}}".encode()

    async def write(self, active: Sequence[Taken], *, stopping: bool) -> None:
        """Writes that the server runs, with the tasks in service. Raises LoaderError."""
        until = b"%d" % (time.time() + _TTL)
        await self._each(ask(b"ZADD", _SERVERS, until, self._key), ask(b"ZADD", _WORKERS, until, self._workers_key))
        described = [part for task in active for part in (task.id, self._worker(task))]
        arguments = (b"%d" % _TTL, self._info(len(active), "closed" if stopping else "active"), *described)
        (reply,) = await run_calls(self._session, [Call(_REGISTER, (self._key, self._workers_key), arguments)])
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply), f"{self._session.address}, key {self._key.decode()}")

    async def clear(self) -> None:
        """Ends the registration. Raises LoaderError."""
        await self._each(
            ask(b"ZREM", _SERVERS, self._key),
            ask(b"ZREM", _WORKERS, self._workers_key),
            ask(b"DEL", self._key, self._workers_key),
        )

    async def _each(self, *questions: Question) -> None:
        for reply in await self._session.values(questions):
            if code_of(reply) == "WRONGTYPE":
                # runqy's workers from before January 2026 keep asynq:workers as a plain set. asynq's server logs this
                # error and goes on; its own key shows that it runs.
                if not self._told:
                    log.warning("%s, key asynq:workers holds another type: not registered there", self._session.address)
                self._told = True
            elif isinstance(reply, hiredis.ReplyError):
                raise from_reply(str(reply), f"{self._session.address}, registration")

    def _info(self, active: int, status: str) -> bytes:
        """``ServerInfo`` (``internal/proto/asynq.proto``)."""
        queue = text_field(1, self._queue.encode()) + number_field(2, 1)
        parts = [
            *self._process(),
            number_field(4, self._concurrency),
            text_field(5, queue),
            text_field(7, status.encode()),
            text_field(8, _timestamp(self._started)),
            number_field(9, active),
        ]
        return b"".join(parts)

    def _worker(self, task: Taken) -> bytes:
        """``WorkerInfo`` (``internal/proto/asynq.proto``)."""
        message = decode(task.data)
        parts = [
            *self._process(),
            text_field(4, task.id),
            text_field(5, message.type.encode()),
            text_field(6, message.payload),
            text_field(7, self._queue.encode()),
            text_field(8, _timestamp(task.started)),
            text_field(9, _timestamp(task.deadline or 0.0)),
        ]
        return b"".join(parts)

    def _process(self) -> tuple[bytes, bytes, bytes]:
        return text_field(1, self._host.encode()), number_field(2, self._pid), text_field(3, self._id.encode())


def _timestamp(moment: float) -> bytes:
    """``google.protobuf.Timestamp``: seconds and nanoseconds."""
    seconds = int(moment)
    return number_field(1, seconds) + number_field(2, int((moment - seconds) * 1e9))
