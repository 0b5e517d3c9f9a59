"""Go's clients, pipelined: the programs in ``benchmarks/peers/go``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path

from benchmarks.contestants.program import Program
from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT

FOLDER = ROOT / "benchmarks" / "peers" / "go"


def _program(name: str) -> list[str]:
    return [str(_build() / name)]


@cache
def _build() -> Path:
    """Builds all programs with the modules that go.sum pins, once per process of the harness. Returns their folder."""
    if shutil.which("go") is None:
        raise UnavailableError("go is not installed")
    folder = Path(tempfile.gettempdir()) / f"runqy-loader-benchmarks-{os.getuid()}" / "go"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", f"{folder}/", "./cmd/..."],
        cwd=FOLDER,
        env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError(f"go build failed: {done.stderr.strip().splitlines()[-1]}")
    return folder


def _client(name: str, label: str, note: str) -> Program:
    return Program(name, label, partial(_program, name), connections=4, note=note)


GO_REDIS = _client("go-redis", "go-redis pipeline", "4 goroutines, a connection each; no validation")
RUEIDIS = _client(
    "rueidis", "rueidis DoMulti", "4 goroutines and 4 connections, one of them at random for each batch; no validation"
)
