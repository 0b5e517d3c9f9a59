"""Names of queues as labels of metrics, whose number is bounded."""

from __future__ import annotations

_MAX_BYTES = 64 * 1024
"""Bytes of all names that are labels: records and clients choose the names, and each label is kept."""

OTHER_QUEUES = "(other)"
"""The label of all queues whose names came too late."""


class QueueLabels:
    """The labels of a process. Names are labels until these are 64 KB long; all others share one label."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._bytes = 0

    def label(self, queue: str) -> str:
        """The label of a queue, which is the same in each call."""
        if queue in self._known:
            return queue
        size = len(queue.encode(errors="surrogatepass"))
        if self._bytes + size > _MAX_BYTES:
            return OTHER_QUEUES
        self._bytes += size
        self._known.add(queue)
        return queue
