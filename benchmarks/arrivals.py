"""How many tasks arrive in a queue in each second, seen from the server: not by the loader's own clock."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import redis

_LOOK = 0.0005


class Arrivals:
    """Asks for the length of a queue's list, which nobody consumes, once a second. Use it with ``with``.

    Args:
        url: The server.
        key: The list.
        gap: Seconds between two tasks. The list is asked for in the middle between two of them.

    Attributes:
        lengths: One for each second since the first task.
    """

    def __init__(self, url: str, key: bytes, gap: float) -> None:
        self._url = url
        self._key = key
        self._gap = gap
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.lengths: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def worst_error(self, per_second: float) -> float | None:
        """The largest difference from this rate over a second, as a share of it; None if no second was whole."""
        counts = [after - before for before, after in pairwise(self.lengths)]
        return max((abs(count - per_second) / per_second for count in counts), default=None)

    def _look(self) -> None:
        with redis.Redis.from_url(self._url) as client:
            while not self._length(client):
                if self._over.wait(_LOOK):
                    return
            next_at = time.monotonic() + self._gap / 2
            while not self._over.wait(max(0.0, next_at - time.monotonic())):
                self.lengths.append(self._length(client))
                next_at += 1

    def _length(self, client: Any) -> int:
        return int(client.llen(self._key))
