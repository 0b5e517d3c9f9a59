"""What a sample of the input says: how long payloads are, how many records there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.errors import SourceError, UsageError
from loader.preflight.sample import sample
from loader.settings import LoadOptions
from loader.sources.open_sources import open_sources
from loader.sources.problems import Problems
from loader.sources.remote.spool import Spool


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample of the input.

    Attributes:
        payloads: The sampled payloads.
        payload_bytes: Their mean length, each part of the input counted by its tasks.
        tasks: Tasks of the whole input.
        exact: Whether they were counted.
        stored_bytes: Of the input, as stored.
    """

    payloads: Sequence[bytes]
    payload_bytes: float
    tasks: int
    exact: bool
    stored_bytes: int


async def sampled(paths: Sequence[str], options: LoadOptions) -> Sampled:
    """Samples files, directories or URLs.

    Raises:
        LoaderError: One cannot be read, or there is no record in them.
    """
    problems = Problems(skip=False)
    with Spool() as spool:
        sources = await open_sources(list(paths), options.format, [], problems, tables=options.tables, spool=spool)
        stretches = await sample(sources, options, "plan")
        if stretches is None:
            raise UsageError("standard input cannot be sampled", "Write a part of it into a file, and name that")
        size = sum(source.identity.size or 0 for source in sources)
    payloads = [payload for stretch in stretches for delivery in stretch.deliveries for payload in delivery.payloads]
    tasks = sum(stretch.tasks for stretch in stretches)
    if not payloads or tasks < 1:
        raise SourceError(f"no record in {', '.join(paths[:3])}", "Name a file with records like those to load")
    weighed = 0.0
    for stretch in stretches:
        lengths = [len(payload) for delivery in stretch.deliveries for payload in delivery.payloads]
        weighed += stretch.tasks * sum(lengths) / max(1, len(lengths))
    exact = all(stretch.exact for stretch in stretches)
    return Sampled(payloads, weighed / tasks, round(tasks), exact, size)
