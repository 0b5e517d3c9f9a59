"""Signals while a command's work begins, runs and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from loader.cli.signals import run
from loader.engine.loop import STOP_SIGNALS, on_stop_signals


def _of_the_tool(number: int, frame: FrameType | None) -> None:
    """Stands for the handler that the tool has outside of a command's work."""


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.signal(number, _of_the_tool) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_no_signal_has_its_default_action_at_any_time() -> None:
    seen: list[Any] = []

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code.co_name == "signal":
            seen.extend(map(signal.getsignal, STOP_SIGNALS))

    async def work() -> None:
        on_stop_signals(lambda: None)

    sys.setprofile(watch)
    try:
        run(work())
    finally:
        sys.setprofile(None)

    assert len(seen) >= 8
    assert not {signal.SIG_DFL, signal.default_int_handler}.intersection(seen)
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == [_of_the_tool, _of_the_tool]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_cancels_work_that_waits(number: signal.Signals) -> None:
    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        run(work())
