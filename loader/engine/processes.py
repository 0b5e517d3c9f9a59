"""Distributes the shards of a load to several processes, and adds up their counts.

Each process takes the next shard when it has finished one, so all stay busy to the end. It does not matter which
process loads a shard: the shard's batches, ids and ledger depend only on the plan.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from loader.engine.messages import Begin, Counts, Ended, Log, NextShard, Stop, Tally, Waits, pack, receive
from loader.engine.part import Part
from loader.errors import LoaderError, SinkError, TooManyRejectsError
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
        self._tallies: list[Tally] = []
        self._shards: deque[Shard] = deque()
        self._outage = Outage()
        self._failure: LoaderError | None = None
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        return sum(tally.waiting for tally in self._tallies)

    def stop(self) -> None:
        """Starts no more work; ``run`` returns when the batches in flight in all processes are acknowledged."""
        self._stopping = True
        for child in self._children:
            _send(child, Stop())

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
        return all(child.result() for child in children) and not self._shards

    async def _child(self, number: int) -> bool:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "loader.engine.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # only the parent gets Ctrl-C; it sends Stop to the children
        )
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        tally = Tally(self._report)
        self._children.append(child)
        self._tallies.append(tally)
        _send(child, Begin(replace(self._part, process=number), log.getEffectiveLevel()))
        if self._stopping:
            _send(child, Stop())
        while (message := await receive(child.stdout)) is not None:
            if isinstance(message, Counts):
                tally.add(message)
                self._check_rejects()
            elif isinstance(message, NextShard):
                _send(child, NextShard(self._shards.popleft() if self._shards and not self._stopping else None))
            elif isinstance(message, Log):
                log.log(message.level, "%s", message.text)
            elif isinstance(message, Waits):
                self._outage.relay(message.waiting)
            elif isinstance(message, Ended):
                if message.error is not None:
                    self._fail(message.error)
                await child.wait()
                return message.complete
        status = await child.wait()
        self._fail(SinkError(f"loader process {number} ended unexpectedly (status {status})", RESUME.capitalize()))
        return False

    def _check_rejects(self) -> None:
        limit = self._part.options.max_errors
        if limit is not None and self._report.rejected > limit:
            self._fail(
                TooManyRejectsError(
                    f"{self._report.last_reject}; more than --max-errors {limit} "
                    f"record{'' if limit == 1 else 's'} rejected, by all processes together",
                    "Raise --max-errors to go on: bad records are set aside, to be corrected and loaded separately",
                )
            )

    def _fail(self, error: LoaderError) -> None:
        if self._failure is None:
            self._failure = error
            self.stop()


def _send(child: asyncio.subprocess.Process, message: object) -> None:
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    if not child.stdin.is_closing():
        child.stdin.write(pack(message))
