"""go-redis, pipelined: the program in ``benchmarks/peers/go``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from benchmarks.contestants.program import Program
from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT

FOLDER = ROOT / "benchmarks" / "peers" / "go"


@cache
def _build() -> list[str]:
    """Builds the program with the modules that go.sum pins, once per process of the harness."""
    if shutil.which("go") is None:
        raise UnavailableError("go is not installed")
    binary = Path(tempfile.gettempdir()) / f"runqy-loader-benchmarks-{os.getuid()}" / "go-redis"
    done = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", str(binary), "."],
        cwd=FOLDER,
        env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError(f"go build failed: {done.stderr.strip().splitlines()[-1]}")
    return [str(binary)]


GO_REDIS = Program(
    "go-redis", "go-redis pipeline", _build, connections=4, note="4 goroutines, a connection each; no validation"
)
