"""The event loop of the tool's processes, and signals to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130
_MOST_UNHEARD = 2


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop if uvloop is installed; otherwise None, for asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return None  # no wheel for this platform: asyncio's own loop works as well, but slower
    return uvloop.new_event_loop


def on_stop_signals(callback: Callable[[], None]) -> None:
    """Has the running event loop call this at each SIGINT and SIGTERM, in place of what was called before.

    The loop's own ``add_signal_handler`` is not used: when it is removed, and the loop removes it when it closes, a
    signal ends the process by its default action for a moment. Whoever calls this puts the handlers back.

    A loop that writes to a pipe that nobody reads is told of no signal, and may wait for ever. So the third signal that
    it has not heard ends the process.
    """
    loop = asyncio.get_running_loop()
    unheard = 0

    def heard() -> None:
        nonlocal unheard
        unheard = 0
        callback()

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal unheard
        if unheard == _MOST_UNHEARD:
            os._exit(_INTERRUPTED)
        if not loop.is_closed():
            unheard += 1
            loop.call_soon_threadsafe(heard)

    for number in STOP_SIGNALS:
        signal.signal(number, handle)
