"""runqy-loader's HTTP gateway, with a client that needs little CPU: ``benchmarks/peers/python/http_sender.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from benchmarks.contestants.base import GatewayCpu, Plan, Work
from benchmarks.contestants.program import REPORT, python_peer, reported_seconds
from benchmarks.errors import UnavailableError
from benchmarks.measure import ROOT, Usage, environment
from benchmarks.outcome import QUEUE


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """See ``Contestant``.

    Args:
        batch: Tasks a request; 1 for ``POST /queue/add``.
        connections: How many connections the client opens. Each has one request in flight at a time.
    """

    batch: int
    connections: int
    most_tasks: int | None = None
    same_work: bool = True

    @property
    def name(self) -> str:
        return "http-single" if self.batch == 1 else f"http-batch-{self.batch}"

    @property
    def label(self) -> str:
        return "HTTP, one task a request" if self.batch == 1 else f"HTTP, batches of {self.batch:,}"

    @property
    def note(self) -> str:
        path = "add" if self.batch == 1 else "add-batch"
        return (
            f"`runqy-loader serve` with an API key, POST /queue/{path} over {self.connections} connections that are "
            "kept, requests made ahead; its CPU is the gateway's and the client's, their starts included"
        )

    def prepare(self, work: Work) -> Plan:
        _check_serve()
        command = [*python_peer("http_sender"), "--redis", work.target.url, "--queue", QUEUE, "--report", REPORT]
        command += ["--batch", str(self.batch), "--connections", str(work.workers or self.connections)]
        return Plan(
            [*command, str(work.dataset.path)], seconds=reported_seconds(work.scratch), gateway_cpu=_gateway_cpu
        )


def _gateway_cpu(usage: Usage) -> GatewayCpu:
    return GatewayCpu(**json.loads(usage.stdout))


@cache
def _check_serve() -> None:
    """Raises UnavailableError if this version has no gateway."""
    command = [sys.executable, "-m", "runqy_loader", "serve", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0 or "--api-key-env" not in done.stdout:
        raise UnavailableError("this version of runqy-loader has no command 'serve'")


SINGLE = HttpGateway(1, connections=64, most_tasks=50_000)
BATCH_100 = HttpGateway(100, connections=16, most_tasks=200_000)
BATCH_1000 = HttpGateway(1000, connections=4)
