"""The machine that this program runs on, for figures that depend on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any


def describe_machine() -> dict[str, Any]:
    """CPU, cores, memory and system.

    The fields are ``cpu``, ``cores``, ``memory_gib``, ``virtual`` ("yes" or "no"), ``kernel``, ``distribution`` and
    ``python``. A text is empty where the system does not tell.
    """
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "virtual": "yes" if _has_flag("hypervisor") else "no",
        "kernel": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    if (text := _read("/proc/cpuinfo")) and (match := re.search(r"model name\s*: (.+)", text)):
        return match[1].strip()
    return output_of("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()


def _has_flag(flag: str) -> bool:
    match = re.search(r"flags\s*: (.+)", _read("/proc/cpuinfo"))
    return match is not None and flag in match[1].split()


def _distribution() -> str:
    match = re.search(r'PRETTY_NAME="(.+)"', _read("/etc/os-release"))
    return match[1] if match else platform.platform()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def output_of(*command: str) -> str:
    """The output of a program; empty if the program is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - no input
