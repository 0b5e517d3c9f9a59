"""The event loop of the tool's processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one; None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None  # no wheel for this platform: asyncio's own loop does it, slower
    return uvloop.new_event_loop
