"""Node.js's clients, pipelined: the programs in ``benchmarks/peers/node``."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache, partial

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import Program
from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT

FOLDER = ROOT / "benchmarks" / "peers" / "node"


def _program(module: str) -> list[str]:
    _install()
    return ["node", str(FOLDER / module)]


@cache
def _install() -> None:
    """Installs the packages that package-lock.json pins, unless they are installed."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not installed")
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run(["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UnavailableError(f"npm ci failed: {done.stderr.strip().splitlines()[-1]}")


@dataclass(frozen=True, slots=True)
class TcpProgram(Program):
    """See ``Program``. Its client has no Unix sockets."""

    def prepare(self, work: Work) -> Plan:
        if work.target.socket is not None:
            raise UnavailableError("this client has no Unix sockets; leave out --transport unix")
        return Program.prepare(self, work)


IOREDIS = Program(
    "ioredis",
    "ioredis pipeline",
    partial(_program, "ioredis.mjs"),
    connections=4,
    note="Node.js, 4 connections; no validation",
)
VALKEY_GLIDE = TcpProgram(
    "valkey-glide",
    "Valkey GLIDE, non-atomic Batch",
    partial(_program, "valkey-glide.mjs"),
    connections=4,
    note="Node.js with GLIDE's core in Rust, 4 connections; no validation",
)
