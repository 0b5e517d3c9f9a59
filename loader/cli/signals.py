"""SIGINT and SIGTERM while a command does its work."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from loader.cli import INTERRUPTED
from loader.engine.loop import loop_factory

if TYPE_CHECKING:
    from loader.cli.display import Display

T = TypeVar("T")

ASKING_TO_END = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work on an event loop. A signal cancels it, unless it is ``stoppable``.

    Raises:
        KeyboardInterrupt: A signal has cancelled it.
    """
    asked = False
    before = {number: signal.getsignal(number) for number in ASKING_TO_END}
    gc.enable()  # main() has put it off

    async def minding() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine

        def cancel() -> None:
            nonlocal asked
            asked = True
            task.cancel()

        for number in ASKING_TO_END:
            loop.add_signal_handler(number, cancel)
        return await work

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(minding())
    except asyncio.CancelledError:
        if not asked:
            raise
        raise KeyboardInterrupt from None
    finally:
        # What is left is to tell the outcome. That may take long where nobody reads it, so it can be ended as well.
        for number, handler in before.items():
            signal.signal(number, handler)


async def stoppable(work: Coroutine[Any, Any, T], stop: Callable[[], None], display: Display) -> T | None:
    """Runs work that a first signal ends in order, by ``stop``, and a second one at once; None where that came.

    A third one does not even wait for threads.
    """
    task = asyncio.ensure_future(work)

    def signalled() -> None:
        if task.cancelling() or task.done():
            os._exit(INTERRUPTED)  # a third: a thread may be stuck in slow storage, and the loop waits for it
        elif display.stopping:
            task.cancel()
        else:
            display.stopping = True
            display.say("stopping: finishing what is in flight (once more to stop at once)")
            stop()

    for number in ASKING_TO_END:
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    try:
        return await task
    except asyncio.CancelledError:
        if not display.stopping:
            raise
        return None
