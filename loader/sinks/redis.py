"""Delivers batches to Redis over pipelined connections, exactly once.

Of each batch, the hashes are written first; once every one of their replies is known to be good, one small script
pushes the ids and marks the batch. With ids from the user, one script does it all, as an id that is taken must not be
written.
"""

from __future__ import annotations

import asyncio
import logging
import time

import hiredis

from loader.errors import LoaderError, TransientError
from loader.layouts.base import QueueEncoder
from loader.layouts.registry import encoder_for
from loader.lease import Lease
from loader.ledger import QueueLedger
from loader.retry import patiently
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.faults import from_reply

IN_FLIGHT = 2
"""Deliveries on the way per connection: the server works on one while the client writes the next."""

log = logging.getLogger("runqy_loader")


class RedisSink:
    """Encoders, ledgers and settings common to the workers of a load."""

    def __init__(self, address: Address, options: LoadOptions, job: str, lease: Lease) -> None:
        self.address = address
        self.options = options
        self.lease = lease
        self.progressed_at = time.monotonic()
        self._job = job
        self._encoders: dict[str, QueueEncoder] = {}
        self._ledgers: dict[tuple[str, int], QueueLedger] = {}

    def encoder(self, queue: str) -> QueueEncoder:
        """Encoder of a queue (full name), made at first use."""
        if queue not in self._encoders:
            self._encoders[queue] = encoder_for(self.options, queue)
        return self._encoders[queue]

    def ledger(self, queue: str, shard: int) -> QueueLedger:
        """Ledger of a queue (full name) for a shard, made at first use."""
        if (queue, shard) not in self._ledgers:
            self._ledgers[queue, shard] = QueueLedger(self._job, self.encoder(queue), shard)
        return self._ledgers[queue, shard]

    async def work(self, feed: Feed, observer: Observer) -> None:
        """Runs one pipeline worker until its feed ends.

        Raises:
            SinkError: Redis refuses, or a transient fault outlasted ``retry_for``.
        """
        await _Worker(self, feed, observer).run()


class _Worker:
    def __init__(self, sink: RedisSink, feed: Feed, observer: Observer) -> None:
        self._sink = sink
        self._feed = feed
        self._observer = observer
        self._unfinished: dict[Delivery, None] = {}  # in the order in which they were taken
        self._acknowledged = 0
        self._exhausted = False
        self._lost_connections: dict[str, None] = {}  # names of those that may still be alive on the server

    async def run(self) -> None:
        while not (self._exhausted and not self._unfinished):
            # It ends with the first session that makes progress, and another worker's progress counts as well: so
            # retry_for bounds the time without any, not the length of the load.
            retry_for = self._sink.options.retry_for
            await patiently(self._session, retry_for, progressed_at=lambda: self._sink.progressed_at)

    async def _session(self) -> None:
        """Works over one connection until the feed ends or the connection does.

        Raises:
            TransientError: The connection was lost before anything was acknowledged over it.
        """
        before = self._acknowledged
        name = self._sink.lease.next_connection_name()
        connection: Connection | None = None
        try:
            connection = await Connection.open(self._sink.address, name, self._sink.options.timeout)
            await self._settle(connection)
            await self._deliver_all(connection)
            await connection.close()
        except BaseException as caught:
            error = _first(caught)
            if connection is not None:
                connection.abort()
                if self._unfinished:
                    self._lost_connections[name] = None
            if not isinstance(error, TransientError) or self._acknowledged == before:
                raise error from None
            log.warning("%s; reconnecting", error)

    async def _settle(self, connection: Connection) -> None:
        """After a lost connection: finds out which deliveries are in. The others are safe to send again."""
        if not self._lost_connections:
            return
        await self._sink.lease.reconnect()
        await self._sink.lease.renew()
        await self._sink.lease.fence(self._lost_connections)
        for delivery in list(self._unfinished):
            ledger = self._sink.ledger(delivery.queue, delivery.batch.shard)
            (is_in,) = await connection.call(ledger.is_loaded(delivery.batch.number), replies=1)
            _check(is_in, "reading the ledger")
            # What was committed with ids from the user is asked again below: the script's answer names what it skipped.
            if is_in == 1 and delivery.id_prefix:
                self._done(delivery)
        self._lost_connections.clear()

    async def _deliver_all(self, connection: Connection) -> None:
        slots = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            for delivery in list(self._unfinished):
                await slots.acquire()
                group.create_task(self._deliver(connection, delivery, slots))
            while not self._exhausted:
                await slots.acquire()
                following = await self._feed()
                if following is None:
                    self._exhausted = True
                    break
                self._unfinished[following] = None
                # Tasks run in the order in which they are made, up to their first write: one worker keeps the order.
                group.create_task(self._deliver(connection, following, slots))

    async def _deliver(self, connection: Connection, delivery: Delivery, slots: asyncio.Semaphore) -> None:
        if delivery.id_prefix:
            await self._write_and_commit(connection, delivery)
        else:
            await self._insert(connection, delivery)
        slots.release()

    async def _write_and_commit(self, connection: Connection, delivery: Delivery) -> None:
        batch = delivery.batch
        encoder, ledger = self._sink.encoder(delivery.queue), self._sink.ledger(delivery.queue, batch.shard)
        replies = await connection.call(
            encoder.write_tasks(delivery.id_prefix, delivery.ids, delivery.payloads), replies=len(delivery.payloads)
        )
        ids = delivery.ids
        await self._skip(delivery, self._refused(delivery, encoder, replies))
        if delivery.skipped:
            gone = set(delivery.skipped)
            ids = [suffix for position, suffix in enumerate(ids) if position not in gone]
        commands = ledger.commit(batch.number, batch.checksum, delivery.id_prefix, ids, delivery.skipped)
        (reply,) = await connection.call(commands, replies=1)
        _check(reply, f"queue {delivery.queue}, key {encoder.pending_key.decode()}")
        self._done(delivery)

    def _refused(self, delivery: Delivery, encoder: QueueEncoder, replies: list[Reply]) -> list[int]:
        """Positions of tasks whose key holds something else. Any other error reply fails the delivery."""
        if set(map(type, replies)) <= {int}:  # hot path: a C loop, 20 ns a task
            return []
        refused: list[int] = []
        for position, reply in enumerate(replies):
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE"):
                refused.append(position)
            else:
                key = encoder.task_key(delivery.id_prefix + delivery.ids[position])
                _check(reply, f"queue {delivery.queue}, key {key.decode()}")
        return refused

    async def _insert(self, connection: Connection, delivery: Delivery) -> None:
        batch = delivery.batch
        encoder, ledger = self._sink.encoder(delivery.queue), self._sink.ledger(delivery.queue, batch.shard)
        commands = ledger.insert(batch.number, batch.checksum, delivery.ids, delivery.payloads)
        (reply,) = await connection.call(commands, replies=1)
        _check(reply, f"queue {delivery.queue}, key {encoder.pending_key.decode()}")
        try:
            await self._skip(delivery, [int(position) for position in reply.split(b",")] if reply else [])
        finally:
            self._done(delivery)  # the others are in, also where these are too many

    async def _skip(self, delivery: Delivery, positions: list[int]) -> None:
        new = [position for position in positions if position not in delivery.skipped]  # a resend may meet them again
        if new:
            delivery.skipped += new
            await self._observer.skipped(delivery, new)

    def _done(self, delivery: Delivery) -> None:
        del self._unfinished[delivery]
        self._acknowledged += 1
        self._sink.progressed_at = time.monotonic()
        self._observer.loaded(delivery)


def _check(reply: Reply, where: str) -> None:
    if isinstance(reply, hiredis.ReplyError):
        raise from_reply(str(reply), where)


def _first(caught: BaseException) -> BaseException:
    """The error to act on: of a task group's, one that no retry mends, if there is one."""
    if not isinstance(caught, BaseExceptionGroup):
        return caught
    errors = [_first(inner) for inner in caught.exceptions]
    return min(errors, key=lambda error: (isinstance(error, TransientError), not isinstance(error, LoaderError)))
