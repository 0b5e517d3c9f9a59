"""Whether an input is so small that it certainly fits, so that nothing needs to be estimated."""

from __future__ import annotations

from collections.abc import Sequence

from loader.settings import LoadOptions
from loader.sources.base import Source

_MOST_PER_BYTE = 512
"""The memory of a task for each byte of its line. The shortest line is a digit and a newline, and becomes a task of 240
to 680 bytes, by layout (measured on Redis 7); the lock of a unique task comes on top."""


def surely_fits(sources: Sequence[Source], options: LoadOptions, room: int) -> bool:
    """Whether the tasks of these sources take less than ``room`` bytes, whatever is in them."""
    if options.select is not None or options.set:
        return False  # a payload may be any number of times as long as its record
    own = len(options.type or "") + sum(map(len, options.header))  # in characters; each task has them, some twice
    per_byte = _MOST_PER_BYTE + 4 * own
    most = 0
    for source in sources:
        size = source.identity.size
        if size is None or source.expansion is None:
            return False
        most += size * per_byte * source.expansion
    return most < room
