"""Renews what docs/a-billion-tasks.md shows of commands: ``python -m benchmarks.planning_page``.

A block that begins with ``$ runqy-loader plan …`` holds what that command prints.
"""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.measure import ROOT, environment

PAGE = ROOT / "docs" / "a-billion-tasks.md"
_BLOCK = re.compile(r"^```console\n\$ runqy-loader (plan .+)\n(?:(?!```).*\n)*```\n", re.MULTILINE)


def renewed(text: str) -> str:
    """The page with what its commands print now.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    return _BLOCK.sub(lambda found: f"```console\n$ runqy-loader {found[1]}\n{_output(found[1])}```\n", text)


def commands(text: str) -> list[str]:
    """The commands whose output the page shows."""
    return [f"runqy-loader {found}" for found in _BLOCK.findall(text)]


def _output(command: str) -> str:
    shell = f'set -o pipefail; "$0" -m loader {command}'
    done = subprocess.run(
        ["bash", "-c", shell, sys.executable], env=environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
