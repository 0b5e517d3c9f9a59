"""ioredis, pipelined: the program in ``benchmarks/peers/node``."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from benchmarks.contestants.program import Program
from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT

FOLDER = ROOT / "benchmarks" / "peers" / "node"


@cache
def _install() -> list[str]:
    """Installs the packages that package-lock.json pins, unless they are installed."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not installed")
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run(["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UnavailableError(f"npm ci failed: {done.stderr.strip().splitlines()[-1]}")
    return ["node", str(FOLDER / "load.mjs")]


IOREDIS = Program("ioredis", "ioredis pipeline", _install, connections=4, note="Node.js, 4 connections; no validation")
