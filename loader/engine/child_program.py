"""How a process of our own is started: with this Python and this package, whatever lies in the user's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import loader


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as a program."""
    # -P: the folder in which the user works may have a loader.py.
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment, with the folder of this package: a child finds the same one, wherever it was imported from."""
    home, before = str(Path(loader.__file__).parents[1]), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": home if before is None else f"{home}{os.pathsep}{before}"}
