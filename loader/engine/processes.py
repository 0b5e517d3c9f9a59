"""Distributes the shards of a load to several processes, and adds up their counts.

Each process takes the next shard when it has finished one, so all stay busy to the end. It does not matter which
process loads a shard: the shard's batches, ids and ledger depend only on the plan.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from loader.engine.child_program import child_command, child_environment
from loader.engine.first_records import FirstRecords, too_many
from loader.engine.messages import (
    Begin,
    Counts,
    Ended,
    Judged,
    Log,
    NextShard,
    Ordered,
    Stop,
    Tally,
    Waits,
    pack,
    receive,
)
from loader.engine.part import Part
from loader.errors import LoaderError, SinkError, TooManyRejectsError
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.servers.outage import Outage
from loader.sources.shards import Shard
from loader.wire.faults import RESUME

log = logging.getLogger("runqy_loader")


class ProcessPool:
    """Runs a load in ``count`` processes.

    Args:
        part: The part of every process, except for the process number.
    """

    def __init__(self, part: Part, count: int, report: LoadReport) -> None:
        self._part = part
        self._count = count
        self._report = report
        self._children: list[asyncio.subprocess.Process] = []
        self._ended: list[asyncio.subprocess.Process] = []
        self._tallies: list[Tally] = []
        self._shards: deque[Shard] = deque()
        # The first process judges the first records before the others load anything; see FirstRecords.
        self._judged = not FirstRecords.are_judged(part.options.error_limit) or part.options.dry_run
        self._waiting: list[asyncio.subprocess.Process] = []
        self._outage = Outage()
        self._told: set[str] = set()  # what is told once, although each child says it
        self._failure: LoaderError | None = None
        self._orders = Orders()
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        return sum(tally.waiting for tally in self._tallies)

    def stop(self) -> None:
        """Starts no more work; ``run`` returns when the batches in flight in all processes are acknowledged."""
        self._stopping = True
        self._go_on()
        for child in self._children:
            _send(child, Stop())

    def order(self, orders: Orders) -> None:
        """Pauses all processes, lets them go on, or gives each its part of a rate."""
        self._orders = orders
        working = [child for child in self._children if child not in self._ended]
        for child in working:
            _send(child, Ordered(orders.shared(max(1, self._count - len(self._ended)))))

    async def run(self, shards: Sequence[Shard]) -> bool:
        """Loads the shards. Returns whether every record was processed.

        Raises:
            LoaderError: The first failure of a process, after the others have finished their batches in flight.
        """
        self._shards.extend(shards)
        try:
            async with asyncio.TaskGroup() as group:
                children = [group.create_task(self._child(number)) for number in range(1, self._count + 1)]
        finally:
            for child in self._children:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if self._failure is not None:
            raise self._failure
        report, limit = self._report, self._part.options.error_limit
        complete = all(child.result() for child in children) and not self._shards
        if complete and limit.is_exceeded(report.rejected, report.records_read, all_read=True):
            raise self._too_many()
        return complete

    async def _child(self, number: int) -> bool:
        child = await asyncio.create_subprocess_exec(
            *child_command("loader.engine.child"),
            env=child_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # only the parent gets Ctrl-C; it sends Stop to the children
        )
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        tally = Tally(self._report)
        self._children.append(child)
        self._tallies.append(tally)
        _send(child, Begin(replace(self._part, process=number), log.getEffectiveLevel(), self._report.resumed))
        if self._orders != Orders():
            self.order(self._orders)
        if self._stopping:
            _send(child, Stop())
        while (message := await receive(child.stdout)) is not None:
            if isinstance(message, Counts):
                tally.add(message)
                self._check_rejects()
            elif isinstance(message, NextShard):
                if number == 1 or self._judged:
                    self._give_shard(child)
                else:
                    self._waiting.append(child)
            elif isinstance(message, Judged):
                self._go_on()
            elif isinstance(message, Log):
                if message.once not in self._told:
                    log.log(message.level, "%s", message.text)
                if message.once:
                    self._told.add(message.once)
            elif isinstance(message, Waits):
                self._outage.relay(message.waiting)
            elif isinstance(message, Ended):
                if message.error is not None:
                    self._fail(message.error)
                await child.wait()
                self._ended.append(child)
                if self._orders.rate is not None:
                    self.order(self._orders)  # the others share its part
                return message.complete
        status = await child.wait()
        if status == -signal.SIGTERM:
            # A service manager signals all processes of the service, and this one was just starting.
            log.warning("loader process %d was ended by SIGTERM", number)
            self.stop()
            return False
        self._fail(SinkError(f"loader process {number} ended unexpectedly (status {status})", RESUME.capitalize()))
        return False

    def _give_shard(self, child: asyncio.subprocess.Process) -> None:
        _send(child, NextShard(self._shards.popleft() if self._shards and not self._stopping else None))

    def _go_on(self) -> None:
        """Lets the processes load that have waited for the judgement of the first records."""
        self._judged = True
        waiting, self._waiting = self._waiting, []
        for child in waiting:
            self._give_shard(child)

    def _check_rejects(self) -> None:
        report = self._report
        if self._judged and self._part.options.error_limit.is_exceeded(report.rejected, report.records_read):
            self._fail(self._too_many())

    def _too_many(self) -> TooManyRejectsError:
        report, limit = self._report, self._part.options.error_limit
        return too_many(report, limit, report.last_reject, ", by all processes together")

    def _fail(self, error: LoaderError) -> None:
        if self._failure is None:
            self._failure = error
            self.stop()


def _send(child: asyncio.subprocess.Process, message: object) -> None:
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    if not child.stdin.is_closing():
        child.stdin.write(pack(message))
