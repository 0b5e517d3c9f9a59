"""The counters of a source. Their names are defined only here."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self


@dataclass(slots=True, kw_only=True)
class SourceCounts:
    """The counts of one source, or of several together. They can be added and subtracted.

    The class is not frozen, because a ``SourceReport`` counts in place: a new object for each increment made a load
    without a server (``--redis discard``) 2 % slower. To keep or send counts, take a copy; see ``counts``.

    Attributes:
        bytes_read: Bytes read, as stored.
        records_read: Records read, without blank lines.
        loaded: Tasks that this run pushed.
        already_loaded: Records that were loaded before.
        rejected: Records set aside.
        queue_fallbacks: Records that went to ``--queue``, as ``--queue-field`` or ``--queue-from`` gives no queue.
        filtered: Records that ``--where`` left out.
        not_sampled: Records that ``--sample`` left out.
        duplicates: Records that ``--dedup`` left out.
        outside: Records that ``--offset`` and ``--limit`` left out.
    """

    bytes_read: int = 0
    records_read: int = 0
    loaded: int = 0
    already_loaded: int = 0
    rejected: int = 0
    queue_fallbacks: int = 0
    filtered: int = 0
    not_sampled: int = 0
    duplicates: int = 0
    outside: int = 0

    @property
    def left_out(self) -> int:
        """Records that the options of shaping left out. They are no rejects."""
        return self.filtered + self.not_sampled + self.duplicates + self.outside

    @property
    def counts(self) -> SourceCounts:
        """A copy of the current counts."""
        return SourceCounts(**self.by_name)

    @property
    def by_name(self) -> dict[str, int]:
        """The figures by name, as in the JSON report."""
        return dict(zip(_NAMES, _figures(self), strict=True))

    def __add__(self, other: SourceCounts) -> SourceCounts:
        return _counts(map(operator.add, _figures(self), _figures(other)))

    def __sub__(self, other: SourceCounts) -> SourceCounts:
        return _counts(map(operator.sub, _figures(self), _figures(other)))

    def __iadd__(self, other: SourceCounts) -> Self:
        for name, more in other.by_name.items():
            setattr(self, name, getattr(self, name) + more)
        return self

    @staticmethod
    def total(parts: Iterable[SourceCounts]) -> SourceCounts:
        """The sum of any number of counts."""
        return _counts(map(sum, zip(*map(_figures, parts), strict=True)))


_NAMES = tuple(field.name for field in fields(SourceCounts))
_figures = operator.attrgetter(*_NAMES)


def _counts(figures: Iterable[int]) -> SourceCounts:
    return SourceCounts(**dict(zip(_NAMES, figures, strict=False)))  # without any figures, all counts are zero
