"""Delivers batches to Redis over pipelined connections, exactly once.

The hashes of a batch are written first. Once all their replies are known to be good, one small script pushes the ids
and marks the batch. With ids from the user, one script does everything, because no hash may be written for an id that
is taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial

import hiredis

from loader.errors import LoaderError, SinkError, TransientError
from loader.jobs.lease import Lease
from loader.jobs.ledger import QueueLedger, batches_key, is_set, parse_skipped
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import Dumps
from loader.layouts.registry import encoder_for
from loader.servers.replicas import ReplicaLag
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer, is_pipelined
from loader.sinks.connections import Admit, Connections
from loader.sinks.lanes import Lanes
from loader.sinks.oversized import Oversized
from loader.sinks.replicated import Replicated
from loader.sinks.replies import DumpRefusedError, check_script, outcome_of
from loader.sinks.scattered import scatter
from loader.sinks.turns import Turn, Turns
from loader.tasks.reasons import Reason
from loader.wire.connection import Connection, Reply
from loader.wire.faults import from_reply, translated

log = logging.getLogger("runqy_loader")


async def list_queue(servers: Servers, key: str, queue: str) -> None:
    """Adds a queue to the set of queues, for programs that list them."""
    with translated(f"{servers}, key {key}"):
        await servers.client_of(key).execute("SADD", key, queue)


class RedisSink:
    """Encoders, ledgers and settings that the workers of a load share.

    Args:
        compact: Which tasks are dumped, and how; None for no dumps.
        fenced: Whether runs of shards have claims; see ``loader.jobs.claims``. Then the sink stays open for many runs
            of shards, and keeps connections from one to the next.
    """

    def __init__(
        self,
        servers: Servers,
        options: LoadOptions,
        job: str,
        lease: Lease,
        *,
        compact: Dumps | None = None,
        fenced: bool = False,
    ) -> None:
        self.servers = servers
        self.options = options
        self.lease = lease
        self.progressed_at = time.monotonic()
        self.patience = Patience.of(options.retry_seconds, full=options.waits_for_memory)
        self.replicated = Replicated(options)
        self.lag = ReplicaLag(servers, options.max_replica_lag or 0)
        self.job = job
        self.fenced = fenced
        self._idle: list[Connections] = []
        self._compact = compact
        self._told = False
        self._encoders: dict[str, QueueEncoder] = {}
        self._ledgers: dict[tuple[str, int], QueueLedger] = {}
        self._acknowledged: dict[tuple[str, int], list[int]] = {}  # numbers of batches, by queue and shard

    def encoder(self, queue: str) -> QueueEncoder:
        """The encoder of a queue (full name), made at first use."""
        if queue not in self._encoders:
            self._encoders[queue] = encoder_for(
                self.options, queue, cluster=self.servers.is_cluster, compact=self._compact
            )
        return self._encoders[queue]

    def write_by_hset(self) -> None:
        """Writes no more dumps: the server takes them no longer. A failover, for example, may lead to an older one."""
        if self._compact:
            self._compact = None
            self._encoders.clear()
            before, self._ledgers = self._ledgers, {}
            for (queue, shard), ledger in before.items():
                self.ledger(queue, shard).claim = ledger.claim

    def tell(self, refusal: DumpRefusedError) -> None:
        """Says once that tasks are no longer written as dumps: when one has been written by HSET, so that it helped."""
        if not self._told:
            self._told = True
            log.warning("%s", refusal, extra={"once": "tasks go by HSET"})  # once for all processes

    def ledger(self, queue: str, shard: int) -> QueueLedger:
        """The ledger of a queue (full name) for a shard, made at first use."""
        if (queue, shard) not in self._ledgers:
            self._ledgers[queue, shard] = QueueLedger(self.job, self.encoder(queue), shard, fenced=self.fenced)
        return self._ledgers[queue, shard]

    def acknowledged(self, delivery: Delivery) -> None:
        """Notes that this batch is in: the server has acknowledged it, or the ledger says so."""
        self._acknowledged.setdefault((delivery.queue, delivery.batch.shard), []).append(delivery.batch.number)

    def note_acknowledged(self, queue: str, shard: int, batches: Sequence[int]) -> None:
        """Notes batches of another process that are in."""
        self._acknowledged.setdefault((queue, shard), []).extend(batches)

    def take_acknowledged(self, shard: int) -> dict[str, list[int]]:
        """The numbers of the batches of a shard that are in, by queue. The sink forgets the shard."""
        for key in [key for key in self._ledgers if key[1] == shard]:
            del self._ledgers[key]
        queues = [queue for queue, number in self._acknowledged if number == shard]
        return {queue: self._acknowledged.pop((queue, shard)) for queue in queues}

    async def connections(self, admit: Admit | None) -> Connections:
        """Connections for a session: new ones, or idle ones of an earlier run of a shard.

        Args:
            admit: See ``Connections``.
        """
        while self._idle:
            idle = self._idle.pop()
            try:
                if idle.are_usable:
                    return await idle.handed_to(admit)
            except BaseException:
                idle.abort()
                raise
            idle.abort()
        return Connections(self.servers, self.lease, self.options.timeout, admit)

    async def give_back(self, connections: Connections) -> None:
        """Closes the connections of a session that has ended in order, or keeps them for the next run of a shard."""
        if self.fenced:
            self._idle.append(connections)
        else:
            await connections.close()

    async def close(self) -> None:
        """Closes idle connections."""
        while self._idle:
            await self._idle.pop().close()

    async def confirm(self) -> None:
        """Checks that the server still has every batch: it may have lost its last seconds, or everything, since then.

        This covers the batches that were in before the run as well. The queues are listed again, if they are no more.

        Raises:
            SinkError: The server has lost some of it.
        """
        if self.servers.address.sentinels is not None:
            await self.servers.reconnect()  # to the server that Sentinel names now
        noted = list(self._acknowledged.items())
        for queue in {queue: None for (queue, _), _ in noted}:
            if key := self.encoder(queue).queues_key:
                await list_queue(self.servers, key, queue)
        keys = [batches_key(self.encoder(queue).slot_tag, self.job, shard) for (queue, shard), _ in noted]
        bitmaps = await ask_each(self.servers, [("GET", key) for key in keys])
        lost = sum(
            not is_set(bitmap or b"", number)
            for bitmap, (_, numbers) in zip(bitmaps, noted, strict=True)
            for number in numbers
        )
        if lost:
            raise SinkError(
                f"{self.servers} has lost {lost:,} batches that it had acknowledged: it was restarted, or failed over, "
                "without its last data",
                "Run the same command again: it loads what is missing",
            )

    async def work(self, feed: Feed, observer: Observer, admit: Admit | None = None) -> None:
        """Runs one pipeline worker until its feed ends.

        Args:
            admit: See ``Connections``.

        Raises:
            SinkError: Redis refuses, or a transient fault outlasted ``retry_for``.
        """
        await _Worker(self, feed, observer, admit).run()


class _Worker:
    def __init__(self, sink: RedisSink, feed: Feed, observer: Observer, admit: Admit | None) -> None:
        self._admit = admit
        self._sink = sink
        self._feed = feed
        self._observer = observer
        self._unfinished: dict[Delivery, None] = {}  # in the order in which they were taken
        self._acknowledged = 0
        self._exhausted = False
        self._sent = False
        self._oversized = Oversized(observer)
        self._lost_connections: dict[str, None] = {}  # names of connections that the server may still hold open

    async def run(self) -> None:
        while not (self._exhausted and not self._unfinished):
            # The retries end with the first session that makes progress, and progress of another worker counts as well.
            # So retry_for limits the time without progress, not the length of the load.
            patience = self._sink.patience
            lost = await retry(self._session, patience, progressed_at=lambda: self._sink.progressed_at)
            if lost is not None:
                patience.outage.begins(lost, patience.seconds)

    async def _session(self) -> TransientError | None:
        """Works over one set of connections until the feed ends, a connection is lost, or the server refuses.

        Returns:
            The fault that ended the session after the server had acknowledged some deliveries; None at the end.

        Raises:
            TransientError: The same, before the server acknowledged any delivery of this session.
        """
        before, self._sent = self._acknowledged, False
        connections = await self._sink.connections(self._admit)
        try:
            await self._settle(connections)
            await self._deliver_all(connections)
            await self._sink.give_back(connections)
        except BaseException as caught:
            error = _first(caught, self._sink.patience)
            connections.abort()
            self._sink.lease.doubt()
            if self._unfinished:
                self._lost_connections |= dict.fromkeys(connections.names)
            progress = self._acknowledged > before
            if isinstance(error, LoaderError):
                error = await self._oversized.judge(error, self._unfinished, sent=self._sent and not progress)
            if progress and isinstance(error, TransientError) and self._sink.patience.covers(error):
                return error
            raise error from None
        return None

    async def _settle(self, connections: Connections) -> None:
        """After a lost connection, finds out which deliveries are in. The others can then be sent again safely."""
        if not self._lost_connections:
            return
        await self._sink.lease.reconnect()
        await self._sink.lease.renew()
        await self._sink.lease.fence(self._lost_connections)
        for delivery in list(self._unfinished):
            ledger = self._sink.ledger(delivery.queue, delivery.batch.shard)
            connection = await connections.to(ledger.batches_key)
            is_in, skipped = await connection.call(ledger.is_loaded(delivery.batch.number), replies=2)
            for reply in (is_in, skipped):
                _check(reply, "reading the ledger")
            # An insert script is sent again later instead: its reply names the tasks that it skipped.
            if is_in == 1 and is_pipelined(delivery, self._sink.encoder(delivery.queue)):
                if self._sink.replicated:
                    # This connection has written nothing yet, and only what it has written is waited for.
                    (reply,) = await connection.call(ledger.touch(delivery.batch.number, delivery.checksum), replies=1)
                    _check(reply, "writing the ledger")
                    await self._sink.replicated.all([connection], str(self._sink.servers))
                await self._skip(delivery, parse_skipped(skipped or b""))
                self._done(delivery)
        self._lost_connections.clear()

    async def _deliver_all(self, connections: Connections) -> None:
        servers, options = self._sink.servers, self._sink.options
        lanes = Lanes(len(servers.primaries()), scattered=options.layout_name == "documented")
        turns = Turns() if options.workers == 1 else None  # several workers keep no order
        async with asyncio.TaskGroup() as group:

            async def begin(delivery: Delivery) -> None:
                # The asyncio tasks run, up to their first write, in the order in which they are made, and none has to
                # wait for its connection. With turns, one worker keeps the order of the deliveries.
                connection = await connections.to(self._sink.encoder(delivery.queue).pending_key)
                turn = turns.next(delivery.queue) if turns is not None else None
                lanes.hold(delivery)
                group.create_task(self._deliver(connections, connection, delivery, lanes, turn))

            for delivery in list(self._unfinished):
                await lanes.room()
                await begin(delivery)
            while not self._exhausted:
                await lanes.room()
                await self._sink.lag.below(lambda: self._observer.is_stopping)
                following = await self._feed()
                if following is None:
                    self._exhausted = True
                    break
                if not self._unfinished:  # until now there was nothing to do, which is no lack of progress
                    self._sink.progressed_at = time.monotonic()
                self._sink.lag.sent(following.size)
                self._unfinished[following] = None
                await begin(following)

    async def _deliver(
        self,
        connections: Connections,
        connection: Connection,
        delivery: Delivery,
        lanes: Lanes,
        turn: Turn | None,
    ) -> None:
        await lanes.enter(connection, delivery)
        self._sent = True
        try:
            await self._write(connections, connection, delivery, turn)
        except DumpRefusedError as refusal:
            self._sink.write_by_hset()
            if turn is not None:
                turn.begins_again()
            await self._write(connections, connection, delivery, turn)
            self._sink.tell(refusal)
        if turn is not None:
            turn.ends()
        lanes.leave(connection, delivery)

    async def _write(
        self, connections: Connections, connection: Connection, delivery: Delivery, turn: Turn | None
    ) -> None:
        if is_pipelined(delivery, self._sink.encoder(delivery.queue)):
            await self._write_and_commit(connections, connection, delivery, turn)
        else:
            await self._insert(connections, connection, delivery, turn)

    async def _write_and_commit(
        self, connections: Connections, connection: Connection, delivery: Delivery, turn: Turn | None
    ) -> None:
        batch = delivery.batch
        encoder, ledger = self._sink.encoder(delivery.queue), self._sink.ledger(delivery.queue, batch.shard)
        refused: dict[int, Reason] = {}
        delivery.compact = 0
        if encoder.on_other_slots:
            refused = await self._scatter(connections, delivery, encoder)
        if encoder.commands_a_task:
            commands = encoder.write_tasks(delivery.id_prefix, delivery.ids, delivery.payloads)
            replies = await connection.call(commands, replies=len(delivery.payloads) * encoder.commands_a_task)
            outcome = outcome_of(replies, encoder, partial(_place, encoder, delivery), encoder.commands_a_task)
            if outcome.existing:
                # The script does what else a race could spoil: it replaces the hashes only if the batch is not in yet.
                await self._insert(connections, connection, delivery, turn)
                return
            refused |= outcome.refused
            delivery.compact += outcome.dumped
        await self._skip(delivery, refused)
        ids = delivery.ids
        if delivery.skipped:
            ids = [suffix for position, suffix in enumerate(ids) if position not in delivery.skipped]
        commands = ledger.commit(
            batch.number, delivery.checksum, delivery.id_prefix, ids, delivery.skipped, delivery.entry
        )
        if turn is not None:
            await turn.come(dumps=False)
        (reply,) = await connection.call(commands, replies=1)
        _check(reply, _keys(encoder, ledger))
        await self._sink.replicated.all(connections.opened(), str(self._sink.servers))
        self._done(delivery)

    async def _scatter(self, connections: Connections, delivery: Delivery, encoder: QueueEncoder) -> dict[int, Reason]:
        return await scatter(self._sink.servers, connections, delivery, encoder, partial(_place, encoder, delivery))

    async def _insert(
        self, connections: Connections, connection: Connection, delivery: Delivery, turn: Turn | None
    ) -> None:
        batch = delivery.batch
        encoder, ledger = self._sink.encoder(delivery.queue), self._sink.ledger(delivery.queue, batch.shard)
        tasks = encoder.insert_arguments(delivery.whole_ids, delivery.payloads, delivery.options)
        made = bool(delivery.id_prefix)
        commands = ledger.insert_encoded(batch.number, delivery.checksum, tasks, made=made, records=delivery.entry)
        if encoder.on_other_slots:
            await self._scatter(connections, delivery, encoder)
        if turn is not None:
            await turn.come(dumps=encoder.count_dumps(tasks, ()) > 0)
        (reply,) = await connection.call(commands, replies=1)
        check_script(reply, encoder, _keys(encoder, ledger))
        await self._sink.replicated.all(connections.opened(), str(self._sink.servers))
        skipped = parse_skipped(reply)
        delivery.compact = encoder.count_dumps(tasks, skipped)
        try:
            await self._skip(delivery, skipped)
        finally:
            self._done(delivery)  # the other tasks are in, even if the skipped ones are too many

    async def _skip(self, delivery: Delivery, positions: Mapping[int, Reason]) -> None:
        # After a resend, some were reported already.
        new = {position: why for position, why in positions.items() if position not in delivery.skipped}
        if new:
            delivery.skipped |= new
            await self._observer.skipped(delivery, new)

    def _done(self, delivery: Delivery) -> None:
        del self._unfinished[delivery]
        self._acknowledged += 1
        self._sink.acknowledged(delivery)
        self._sink.progressed_at = time.monotonic()
        if self._sink.patience.outage.is_on:
            self._sink.patience.outage.over()
        self._observer.loaded(delivery)


def _place(encoder: QueueEncoder, delivery: Delivery, position: int) -> str:
    """The queue and the key of a task, for errors."""
    key = encoder.task_key(delivery.id_prefix + delivery.ids[position])
    return f"queue {delivery.queue}, key {key.decode()}"


def _keys(encoder: QueueEncoder, ledger: QueueLedger) -> str:
    """The keys that a script writes, for errors: the server may have refused any of them."""
    job = ledger.batches_key.decode().rpartition(":")[0]
    return f"keys {encoder.pending_key.decode()} and {job}:*"


def _check(reply: Reply, where: str) -> None:
    if isinstance(reply, hiredis.ReplyError):
        raise from_reply(str(reply), where)


def _first(caught: BaseException, patience: Patience) -> BaseException:
    """The error to act on. In a group of errors, one that a retry cannot solve comes first."""
    if not isinstance(caught, BaseExceptionGroup):
        return caught
    errors = [_first(inner, patience) for inner in caught.exceptions]
    return min(errors, key=lambda error: (patience.covers(error), not isinstance(error, LoaderError)))
