"""Recognises a record that is too long for the server, where the server does not tell its limits beforehand."""

from __future__ import annotations

from collections.abc import Iterable

from loader.errors import ConnectionFailedError, LoaderError, OversizedError
from loader.servers.value_limit import SMALLEST_LIMIT
from loader.sinks.base import Delivery, Observer
from loader.wire.faults import LOWER_MAX_RECORD_BYTES

_TIMES = 5
"""Connections in a row that the server must close, each after it has accepted a login and commands, without a reply to
the same deliveries. The pauses between them take about a second."""

_LONG = SMALLEST_LIMIT - 128 * 1024
"""Shorter payloads are within any limit that Redis can be given."""


class Oversized:
    """Judges the faults of one worker."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._closed = 0

    async def judge(self, error: LoaderError, unfinished: Iterable[Delivery], *, sent: bool) -> LoaderError:
        """The error for a fault.

        Args:
            unfinished: The deliveries that are not acknowledged.
            sent: Whether some of them were sent over connections that worked, and none was acknowledged.
        """
        if isinstance(error, OversizedError):
            return OversizedError(f"{error.args[0]}; {await self._longest(unfinished)}", error.hint)
        if not sent or not isinstance(error, ConnectionFailedError) or not error.closed:
            self._closed = 0
            return error
        self._closed += 1
        if self._closed < _TIMES or _longest_payload(unfinished)[0] < _LONG:
            return error
        text = f"{error.args[0]}, {_TIMES} times in a row when the same records were sent; "
        return OversizedError(text + await self._longest(unfinished), LOWER_MAX_RECORD_BYTES)

    async def _longest(self, unfinished: Iterable[Delivery]) -> str:
        size, delivery, position = _longest_payload(unfinished)
        if delivery is None:
            return "no record is in flight"
        return f"the longest of them is {await self._observer.place(delivery, position)} ({size:,} bytes)"


def _longest_payload(deliveries: Iterable[Delivery]) -> tuple[int, Delivery | None, int]:
    """The length of the longest payload, its delivery and its position."""
    longest: tuple[int, Delivery | None, int] = (0, None, 0)
    for delivery in deliveries:
        for position, payload in enumerate(delivery.payloads):
            if len(payload) > longest[0]:
                longest = (len(payload), delivery, position)
    return longest
