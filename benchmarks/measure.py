"""Runs one process tree and tells what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import WrongResultError

_LAUNCHER = Path(__file__).with_name("launch.py")
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children used, from its start to its end.

    Attributes:
        peak_rss_bytes: Of the largest process of the tree. A floor of some 10 MB is the launcher's own.
    """

    seconds: float
    user_seconds: float
    system_seconds: float
    peak_rss_bytes: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """The environment of contestants: the caller's, without what would set the loader's options.

    Also without what keeps Python from storing compiled modules, as an installed program's are.
    """
    others = ("REDIS_URL", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RUNQY_LOADER_") and k not in others}
    return {**kept, "PYTHONPATH": str(ROOT)}


def run_process(command: list[str], folder: Path, stdin: Path | None = None, timeout: float = 3600) -> Usage:
    """Runs a command in a folder.

    Raises:
        WrongResultError: It failed, or did not end in time.
    """
    result, out, err = folder / "usage", folder / "stdout", folder / "stderr"
    result.unlink(missing_ok=True)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(result), str(stdin or os.devnull), *command]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            launcher, cwd=folder, env=environment(), stdout=stdout, stderr=stderr, start_new_session=True
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WrongResultError(f"it did not end within {timeout:.0f} s") from None
        finally:
            _end(process)
    errors = err.read_text(errors="replace")
    if not result.exists():
        raise WrongResultError(f"it could not be started: {_end_of(errors)}")
    code, *numbers = result.read_text().split()
    wall, user, system, peak = map(float, numbers)
    if int(code) != 0:
        raise WrongResultError(f"it ended with status {code}: {_end_of(errors)}")
    return Usage(wall, user, system, int(peak), out.read_text(errors="replace"), errors)


def _end_of(text: str) -> str:
    """What a program said last, on one line."""
    return " ".join(text.split())[-400:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the launcher and all that it started, where they have not ended by themselves."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
