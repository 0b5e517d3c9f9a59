"""Runs of the tool that are killed at a counted event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.helpers import Command
from tests.faults.proxy import Link, Proxy, Verdict


def run_killed_at(
    word: bytes, count: int, verdict: Verdict, arguments: Sequence[str], proxies: Sequence[Proxy], folder: Path
) -> int:
    """Runs the tool, and kills it when it sends a word through the proxies for the n-th time. Returns its exit status.

    Args:
        verdict: What becomes of what it sends then.
    """
    running: list[Command] = []
    left = count

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        left -= word in chunk
        if left or word not in chunk:
            return None
        running[0].strike()
        return verdict

    for proxy in proxies:
        proxy.rule = rule
    with Command(*arguments, cwd=folder) as process:
        running.append(process)
        status = process.wait().status
    for proxy in proxies:
        proxy.rule = None
    return status
