"""What is counted of each source: the one place that names the counters."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self


@dataclass(slots=True, kw_only=True)
class SourceCounts:
    """Counts of one source, or of several together; they can be added and subtracted.

    Not frozen, as a ``SourceReport`` counts in place: a new value for each increment made a load that goes nowhere
    (``--redis discard``) 2 % slower. What is kept or sent is a copy, see ``counts``.

    Attributes:
        bytes_read: Bytes read, as stored.
        records_read: Records read; blank lines are none.
        loaded: Tasks that this run pushed.
        already_loaded: Records that were in before.
        rejected: Records set aside.
    """

    bytes_read: int = 0
    records_read: int = 0
    loaded: int = 0
    already_loaded: int = 0
    rejected: int = 0

    @property
    def counts(self) -> SourceCounts:
        """A copy of the counts as they are now."""
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
        """The sum of any number of them."""
        return _counts(map(sum, zip(*map(_figures, parts), strict=True)))


_NAMES = tuple(field.name for field in fields(SourceCounts))
_figures = operator.attrgetter(*_NAMES)


def _counts(figures: Iterable[int]) -> SourceCounts:
    return SourceCounts(**dict(zip(_NAMES, figures, strict=False)))  # none at all stand for zeros
