"""What ``runqy-loader --help`` says, and a quick way to draw it.

cyclopts draws all other help, and this page as it would. But importing it takes twice as long as the rest of
``--help``, and all that this page needs are names and sentences. Where the two differ, a test fails.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

HELP_FLAGS = frozenset(("--help", "-h"))
HELP = "Loads millions of tasks into a runqy/asynq queue on Redis: fast, exactly once, resumable."
COMMANDS = {
    "doctor": "Check a server before a load: version, role, rights, memory, persistence, clock, layout.",
    "export": "Write pending tasks to a file, without disturbing workers.",
    "inspect": "Show queues, jobs and single tasks.",
    "load": "Load payload files into a queue, exactly once.",
    "migrate": "Copy or move tasks to another queue, layout or server, exactly once.",
    "serve": "Serve runqy's enqueueing API over HTTP.",
    "wait": "Wait for the results of tasks and write them as they come.",
}
CONFIG = "TOML file with options: a table a command, such as [load]."
INSTALL_COMPLETION = "Install shell completion for this application."
EPILOGUE = (
    "Every option can also be set in the environment (RUNQY_LOADER_BATCH_SIZE for --batch-size) and in the table of "
    "its command in a TOML file given with --config. Exit status: 0 all in; 1 failed; 2 usage; 3 completed with "
    "rejects; 130 interrupted."
)

_FLAGS = {"--help (-h)": "Display this message and exit.", "--version": "Display application version."}
_SESSION = {"--config PATH": CONFIG, "--install-completion": INSTALL_COMPLETION}
_NAMES_SHARE = 0.35  # of the width, at most
_LEAST_WIDTH = 60  # below, names are broken, which cyclopts does in a way of its own


def show_front_page(console: Console) -> bool:
    """Draws the page, in the shape and colours that cyclopts gives it; False if the terminal is too narrow for that."""
    if console.width < _LEAST_WIDTH:
        return False
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console.print(Text.assemble(("Usage: ", "bold"), ("runqy-loader COMMAND [OPTIONS]\n", "bold")))
    console.print(Text(f"{HELP}\n"))
    for title, entries in (("Commands", COMMANDS | _FLAGS), ("Session", _SESSION)):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="cyan", max_width=math.ceil(console.width * _NAMES_SHARE))
        table.add_column(overflow="fold")
        for name, meaning in entries.items():
            table.add_row(Text(name), Text(meaning))
        console.print(Panel(table, title=title, title_align="left"))
    console.print()
    console.print(Text(EPILOGUE))
    return True
