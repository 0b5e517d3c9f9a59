"""``redis-cli --pipe``: with ready-made bytes (the limit), and with a generator in the pipe."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Callable

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import python_peer
from benchmarks.errors import UnavailableError, WrongResultError
from benchmarks.measure import Usage
from benchmarks.outcome import QUEUE
from benchmarks.recorder import record

_SUMMARY = re.compile(r"errors: (\d+), replies: (\d+)")


class Replay:
    """See ``Contestant``. It sends the loader's own bytes, recorded before: the most that Redis can take."""

    name = "replay"
    label = "redis-cli --pipe, bytes made ahead"
    same_work = True
    most_tasks = None
    note = "the limit: the very bytes that the loader sends, recorded from it and read from a file in the page cache"

    def prepare(self, work: Work) -> Plan:
        command = redis_cli(work)
        made_at = time.time_ns()
        recording = record(work.dataset.path, work.target, work.batch_size, work.scratch, work.options)
        return Plan(
            command,
            stdin=recording.path,
            seconds=checked(recording.replies),
            same_ids=True,
            made_at=made_at,
            lists_queues=False,  # the loader does this over another connection than the recorded one
        )


class GeneratedPipe:
    """See ``Contestant``. ``generator | redis-cli --pipe``, as in Redis's guide to mass insertion."""

    name = "generated-pipe"
    label = "Python generator into redis-cli --pipe"
    same_work = True
    most_tasks = None
    note = "the generator of Redis's mass insertion guide; no validation; whole process"

    def prepare(self, work: Work) -> Plan:
        generator = [*python_peer("resp_generator"), "--queue", QUEUE, "--batch", str(work.batch_size)]
        pipe = f"{shlex.join([*generator, str(work.dataset.path)])} | {shlex.join(redis_cli(work))}"
        tasks = work.dataset.tasks
        return Plan(["sh", "-c", pipe], seconds=checked(tasks + -(-tasks // work.batch_size)))


def redis_cli(work: Work) -> list[str]:
    """The command of redis-cli that reads commands from standard input."""
    binary = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if binary is None:
        raise UnavailableError("redis-cli is not installed (Debian: apt-get install redis-tools)")
    return [binary, *work.target.cli_flags, "--pipe"]


def checked(replies: int) -> Callable[[Usage], float]:
    """A function that checks the summary of redis-cli: no errors, and a reply to each command."""

    def read(usage: Usage) -> float:
        summary = _SUMMARY.search(usage.stdout)
        if summary is None or summary[1] != "0" or int(summary[2]) != replies:
            output = usage.stdout.strip()[-300:]
            raise WrongResultError(f"redis-cli should report no errors and {replies} replies, but says: {output}")
        return usage.seconds

    return read
