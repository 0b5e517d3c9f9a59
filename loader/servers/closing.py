"""Last steps with a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import hiredis

from loader.errors import LoaderError

_LAST_STEP_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


async def close_quietly(step: Coroutine[Any, Any, Any]) -> None:
    """Runs a last step with a server that may be gone or silent.

    A failure is only logged, since nothing depends on the step: a lease ends by itself.
    """
    try:
        async with asyncio.timeout(_LAST_STEP_SECONDS):
            await step
    except (hiredis.ReplyError, LoaderError, TimeoutError) as error:
        log.debug("while closing: %s", error)
