"""A load that is checked before it begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from loader.preflight import usage
from loader.settings import LoadOptions


@dataclass(frozen=True, slots=True)
class IntendedLoad:
    """A load that is checked before it begins.

    Attributes:
        job: Name of the job.
        known_queues: Full names of the queues that exist; None if they are not known.
    """

    options: LoadOptions
    job: str
    known_queues: Collection[str] | None = None

    @property
    def queues(self) -> list[str]:
        """Full names of the queues that the load may write to, as far as they are known."""
        options = self.options
        own = options.own_queues
        if options.records_name_queues:
            own += sorted(set(self.known_queues or ()) - set(own))
        return own[: usage.MOST_QUEUES]

    @property
    def open_ended(self) -> bool:
        """Whether records may name queues that are not known."""
        options = self.options
        return not self.queues or (self.known_queues is None and options.records_name_queues)
