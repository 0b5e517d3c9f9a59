"""Tools for load tests at a rate, each told in its own words how long a request took."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.go_build import PEERS, build
from benchmarks.contestants.paced import LONGEST, P50, P99, SENT
from benchmarks.contestants.redis_benchmark import benchmark_program
from benchmarks.errors import WrongResultError
from benchmarks.measure import Usage

LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class K6:
    """See ``Contestant``. k6 with its Redis extension, at a constant arrival rate.

    Attributes:
        rate: Tasks a second.
        seconds: How long.
        users: The number of its VUs: as many requests can be on their way at once.
    """

    rate: int
    seconds: int
    users: int
    same_work: bool = False
    most_tasks: int | None = None

    @property
    def name(self) -> str:
        return f"k6-{self.users}"

    @property
    def label(self) -> str:
        return f"k6, constant-arrival-rate, {self.users:,} VUs"

    @property
    def note(self) -> str:
        return "HSET, then LPUSH, a round trip each; no ledger; from the time at which an iteration began"

    def prepare(self, work: Work) -> Plan:
        program = build("k6", ".") / "runqy-loader-benchmarks-k6"
        settings = {"REDIS_URL": work.target.url, "RATE": self.rate, "SECONDS": self.seconds, "VUS": self.users}
        variables = [f"{name}={value}" for name, value in settings.items()]
        command = ["env", "K6_AUTO_EXTENSION_RESOLUTION=false", *variables, str(program), "run", "--quiet"]
        command += ["--no-usage-report", str(PEERS / "k6" / "enqueue.js")]

        def figures(usage: Usage) -> dict[str, float]:
            metrics = json.loads(usage.stdout)
            took = metrics["iteration_duration"]["values"]
            left_out = metrics.get("dropped_iterations", {"values": {"count": 0}})["values"]["count"]
            found = {P50: took["med"], P99: took["p(99)"], LONGEST: took["max"]}
            return {**found, SENT: metrics["iterations"]["values"]["count"], LEFT_OUT: left_out}

        return Plan(command, figures=figures)


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """See ``Contestant``. redis-benchmark: a connection sends its next request when it has the answer.

    Attributes:
        seconds: About how long.
    """

    seconds: int
    name: str = "redis-benchmark"
    label: str = "redis-benchmark, 50 connections"
    note: str = "LPUSH of one text; it has no rate, so it sends as fast as answers come"
    same_work: bool = False
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        flags = [benchmark_program(), *work.target.cli_flags, "--csv", "-t", "lpush", "-d", "110", "-n"]
        trial = subprocess.run([*flags, "50000"], capture_output=True, text=True, check=False)
        requests = round(_numbers(trial.stdout)[0] * self.seconds)

        def figures(usage: Usage) -> dict[str, float]:
            _, _, _, p50, _, p99, longest = _numbers(usage.stdout)
            return {P50: p50, P99: p99, LONGEST: longest, SENT: requests, LEFT_OUT: 0}

        return Plan([*flags, str(requests)], figures=figures)


def _numbers(text: str) -> list[float]:
    """The last line of redis-benchmark's CSV: requests a second, then in ms: mean, min, p50, p95, p99 and max."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    numbers = [float(number) for number in re.findall(r'"(\d+\.\d+)"', last)]
    if len(numbers) != 7:
        raise WrongResultError(f"redis-benchmark says: {text[-300:]}")
    return numbers
