"""redis-benchmark: the server's rate for one HSET that is sent again and again. For orientation, not the same work."""

from __future__ import annotations

import re
import shutil
from itertools import islice

from benchmarks.contestants.base import Plan, Work
from benchmarks.errors import UnavailableError, WrongResultError
from benchmarks.measure import Usage
from benchmarks.outcome import QUEUE
from benchmarks.payloads import payloads

_DEPTH = 250
_CLIENTS = 4
_RANDOM_KEYS = 10**12 - 1


def benchmark_program() -> str:
    """The path of redis-benchmark. Raises UnavailableError if it is not there."""
    binary = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if binary is None:
        raise UnavailableError("redis-benchmark is not installed (Debian: apt-get install redis-tools)")
    return binary


class RedisBenchmark:
    """See ``Contestant``."""

    name = "redis-benchmark"
    label = f"redis-benchmark -P {_DEPTH}, HSET only"
    same_work = False
    most_tasks = None
    note = f"{_CLIENTS} clients send one HSET of five fields over and over, with random keys: no list, no ids, no input"

    def prepare(self, work: Work) -> Plan:
        (payload,) = islice(payloads(work.dataset.size), 1)
        command = [benchmark_program(), *work.target.cli_flags, "--csv", "-n", str(work.dataset.tasks)]
        command += ["-r", str(_RANDOM_KEYS), "-c", str(_CLIENTS), "-P", str(_DEPTH)]
        command += ["HSET", "asynq:t:__rand_int__", "type", "task", "payload", payload.decode()]
        command += ["retry", "0", "max_retry", "3", "queue", QUEUE]
        tasks = work.dataset.tasks

        def seconds(usage: Usage) -> float:
            # The last line of the CSV: the command (with its quotes, if any), then requests a second, then latencies.
            numbers = re.findall(r'"(\d+\.\d+)"', usage.stdout.strip().splitlines()[-1])
            if not numbers:
                raise WrongResultError(f"redis-benchmark says: {usage.stdout[-300:]}")
            return tasks / float(numbers[0])

        return Plan(command, seconds=seconds)
