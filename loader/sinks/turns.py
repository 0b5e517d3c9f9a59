"""The order in which one worker pushes its deliveries.

Several deliveries are in flight at once. Some take two steps, commands that write the hashes and a script that pushes
the ids; others take one script, which would overtake them.
"""

from __future__ import annotations

import asyncio


class Turn:
    """A delivery's turn to push, after the delivery to the same queue that was taken before it."""

    def __init__(self, before: Turn | None) -> None:
        self._before = before
        self._pushed = asyncio.Event()
        self._over = asyncio.Event()
        self._may_be_refused = False

    async def come(self, *, dumps: bool) -> None:
        """Returns when the push may be sent; it must be sent without another wait.

        Usually it may follow the one before at once, over the same connection. But a script with dumps may be refused,
        and sent again; then one without them would be in first.

        Args:
            dumps: Whether the push has dumps, which the server may refuse.
        """
        before = self._before
        while before is not None and not before._over.is_set():
            is_pushed = before._pushed.is_set()
            if is_pushed and (dumps or not before._may_be_refused):
                break
            await (before._over if is_pushed else before._pushed).wait()
        self._may_be_refused = dumps
        self._pushed.set()

    def begins_again(self) -> None:
        """The server has refused the delivery, and it is about to be sent in another way."""
        self._pushed.clear()

    def ends(self) -> None:
        """The delivery is in. This forgets the one before, too."""
        self._before = None
        self._over.set()


class Turns:
    """The turns of one worker, by queue."""

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}

    def next(self, queue: str) -> Turn:
        """The turn of the delivery to this queue that is taken next."""
        turn = self._last[queue] = Turn(self._last.get(queue))
        return turn
