"""Runs of the tool that are killed at a counted event."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cli import command, environment
from tests.faults.helpers import HANG
from tests.faults.proxy import Link, Proxy, Verdict


def run_killed_at(
    word: bytes, count: int, verdict: Verdict, arguments: Sequence[str], proxies: Sequence[Proxy], folder: Path
) -> int:
    """Runs the tool, and kills it when it sends a word through the proxies for the n-th time. Returns its exit status.

    Args:
        verdict: What becomes of what it sends then.
    """
    running: list[subprocess.Popen[bytes]] = []
    left = count

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        left -= word in chunk
        if left or word not in chunk:
            return None
        running[0].kill()
        return verdict

    for proxy in proxies:
        proxy.rule = rule
    with subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        running.append(process)
        status = process.wait(HANG)
    for proxy in proxies:
        proxy.rule = None
    return status
