"""``runqy-loader watch``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from loader.cli.commands import Command
from loader.cli.report_options import JsonOptions
from loader.watch.options import WatchOptions

if TYPE_CHECKING:
    from rich.console import Console

    from loader.watch.watcher import Watcher

Stop = Callable[[], None]


def watch(options: WatchOptions, shown: JsonOptions) -> int:
    """Shows queues live: tasks by state, rates, and how long tasks wait. It only reads, whoever fills the queues.

    On a terminal it shows a table until q or Ctrl-C; elsewhere it prints a line for each queue at each look. See
    docs/watch.md.
    """
    # Imported here, so that --help does not wait for imports that only the work needs.
    from loader.cli.signals import run
    from loader.watch.watcher import Watcher

    watcher = Watcher(options)
    console = None if shown.json else _terminal()
    if console is not None:
        terminal = console
        run(_until_stopped(lambda stop: _live(watcher, options, terminal, stop)))
    else:
        run(_until_stopped(lambda _: _printed(watcher, as_json=shown.json)))
    return 0


def _terminal() -> Console | None:
    """The terminal on standard output, if it is one that can show a table in place."""
    if os.name != "posix" or sys.stdout is None or not sys.stdout.isatty():
        return None
    from rich.console import Console

    console = Console()
    return None if console.is_dumb_terminal else console


async def _until_stopped(work: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Runs work until it ends, or a signal or the work itself stops it. That is the usual end, so it is no error."""
    import asyncio

    from loader.engine.loop import on_stop_signals

    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    task = asyncio.ensure_future(work(stop))
    on_stop_signals(stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


async def _live(watcher: Watcher, options: WatchOptions, console: Console, stop: Stop) -> None:
    import asyncio

    from loader.cli.watch_screen import Notes, Screen
    from loader.cli.watch_table import WatchTable

    notes = Notes()
    table = WatchTable(f"{watcher.address} · every {options.interval:g} s")
    screen = Screen(console, lambda width, height: table.draw(width, height, notes.line()), stop)
    try:
        with notes.shown(), screen.open():
            drawing = asyncio.create_task(screen.keep_drawn())
            try:
                async with aclosing(watcher.observations()) as observations:
                    async for seen in observations:
                        table.add(seen)
                        notes.clear()
                        screen.refresh()
            finally:
                drawing.cancel()
    finally:
        if table.last is not None:
            # The other screen is gone, and the last picture stays.
            console.print(table.draw(console.width, console.height, is_last=True))


async def _printed(watcher: Watcher, *, as_json: bool) -> None:
    import orjson

    from loader.cli.display import Display
    from loader.cli.watch_table import text_line, text_remarks

    Display(quiet=False, verbose=False, progress=False)
    async with aclosing(watcher.observations()) as observations:
        async for seen in observations:
            if as_json:
                _print_lines([orjson.dumps(seen.to_dict())])
            else:
                lines = [*(text_line(seen, one) for one in seen.queues), *text_remarks(seen)]
                _print_lines(line.encode(errors="replace") for line in lines)


def _print_lines(lines: Iterable[bytes]) -> None:
    """Prints at once what a look has told: somebody is waiting for it."""
    with open(1, "wb", closefd=False) as stdout:  # sys.stdout may be None, or not UTF-8
        stdout.writelines(line + b"\n" for line in lines)


COMMAND = Command(
    run=watch,
    options=(WatchOptions, JsonOptions),
    exit_status="Exit status: 0 ended by q, a signal, --for or --count; 1 failed; 2 usage.",
    own_variables=frozenset({"count", "for_", "interval"}),
)
