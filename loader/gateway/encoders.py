"""Encoders of the queues that the gateway writes to."""

from __future__ import annotations

import gc

from loader.gateway.options import ServeOptions
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import Dumps
from loader.layouts.registry import encoder_for
from loader.wire.lengths import ByLength

_MAX_ENCODERS = 1024
"""The maximum number of encoders kept, of up to 16 KB each: clients choose the queues and timeouts. A queue that gets
single tasks and batches needs three."""

_MOST_LENGTHS = 50_000
"""About how many values all encoders keep by the length of payloads, of up to 1 KB each: clients choose these, too."""


class Encoders:
    """One encoder for each queue and timeout, made at first use.

    Args:
        compact: Which tasks are dumped, and how; None for no dumps.
    """

    def __init__(self, options: ServeOptions, *, compact: Dumps | None = None) -> None:
        self._options = options
        self._compact = compact
        self._has_timeouts = options.layout != "documented"
        self._encoders: dict[tuple[str, int], QueueEncoder] = {}
        self._made = ByLength.made  # when the encoders were dropped last

    def get(self, queue: str, timeout: int = 0) -> QueueEncoder:
        """The encoder of a queue.

        Args:
            queue: Full name.
            timeout: Seconds its tasks may run, or as in ``ServeOptions.load_options``.
        """
        key = (queue, timeout if self._has_timeouts else 0)
        if ByLength.made - self._made > _MOST_LENGTHS:
            self._drop()
        if (encoder := self._encoders.get(key)) is None:
            if len(self._encoders) >= _MAX_ENCODERS:
                self._drop()
            encoder = self._encoders[key] = encoder_for(
                self._options.load_options(timeout), queue, compact=self._compact
            )
        return encoder

    def _drop(self) -> None:
        self._encoders.clear()
        gc.collect()  # encoders refer to themselves: without this, most of them would stay for minutes
        self._made = ByLength.made

    def write_by_hset(self) -> bool:
        """Writes no more dumps: the server takes them no longer. Returns whether this is new."""
        is_new, self._compact = self._compact is not None, None
        self._encoders.clear()
        return is_new
