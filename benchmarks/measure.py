"""Runs one process tree and measures what it used."""

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
        peak_rss_bytes: Peak memory of the largest process of the tree; at least the launcher's own, some 10 MB.
    """

    seconds: float
    user_seconds: float
    system_seconds: float
    peak_rss_bytes: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """The environment of contestants: the caller's, without variables that would set the loader's options.

    PYTHONDONTWRITEBYTECODE is removed as well: an installed program has its modules stored in compiled form.
    """
    others = ("REDIS_URL", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RUNQY_LOADER_") and k not in others}
    return {**kept, "PYTHONPATH": str(ROOT)}


def run_process(command: list[str], folder: Path, stdin: Path | None = None, timeout: float = 3600) -> Usage:
    """Runs a command in a folder.

    Raises:
        WrongResultError: The command failed, or did not end in time.
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
        raise WrongResultError(f"it could not be started: {_last_output(errors)}")
    code, *numbers = result.read_text().split()
    wall, user, system, peak = map(float, numbers)
    if int(code) != 0:
        raise WrongResultError(f"it ended with status {code}: {_last_output(errors)}")
    return Usage(wall, user, system, int(peak), out.read_text(errors="replace"), errors)


def _last_output(text: str) -> str:
    """The end of a program's output, on one line."""
    return " ".join(text.split())[-400:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills the launcher and all processes that it started, if they are still running."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
