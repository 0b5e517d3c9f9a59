"""Encoders of the queues that the gateway writes to."""

from __future__ import annotations

from loader.gateway.options import ServeOptions
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import Dumps
from loader.layouts.registry import encoder_for

_MAX_ENCODERS = 256
"""The maximum number of encoders kept: clients choose the queues and timeouts."""


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

    def get(self, queue: str, timeout: int = 0) -> QueueEncoder:
        """The encoder of a queue.

        Args:
            queue: Full name.
            timeout: Seconds its tasks may run, or as in ``ServeOptions.load_options``.
        """
        key = (queue, timeout if self._has_timeouts else 0)
        if (encoder := self._encoders.get(key)) is None:
            if len(self._encoders) >= _MAX_ENCODERS:
                self._encoders.clear()
            encoder = self._encoders[key] = encoder_for(
                self._options.load_options(timeout), queue, compact=self._compact
            )
        return encoder

    def write_by_hset(self) -> bool:
        """Writes no more dumps: the server takes them no longer. Returns whether this is new."""
        is_new, self._compact = self._compact is not None, None
        self._encoders.clear()
        return is_new
