"""Builds peers that are written in Go."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT

PEERS = ROOT / "benchmarks" / "peers"


@cache
def build(module: str, packages: str) -> Path:
    """Builds programs with the modules that go.sum pins, once per process of the harness. Returns their folder.

    Args:
        module: The folder of their module in ``benchmarks/peers``.

    Raises:
        UnavailableError: Go is not installed, or the build failed.
    """
    if shutil.which("go") is None:
        raise UnavailableError("go is not installed")
    folder = Path(tempfile.gettempdir()) / f"runqy-loader-benchmarks-{os.getuid()}" / module
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", f"{folder}/", packages],
        cwd=PEERS / module,
        env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError(f"go build failed: {done.stderr.strip().splitlines()[-1]}")
    return folder
