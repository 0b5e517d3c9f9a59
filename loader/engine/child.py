"""A loader process with a parent process: ``python -m loader.engine.child``. See ``loader.engine.processes``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator

from loader.engine.loop import loop_factory
from loader.engine.messages import Begin, Counts, Ended, Judged, Log, NextShard, Ordered, Stop, Waits, pack, receive
from loader.engine.part import Part, PartialLoad
from loader.engine.tuning import tune_process
from loader.errors import LoaderError
from loader.jobs.counts import SourceCounts
from loader.jobs.report import LoadReport, SourceReport
from loader.sources.shards import Shard

_COUNTS_SECONDS = 0.1


class _Child:
    def __init__(self, part: Part, inbox: asyncio.StreamReader, out: int, *, resumed: bool) -> None:
        sources = [SourceReport(s.identity.name, s.identity.format, s.identity.size) for s in part.sources]
        self._report = LoadReport(part.job, part.options.layout_name, sources, dry_run=part.options.dry_run)
        self._report.resumed = resumed
        self._load = PartialLoad(part, self._report, lambda: self.send(Judged()))
        self._inbox = inbox
        self._out = out
        self._shards: asyncio.Queue[Shard | None] = asyncio.Queue()
        self._last_counts: dict[int, SourceCounts] = {}

    def send(self, message: object) -> None:
        data = memoryview(pack(message))
        while data:
            data = data[os.write(self._out, data) :]

    async def run(self) -> None:
        listening = asyncio.create_task(self._listen())
        sending = asyncio.create_task(self._send_counts_regularly())
        complete, failure = False, None
        try:
            complete = await self._load.run(self._wanted_shards())
        except LoaderError as error:
            failure = error
        sending.cancel()
        listening.cancel()
        self._send_counts()
        self.send(Ended(complete, failure))

    async def _wanted_shards(self) -> AsyncGenerator[Shard, None]:
        while True:
            self.send(NextShard())
            shard = await self._shards.get()
            if shard is None:
                return
            yield shard

    async def _listen(self) -> None:
        while (message := await receive(self._inbox)) is not None:
            if isinstance(message, Stop):
                self._load.stop()
            elif isinstance(message, Ordered):
                self._load.order(message.orders)
            elif isinstance(message, NextShard):
                self._shards.put_nowait(message.shard)
        # The parent is gone. The ledger has all batches that are in; a resume loads the rest.
        os._exit(1)

    async def _send_counts_regularly(self) -> None:
        while True:
            await asyncio.sleep(_COUNTS_SECONDS)
            self._send_counts()

    def _send_counts(self) -> None:
        now = {index: source.counts for index, source in enumerate(self._report.sources)}
        changed = {index: counts for index, counts in now.items() if counts != self._last_counts.get(index)}
        self._last_counts.update(changed)
        self.send(Counts.of(self._report, changed, self._load.batches_waiting))


class _Forward(logging.Handler):
    def __init__(self, child: _Child) -> None:
        super().__init__()
        self._child = child

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "waiting"):
            self._child.send(Waits(record.waiting))  # the parent tells it, once for all processes
        else:
            self._child.send(Log(record.levelno, record.getMessage(), getattr(record, "once", "")))


async def _main() -> None:
    inbox = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(inbox), sys.stdin.buffer)
    begin = await receive(inbox)
    if not isinstance(begin, Begin):
        return  # the parent is gone already
    child = _Child(begin.part, inbox, sys.stdout.fileno(), resumed=begin.resumed)
    log = logging.getLogger("runqy_loader")
    log.setLevel(begin.log_level)
    log.propagate = False
    log.addHandler(_Forward(child))
    await child.run()


def main() -> None:
    # A service manager sends SIGTERM to all processes of the service. The parent handles it and sends Stop.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tune_process()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
