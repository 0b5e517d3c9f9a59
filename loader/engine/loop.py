"""The event loop of the tool's processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop if uvloop is installed; otherwise None, for asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return None  # no wheel for this platform: asyncio's own loop works as well, but slower
    return uvloop.new_event_loop
