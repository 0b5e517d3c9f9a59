"""A pipeline to be tested: with a real source, and with what the test gives for a worker and for the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from loader.engine.assign import Assigner
from loader.engine.handover import Handover
from loader.engine.pipeline import Pipeline
from loader.jobs.ids_file import IdsFile
from loader.jobs.ledger import LedgerState
from loader.jobs.rejects import RejectsFile
from loader.jobs.report import LoadReport, SourceReport
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer, Worker
from loader.sources.iterable import IterablePayloads, Payload
from loader.sources.shards import Piece, Shard

T = TypeVar("T")

Q = "q.default"
LONG = 600.0
"""Seconds that no test waits."""

Deliver = Callable[[Delivery, Observer], Awaitable[None]]


async def take(delivery: Delivery, observer: Observer) -> None:
    """Delivers at once."""
    observer.loaded(delivery)


def take_into(taken: list[bytes]) -> Deliver:
    """Delivers at once, and notes the payloads."""

    async def deliver(delivery: Delivery, observer: Observer) -> None:
        taken.extend(delivery.payloads)
        observer.loaded(delivery)

    return deliver


def worker_that(deliver: Deliver) -> Worker:
    async def work(feed: Feed, observer: Observer) -> None:
        while (delivery := await feed()) is not None:
            await deliver(delivery, observer)

    return work


@dataclass
class Bench:
    """A pipeline of one source, a batch a record unless told otherwise.

    Attributes:
        asked: Queue and shard of which the ledger's state was asked.
        states: What the ledger holds, by queue; nothing where a queue is not in it.
    """

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    states: dict[str, LedgerState] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    ids: IdsFile | None = None
    handover: Handover | None = None
    _opened: list[RejectsFile] = field(default_factory=list)

    def pipeline(
        self, payloads: Iterable[Payload] | AsyncIterable[Payload], worker: Worker | None
    ) -> tuple[Pipeline, LoadReport]:
        options = LoadOptions(**{"queue": "q", "batch_size": 1, "workers": 1, **self.options})
        source = IterablePayloads(payloads)
        report = LoadReport(job="j", layout="documented", sources=[SourceReport("payloads", "payloads", None)])
        assigner = Assigner(options, "j", [(0, source.identity.digest)], None)
        rejects = RejectsFile(self.folder / "rejects.jsonl")
        self._opened.append(rejects)
        pipeline = Pipeline(
            [source],
            _one_shard(),
            options,
            assigner,
            rejects,
            report,
            worker,
            self._state_of,
            self.ids,
            handover=self.handover,
        )
        return pipeline, report

    async def _state_of(self, queue: str, shard: int) -> LedgerState:
        self.asked.append((queue, shard))
        return self.states.get(queue, LedgerState())

    def run(self, payloads: Iterable[Payload] | AsyncIterable[Payload], worker: Worker | None) -> LoadReport:
        """Runs it to its end."""

        async def run() -> LoadReport:
            pipeline, report = self.pipeline(payloads, worker)
            await pipeline.run()
            assert pipeline.complete
            return report

        return self.drive(run())

    def fail(
        self, payloads: Iterable[Payload] | AsyncIterable[Payload], worker: Worker | None
    ) -> tuple[BaseException, LoadReport, Pipeline]:
        """Runs it until it fails: with what, and what had been done by then."""

        async def run() -> tuple[BaseException, LoadReport, Pipeline]:
            pipeline, report = self.pipeline(payloads, worker)
            try:
                await pipeline.run()
            except Exception as error:
                return error, report, pipeline
            raise AssertionError("it did not fail")

        return self.drive(run())

    def drive(self, steps: Coroutine[Any, Any, T]) -> T:
        """Runs a test's steps in an event loop of their own, and closes what the pipeline leaves open there."""

        async def run() -> T:
            try:
                return await steps
            finally:
                for file in self._opened:
                    file.close()

        return asyncio.run(run())

    @property
    def rejects(self) -> list[dict[str, Any]]:
        path = self.folder / "rejects.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


async def _one_shard() -> AsyncIterator[Shard]:
    yield Shard(0, (Piece(0, 0, None),))


async def settled() -> None:
    """Lets everything run that can."""
    for _ in range(100):
        await asyncio.sleep(0)


class Gate:
    """A worker's step that stands still until it is opened.

    Attributes:
        begun, done: The payloads of deliveries.
    """

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.done: list[bytes] = []
        self.opened = asyncio.Event()

    async def __call__(self, delivery: Delivery, observer: Observer) -> None:
        self.begun += delivery.payloads
        await self.opened.wait()
        self.done += delivery.payloads
        observer.loaded(delivery)
