"""A sink that encodes batches and discards the bytes: it measures the client alone (``--redis discard``)."""

from __future__ import annotations

from loader.jobs.ledger import QueueLedger
from loader.layouts.base import QueueEncoder
from loader.layouts.pays import dumps_that_pay
from loader.layouts.registry import encoder_for
from loader.settings import LoadOptions
from loader.sinks.base import Feed, Observer, Worker, is_pipelined


def discard(options: LoadOptions, job: str) -> Worker:
    """A worker that does all work of the client except sending."""
    queues: dict[str, tuple[QueueEncoder, QueueLedger]] = {}

    async def work(feed: Feed, observer: Observer) -> None:
        while (delivery := await feed()) is not None:
            if delivery.queue not in queues:
                compact = None if options.compact == "never" else dumps_that_pay(options)
                encoder = encoder_for(options, delivery.queue, compact=compact)
                queues[delivery.queue] = (encoder, QueueLedger(job, encoder))
            encoder, ledger = queues[delivery.queue]
            batch = delivery.batch
            if is_pipelined(delivery, encoder):
                encoder.write_tasks(delivery.id_prefix, delivery.ids, delivery.payloads)
                ledger.commit(batch.number, delivery.checksum, delivery.id_prefix, delivery.ids)
            else:
                ledger.insert(batch.number, delivery.checksum, delivery.whole_ids, delivery.payloads, delivery.options)
            observer.loaded(delivery)

    return work
