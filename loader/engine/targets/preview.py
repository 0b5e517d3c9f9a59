"""No target: the first tasks are made and kept for the report (``--preview``), and nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from loader.engine.execution import Execution
from loader.engine.known_queues import queues_in_file
from loader.engine.part import Channel, Part
from loader.engine.plan import Proposal
from loader.engine.targets.base import LoadTarget
from loader.jobs.lease import Run
from loader.jobs.report import LoadReport, PreviewedTask
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer
from loader.sources.base import Source


class Preview(LoadTarget):
    """The first ``options.preview`` tasks, in the order of the input."""

    def __init__(self, options: LoadOptions) -> None:
        self._wanted = options.preview or 0
        # With a filter, the first tasks may be far on in the input: small batches would take long.
        size = options.records_a_batch if options.shape else min(options.records_a_batch, self._wanted)
        self._options = replace(
            options, max_errors="none", batch_size=size, workers=1, processes=1, queue_depth=1, rejects=None
        )

    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        options, wanted = self._options, self._wanted
        known = queues_in_file(options)
        known.check(*options.own_queues)
        proposal = Proposal.of(options, sources)
        plan = await proposal.planned(proposal.names[0])
        report.job = plan.job
        batches: list[list[Delivery]] = []

        async def keep(feed: Feed, observer: Observer) -> None:
            while (delivery := await feed()) is not None:
                if not batches or batches[-1][0].batch is not delivery.batch:
                    if sum(len(one.payloads) for batch in batches for one in batch) >= wanted:
                        execution.stop()
                        return
                    batches.append([])
                batches[-1].append(delivery)

        @asynccontextmanager
        async def nowhere(_: Part) -> AsyncIterator[Channel]:
            yield Channel(keep)

        await execution.run(Part.of(plan, nowhere, Run.new(), known.names, None), plan.shards, report)
        tasks = report.preview = [task for batch in batches for task in _tasks(batch, options)][:wanted]
        report.valid = len(tasks)
        report.end("completed")


def _tasks(deliveries: Sequence[Delivery], options: LoadOptions) -> list[PreviewedTask]:
    """The tasks of a batch, in the order of its records."""
    default = options.task_options
    tasks: list[tuple[int, PreviewedTask]] = []
    for delivery in deliveries:
        rows = zip(delivery.records, delivery.whole_ids, delivery.payloads, strict=True)
        for at, (record, task_id, payload) in enumerate(rows):
            own = delivery.options[at] if delivery.options else default
            given = {name: value for name, value in own.recorded().items() if value not in (None, 0, ())}
            given.setdefault("type", delivery.queue)
            tasks.append((record, PreviewedTask(task_id.decode(), delivery.queue, payload, given)))
    return [task for _, task in sorted(tasks, key=lambda numbered: numbered[0])]
