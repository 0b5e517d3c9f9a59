"""The terminal while ``watch`` shows its table there: the other screen, keys, suspension, and all of it put back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.live import Live

from loader.cli.display import Display
from loader.cli.stderr import for_terminal
from loader.cli.terminal_keys import keys

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_QUIT = (b"q", b"Q", b"\x03")
"""The last one is Ctrl-C from a terminal that makes no signals of keys."""

REDRAW_SECONDS = 0.5
"""The table is drawn again at least so often, as the terminal may have another size."""


class Notes(Display):
    """Keeps messages for the line below the table, as lines in the middle of the screen would break the table."""

    def __init__(self) -> None:
        super().__init__(quiet=False, verbose=False, progress=False)
        self._is_shown = False
        self._note = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """During the block, messages are kept."""
        self._is_shown = True
        try:
            with self.is_live():
                yield
        finally:
            self._is_shown = False

    def say(self, text: str, *, level: str = "info", **fields: Any) -> None:
        if self._is_shown:
            self._note = for_terminal(text)
        else:
            super().say(text, level=level, **fields)

    def line(self) -> str:
        """What there is to say now."""
        return self.waiting_line() or self._note

    def clear(self) -> None:
        """A look has succeeded, so that what was said before is over."""
        self._note = ""


class Screen:
    """Shows a picture on the terminal's other screen. Afterwards the terminal is as it was.

    Ctrl-Z gives the terminal back until the process goes on.

    Args:
        draw: Returns the picture for a width and a height.
        quit_pressed: Called when the user presses q.
    """

    def __init__(
        self, console: Console, draw: Callable[[int, int], RenderableType], quit_pressed: Callable[[], None]
    ) -> None:
        self._console = console
        self._draw = draw
        self._quit_pressed = quit_pressed
        self._held = ExitStack()
        self._live: Live | None = None

    def refresh(self) -> None:
        """Draws the picture as it is now."""
        if self._live is not None:
            self._live.update(self._draw(self._console.width, self._console.height), refresh=True)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Shows the picture during the block."""
        loop = asyncio.get_running_loop()

        def on_suspend(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._suspend)

        before = signal.signal(signal.SIGTSTP, on_suspend)
        self._begin()
        try:
            yield
        finally:
            self._end()
            signal.signal(signal.SIGTSTP, before)

    async def keep_drawn(self) -> None:
        """Draws again and again, until it is cancelled."""
        while True:
            self.refresh()
            await asyncio.sleep(REDRAW_SECONDS)

    def _begin(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(keys(self._pressed))
            live = Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop")
            self._live = stack.enter_context(live)
            self._held = stack.pop_all()
        self.refresh()

    def _end(self) -> None:
        self._live = None
        self._held.close()

    def _pressed(self, typed: bytes) -> None:
        if any(key in typed for key in _QUIT):
            self._quit_pressed()

    def _suspend(self) -> None:
        if self._live is None:
            return
        self._end()
        os.kill(os.getpid(), signal.SIGSTOP)  # the next line runs when the process goes on
        self._begin()
