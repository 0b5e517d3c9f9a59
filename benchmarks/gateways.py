"""The gateway of this tree beside the one of another checkout, in turn on one server, with wrk as the client.

    git worktree add ../before COMMIT
    python -m benchmarks.gateways ../before --rounds 5

Prints a table of ratios, each of them the median over the rounds: this tree's rate by the other's, and so on. It needs
wrk and redis-server. A latency of wrk is that of answered requests; how many were not answered with 200 is told.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import binaries
from benchmarks.measure import ROOT
from benchmarks.server import Server

_KEY_NAME = "RUNQY_BENCHMARK_KEY"
_QUEUE = "gateways.default"
_READY_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")
_SCRIPT = """\
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  io.write(string.format("figures %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.timeout + summary.errors.connect + summary.errors.read + summary.errors.write,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What the clients send: tasks in a request (0: a single task, not a batch), over so many connections."""

    name: str
    tasks: int
    connections: int

    @property
    def path(self) -> str:
        return "/queue/add-batch" if self.tasks else "/queue/add"

    def body(self) -> str:
        data = {"prompt": "a photo of a cat", "steps": 30, "seed": 7, "size": [512, 512], "user": "someone-1234"}
        jobs = {"jobs": [{"data": data}] * self.tasks} if self.tasks else {"data": data}
        return json.dumps({"queue": _QUEUE, **jobs}, separators=(",", ":"))


CASES = (
    Case("one task, 64 connections", 0, 64),
    Case("one task, 1,024 connections", 0, 1024),
    Case("batch of 100, 16 connections", 100, 16),
    Case("batch of 1,000, 16 connections", 1000, 16),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One run.

    Attributes:
        rate: Answers with 200 a second.
        p50: Milliseconds, and so is p99.
        cpu: Of the gateway, in microseconds an answer.
        refused: Answers that were not 200, and requests without an answer.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    refused: int


@contextmanager
def gateway(tree: Path, url: str, key: str) -> Iterator[tuple[int, int]]:
    """A gateway of a checkout: its port and its process."""
    options = ("--redis", url, "--layout", "documented", "--api-key-env", _KEY_NAME, "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "loader", "serve", *options],
        cwd=tree,
        env={**os.environ, _KEY_NAME: key, "PYTHONPATH": str(tree)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        give_up = time.monotonic() + _READY_SECONDS
        for line in process.stderr:
            if found := re.search(r"serving .*:(\d+)", line):
                yield int(found[1]), process.pid
                return
            if time.monotonic() > give_up:
                break
        raise RuntimeError(f"the gateway of {tree} does not come up")
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def measured(tree: Path, case: Case, server: Server, seconds: int, folder: Path) -> Figures:
    """One run of a case on a gateway that has just begun."""
    key = secrets.token_urlsafe(24)
    script = folder / "case.lua"
    script.write_text(_SCRIPT.format(key=key, body=case.body()))
    server.clear()
    with gateway(tree, server.target.url, key) as (port, pid):
        before = _cpu_seconds(pid)
        wrk = [
            "wrk",
            "-t",
            "1",
            "-c",
            str(case.connections),
            "-d",
            f"{seconds}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
        ]
        done = subprocess.run([*wrk, f"http://127.0.0.1:{port}{case.path}"], capture_output=True, text=True, check=True)
        spent = _cpu_seconds(pid) - before
    found = re.search(r"^figures (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk says {done.stdout!r}")
    requests, micros, wrong, lost, p50, p99 = map(int, found.groups())
    good = requests - wrong
    return Figures(good / (micros / 1e6), p50 / 1000, p99 / 1000, 1e6 * spent / max(1, good), wrong + lost)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of one run (8)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed (Debian: apt-get install wrk)")
    trees = {"this": ROOT, "other": options.other.resolve()}
    columns = (
        "",
        "rate, this",
        "by the other's",
        "CPU by the other's",
        "p50, this / other",
        "p99, this / other",
        "refused",
    )
    print(f"| {' | '.join(columns)} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, Server(binaries.find(binaries.DEFAULT)) as server:
        for case in CASES:
            rounds: list[dict[str, Figures]] = []
            for number in range(options.rounds):
                order = list(trees) if number % 2 == 0 else list(trees)[::-1]
                rounds.append(
                    {name: measured(trees[name], case, server, options.seconds, Path(folder)) for name in order}
                )
            print(_row(case, rounds), flush=True)


def _row(case: Case, rounds: list[dict[str, Figures]]) -> str:
    def median(what: str, of: str) -> float:
        return statistics.median([float(getattr(one[of], what)) for one in rounds])

    def share(what: str) -> float:
        return statistics.median([float(getattr(one["this"], what) / getattr(one["other"], what)) for one in rounds])

    refused = " / ".join(f"{sum(one[name].refused for one in rounds):,}" for name in ("this", "other"))
    return (
        f"| {case.name} | {median('rate', 'this'):,.0f}/s | {share('rate'):.2f} | {share('cpu'):.2f} | "
        f"{median('p50', 'this'):,.1f} / {median('p50', 'other'):,.1f} ms | "
        f"{median('p99', 'this'):,.1f} / {median('p99', 'other'):,.1f} ms | {refused} |"
    )


if __name__ == "__main__":
    main()
