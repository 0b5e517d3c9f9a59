"""What one load does: its options, its job, and the parts of its input."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Self

from loader.errors import JobMismatchError
from loader.jobs import version_1
from loader.jobs.manifest import adopted, derived_name, manifest_of, order_of
from loader.jobs.report import SourceReport
from loader.settings import LoadOptions, settled
from loader.sources.base import Source
from loader.sources.shards import MOST_IN_VERSION_1, Shard, plan, shard_bytes
from loader.tasks.ids import id_prefix
from loader.tasks.profiles import LayoutName


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The work of one load.

    Attributes:
        options: The options; of a resumed job, with the figures that the job began with.
        job: Name of the job.
        manifest: See ``loader.jobs.manifest.manifest_of``.
        origins: For each source, its number among those that count, and its digest. Ids are made from both.
        order: For each source, its index in the input: a resumed job has its sources in the order of its first run.
    """

    options: LoadOptions
    job: str
    sources: Sequence[Source]
    shards: Sequence[Shard]
    manifest: dict[str, Any]
    origins: Sequence[tuple[int, str]]
    order: Sequence[int]

    def in_order(self, reports: Sequence[SourceReport]) -> list[SourceReport]:
        """The reports of the sources, from those in the order of the input."""
        return [reports[index] for index in self.order]

    @property
    def prefixes(self) -> list[bytes]:
        """The prefixes of the ids that are generated: one for each piece of a source."""
        pieces = [piece for shard in self.shards for piece in shard.pieces]
        return [id_prefix(self.job, *self.origins[piece.source], piece.start) for piece in pieces]

    @property
    def first_version(self) -> bool:
        """Whether version 1 began the job."""
        return bool(self.manifest["version"] == 1)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a load would do as a new job.

    Attributes:
        names: The names under which its job may have been begun; a new job gets the first.
        needed: The option that needs the layout; None if the layout was given, or is open.
    """

    options: LoadOptions
    sources: Sequence[Source]
    manifest: dict[str, Any]
    names: Sequence[str]
    needed: str | None = None

    @classmethod
    def of(cls, options: LoadOptions, sources: Sequence[Source], needed: str | None = None) -> Self:
        """The proposal for these settled options and sources."""
        identities = [source.identity for source in sources]
        size = shard_bytes(sources)
        manifest = manifest_of(options, identities, size)
        if options.job is not None:
            names = [options.job]
        else:
            names = [derived_name(options, identities, manifest)]
            if all(identity.repeatable for identity in identities) and not options.shape:
                names.append(version_1.derived_name(options, identities, shard_bytes(sources, MOST_IN_VERSION_1)))
        return cls(options, sources, manifest, names, needed)

    @classmethod
    def for_each_layout(cls, options: LoadOptions, sources: Sequence[Source]) -> list[Self]:
        """The proposals for each layout that is possible with these options."""
        if options.layout != "auto":
            return [cls.of(options, sources)]
        needed = options.implied_layout
        if needed is not None:
            return [cls.of(settled(options, needed[0]), sources, needed[1])]
        layouts: Sequence[LayoutName] = ("documented", "asynq")
        return [cls.of(settled(options, layout), sources) for layout in layouts]

    async def planned(self, name: str, recorded: Mapping[str, Any] | None = None) -> LoadPlan:
        """The plan of a job.

        Args:
            recorded: Its manifest, if it was begun before.

        Raises:
            JobMismatchError: The job has other content, or its tasks go elsewhere.
            SourceError: A source cannot be read.
        """
        if recorded is None:
            return await _planned(self.options, name, self.sources, self.manifest, range(len(self.sources)))
        if recorded.get("version") == 1 and len(recorded["sources"]) != len(self.sources):
            # Its shards and ids depend on empty files as well, which later versions ignore.
            raise JobMismatchError(
                f"job {name} was begun with {len(recorded['sources'])} sources, not {len(self.sources)}",
                "Resume with the same files, empty ones included",
            )
        options = adopted(name, self.options, recorded, self.manifest)
        manifest = {**recorded, "max_record_bytes": options.max_record_bytes}
        order = order_of(recorded, [source.identity for source in self.sources])
        return await _planned(options, name, self.sources, manifest, order)


async def _planned(
    options: LoadOptions, job: str, given: Sequence[Source], manifest: dict[str, Any], order: Sequence[int]
) -> LoadPlan:
    options = replace(options, batch_size=manifest["batch_size"])  # a rate file that changes must not change it
    first_version = manifest["version"] == 1
    sources = [given[index] for index in order]
    shards = await asyncio.to_thread(plan, sources, manifest["shard_bytes"], empty_apart=not first_version)
    numbers = count()
    identities = [source.identity for source in sources]
    # Version 1 numbered empty sources as well. Ids of the others must not depend on them.
    origins = [
        (next(numbers) if first_version or not identity.is_empty else 0, identity.digest) for identity in identities
    ]
    return LoadPlan(options, job, sources, shards, manifest, origins, order)
