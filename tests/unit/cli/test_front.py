"""The page of ``runqy-loader --help`` is drawn without cyclopts: it looks as if cyclopts had drawn it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from loader.cli.app import app
from loader.cli.front import show_front_page
from tests.cli import environment


def drawn(draw: Callable[[Console], object], width: int, *, colours: bool) -> str:
    file = io.StringIO()
    system = "truecolor" if colours else None
    draw(Console(file=file, width=width, force_terminal=colours, color_system=system, emoji=False))  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("colours", [False, True], ids=["plain", "colours"])
@pytest.mark.parametrize("width", [60, 66, 80, 100, 132, 250])
def test_it_looks_as_cyclopts_draws_it(width: int, colours: bool) -> None:
    page = drawn(show_front_page, width, colours=colours)

    assert "doctor" in page
    assert page == drawn(lambda console: app.help_print([], console=console), width, colours=colours)


def test_a_terminal_too_narrow_for_it_is_left_to_cyclopts() -> None:
    assert drawn(show_front_page, 59, colours=False) == ""


@pytest.mark.parametrize(("columns", "needed"), [(80, False), (40, True)])
@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)], ids=" ".join)
def test_cyclopts_is_not_even_imported(arguments: tuple[str, ...], columns: int, needed: bool) -> None:
    code = (
        "import sys, atexit\n"
        "from loader.cli import main\n"
        "atexit.register(lambda: print('cyclopts' in sys.modules, file=sys.stderr))\n"
        "main()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(COLUMNS=str(columns)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.startswith("Usage: runqy-loader COMMAND")
    assert "--install-comp" in done.stdout
    assert done.stderr == f"{needed}\n"
