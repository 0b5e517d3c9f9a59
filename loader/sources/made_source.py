"""What sources have in common whose records are made for this load, and are stored nowhere as bytes."""

from __future__ import annotations

from loader.sources.base import SourceIdentity


class MadeSource:
    """The parts of ``Source`` that do not depend on where the records are from.

    Attributes:
        _position: Bytes of the records so far. A kind of source counts them while it makes them.
    """

    def __init__(self, identity: SourceIdentity) -> None:
        self._identity = identity
        self._position = 0

    @property
    def identity(self) -> SourceIdentity:
        """See ``Source``."""
        return self._identity

    @property
    def position(self) -> int:
        """See ``Source``."""
        return self._position

    @property
    def expansion(self) -> int | None:
        """See ``Source``: what is counted is the content itself."""
        return 1
