"""Clocks that jump: libfaketime, preloaded into a loader or a server, reads the jump from a file at each question.

Debian's redis-server does not start with it (jemalloc asks for the time before libfaketime is ready); Valkey does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault_counts import Fault, count

LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",  # Debian
    "/usr/lib64/faketime/libfaketimeMT.so.1",  # Fedora
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
DAY = 86_400


class Clock:
    """The wall clock of a process, which is right at first. Its monotonic clock is left alone, as real jumps leave it.

    Skips the test where libfaketime is not installed.

    Attributes:
        env: Goes into the environment of the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / "clock"
        self._set(0)
        self.env = {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it, each wait for a condition ends at once, so threads spin
            "NO_FAKE_STAT": "1",  # the times of files are the kernel's
        }

    def jump(self, seconds: int) -> None:
        """From now on, it differs from the right time by this."""
        self._set(seconds)
        count(Fault.CLOCK_JUMP)

    def _set(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self._file)  # never read half written


def _library() -> str:
    for pattern in LIBRARIES:
        found = sorted(Path("/").glob(pattern.removeprefix("/")))
        if found:
            return str(found[0])
    pytest.skip("libfaketime is not installed (Debian: apt-get install libfaketime)")
