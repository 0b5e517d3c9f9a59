"""Runs the command line tool as a user does: as a process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the tool left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report of a run with ``--report -``."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found


COMPACT = "RUNQY_LOADER_COMPACT"
"""The one variable of the tool's own that reaches its runs: with ``never``, a test goes through HSET."""


def environment(**extra: str) -> dict[str, str]:
    """The environment of a run: the caller's, less the tool's own variables but for ``COMPACT``.

    Also less what keeps Python from storing compiled modules: an installed program's are, and each run starts faster.
    """
    others = ("REDIS_URL", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == COMPACT or not (name.startswith("RUNQY_LOADER_") or name in others)
    }
    return {**kept, **extra}


def read_until(descriptor: int, words: str, said: bytes = b"", *, times: int = 1, seconds: float = 120.0) -> bytes:
    """Reads what a program writes until it has said these words so often, and returns all that it has said.

    Args:
        said: What was read before.
        seconds: An upper bound against hanging, not a measure.
    """
    give_up = time.monotonic() + seconds
    while said.decode(errors="replace").count(words) < times:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, give_up - time.monotonic()))
        piece = os.read(descriptor, 4096) if ready else b""
        assert piece, (
            f"{'ended' if ready else 'still running'} before {words!r}; it said: {said.decode(errors='replace')}"
        )
        said += piece
    return said


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "loader", *map(str, arguments)]


@contextmanager
def running(*arguments: str | Path, cwd: Path, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Runs ``runqy-loader`` beside the test, and kills it at the end if it runs still.

    Yields:
        The process, and the descriptor from which its messages are read.
    """
    process = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr as messages:
        try:
            yield process, messages.fileno()
        finally:
            process.kill()
            process.wait()


def read_rest(descriptor: int) -> bytes:
    """What a program writes until it ends."""
    said = bytearray()
    while piece := os.read(descriptor, 65536):
        said += piece
    return bytes(said)


def run(
    *arguments: str | Path,
    cwd: Path,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 120,
) -> Outcome:
    """Runs ``runqy-loader`` with these arguments to its end."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        input=stdin if stdin is not None else b"",
        env=environment(**(env or {})),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_without(modules: tuple[str, ...], *arguments: str | Path, cwd: Path) -> Outcome:
    """Runs the tool in a process in which ``import`` does not find these modules."""
    program = f"import sys; sys.modules.update(dict.fromkeys({modules!r})); from loader.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
