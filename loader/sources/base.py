"""What the pipeline asks of a source."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from loader.sources.batch import RawBatch


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """How the job's manifest knows a source again.

    Attributes:
        name: For people; a moved file is still the same source.
        size: Bytes as stored (compressed ones where compressed); None where that is not known ahead.
        digest: Digest of the content, or of what can be known of it ahead.
        repeatable: Whether a later run can read the same content again.
    """

    name: str
    format: str
    size: int | None
    digest: str
    repeatable: bool = True


class Source(Protocol):
    """A readable source."""

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def position(self) -> int:
        """Bytes read so far, as stored."""
        ...

    def record_name(self, raw: RawBatch, index: int) -> str:
        """The file (or other name) that a record of a batch stands in."""
        ...

    def batches(self, batch_size: int, max_record_bytes: int) -> AsyncGenerator[RawBatch, None]:
        """The batches, always the same ones for the same content.

        Raises:
            SourceError: The source cannot be read to its end.
        """
        ...
