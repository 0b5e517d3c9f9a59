"""Has a process of its own measure how fast a server answers.

The loader's own process is busy with its tasks for milliseconds at a time, so it would measure itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from loader.engine.child_program import child_command, child_environment
from loader.engine.limits.measured import Answered, Measure, Unanswered
from loader.engine.messages import pack, receive
from loader.errors import UsageError

_PAUSE = 1.0

log = logging.getLogger("runqy_loader")


def require_interpreter() -> None:
    """Raises UsageError in a program that embeds Python: there is none to start."""
    if not Path(sys.executable or "").stem.startswith("python"):
        raise UsageError(
            "--max-latency measures in a process of its own, and this program does not run as python",
            "Leave the option out, or load with the command runqy-loader",
        )


@asynccontextmanager
async def probing(wanted: Measure, answered: Callable[[float], None]) -> AsyncIterator[None]:
    """Measures while the block runs.

    Args:
        answered: Called with the seconds that the slowest server took to answer.
    """
    measuring = asyncio.create_task(_measure(wanted, answered))
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])


async def _measure(wanted: Measure, answered: Callable[[float], None]) -> None:
    told = ""
    while True:
        child = await asyncio.create_subprocess_exec(
            *child_command("loader.engine.limits.probe"),
            env=child_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # only the parent gets Ctrl-C
        )
        try:
            assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - pipes
            child.stdin.write(pack(wanted))
            while (message := await receive(child.stdout)) is not None:
                if isinstance(message, Answered):
                    answered(message.seconds)
                elif isinstance(message, Unanswered) and message.reason != told:
                    told = message.reason
                    log.info("the latency of the server cannot be measured now: %s", told)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        log.debug("the process that measures the latency has ended; starting another one")
        await asyncio.sleep(_PAUSE)
