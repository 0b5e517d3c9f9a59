"""The Python API for watching queues."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Unpack, cast

from loader.watch.options import WatchOptions
from loader.watch.watcher import Observation, Watcher

if TYPE_CHECKING:
    from loader.settings.keywords import WatchKeywords


def watch_queues(**fields: Unpack[WatchKeywords]) -> AsyncGenerator[Observation, None]:
    """Looks at queues again and again, and yields what each look tells. It only reads.

    Args:
        fields: Fields of ``WatchOptions``: ``queue`` (names; without it, all that the server lists), ``interval`` in
            seconds, ``for_``, ``count``, ``sample_tasks``, ``redis``, ``timeout``, ``retry_for``.

    Raises:
        UsageError: An option is out of range.
        LoaderError: While iterating: the server refuses, or was away for longer than ``retry_for``.

    Example:
        >>> async for seen in watch_queues(queue=("inference",), redis="redis://localhost:6379/0", count=10):
        ...     print([(one.state.queue, one.state.pending, one.rates.processed) for one in seen.queues])
    """
    return Watcher(WatchOptions(**cast(dict[str, Any], fields))).observations()
