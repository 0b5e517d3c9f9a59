"""Installing or building programs of other languages, or saying why that cannot be done here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PEERS = Path(__file__).parent / "peers"
_ROOT = Path(__file__).parents[2]
_INSTALL_SECONDS = 200
_UNREACHABLE = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "ERR_SOCKET_TIMEOUT",
    "npm error network",
    "dial tcp",
    "no such host",
    "i/o timeout",
    "TLS handshake",
    "lookup disabled",
)
"""How npm and go say that the registry cannot be reached. Anything else that stops them is a failure."""

_TOO_OLD = ("requires go >= ",)
"""How go says that it is older than what a module needs."""


def tool(name: str, what: str) -> str:
    """Path of a program; skips the test, saying what is not compared, where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: {what} is not compared")
    return found


def go_program(name: str, what: str, temporary: pytest.TempPathFactory) -> Path:
    """Builds the program of ``peers/NAME``; skips as ``tool`` and ``install`` do."""
    go = tool("go", what)
    program = temporary.mktemp("peers") / name
    install([go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(program), "."], PEERS / name)
    return program


def python_with(lock: Path, folder: Path) -> Path:
    """Makes a virtual environment with the packages of a lock file. Returns its Python; skips as ``install`` does."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    install([str(_ROOT / ".ci" / "install-locked"), str(folder), str(lock)], _ROOT)
    return folder / "bin" / "python"


def install(command: Sequence[str], folder: Path) -> None:
    """Runs an installer; skips if its registry cannot be reached, or if the installed language is too old."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(command[:2])} took over {_INSTALL_SECONDS} s: its registry is out of reach")
    if done.returncode == 0:
        return
    said = done.stderr + done.stdout
    signs = [line for line in said.splitlines() if any(sign in line for sign in _UNREACHABLE)]
    if signs:
        pytest.skip(f"{' '.join(command[:2])} does not reach its registry: {signs[-1].strip()}")
    old = [line for line in said.splitlines() if any(sign in line for sign in _TOO_OLD)]
    if old:
        pytest.skip(f"{' '.join(command[:2])} needs a newer version: {old[-1].strip()}")
    pytest.fail(f"{' '.join(command)} failed:\n{said}")
