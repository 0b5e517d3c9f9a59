"""Single keys from the terminal, without Enter, while a command shows something there."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def keys(pressed: Callable[[bytes], None]) -> Iterator[None]:
    """Calls a function with what is typed during the block. Afterwards the terminal is as it was.

    Signals from the keyboard (Ctrl-C, Ctrl-Z) stay signals. Without a terminal on standard input, nothing is read.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor, termios.TCSANOW)
    except termios.error:  # it belongs to another session
        yield
        return
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            typed = os.read(descriptor, 1024)
        except OSError:
            typed = b""
        if typed:
            pressed(typed)
        else:
            loop.remove_reader(descriptor)  # the terminal is gone

    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
