"""SIGINT and SIGTERM while a command does its work."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from loader.cli import INTERRUPTED
from loader.engine.loop import STOP_SIGNALS, loop_factory, on_stop_signals

if TYPE_CHECKING:
    from loader.cli.display import Display

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work on an event loop. A signal cancels the work, unless the work is ``stoppable``.

    Raises:
        KeyboardInterrupt: A signal has cancelled the work.
    """
    was_signalled = False
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    gc.enable()  # main() has turned it off

    async def with_signal_handlers() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine

        def cancel() -> None:
            nonlocal was_signalled
            was_signalled = True
            task.cancel()

        on_stop_signals(cancel)
        try:
            return await work
        finally:
            put_back()

    def put_back() -> None:
        # Only the end of the loop and the output of the outcome are left. Both may block, so a signal can end them.
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(with_signal_handlers())
    except asyncio.CancelledError:
        if not was_signalled:
            raise
        raise KeyboardInterrupt from None
    finally:
        put_back()


async def stoppable(work: Coroutine[Any, Any, T], stop: Callable[[], None], display: Display) -> T | None:
    """Runs work. A first signal ends it in order, through ``stop``; a second one cancels it, and the result is None.

    A third signal ends the process without waiting for threads.
    """
    task = asyncio.ensure_future(work)

    def signalled() -> None:
        if task.cancelling() or task.done():
            os._exit(
                INTERRUPTED
            )  # the third signal: the loop waits for its threads, and one may be stuck in slow storage
        elif display.stopping:
            task.cancel()
        else:
            display.stopping = True
            display.say("stopping: finishing what is in flight (signal again to stop at once)")
            stop()

    on_stop_signals(signalled)
    try:
        return await task
    except asyncio.CancelledError:
        if not display.stopping:
            raise
        return None
