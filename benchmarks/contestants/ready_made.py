"""Tasks as HSETs and as RESTOREs: sent by ``redis-cli --pipe``, or only encoded."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import hiredis

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.contestants.redis_cli import checked, redis_cli
from benchmarks.encode import Form, batches, encoder
from benchmarks.outcome import Layout


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """See ``Contestant``. redis-cli sends commands made ahead: one for each task, and one LPUSH for each batch."""

    layout: str
    form: Form
    stored: Layout
    queue: str
    same_work = True
    most_tasks = None
    note = ""

    @property
    def name(self) -> str:
        return f"ready-{self.form}"

    @property
    def label(self) -> str:
        return f"redis-cli --pipe, {self.form.upper()}s made ahead"

    def prepare(self, work: Work) -> Plan:
        made_at = time.time_ns()
        kind = encoder(self.layout, None if self.form == "hset" else work.dumps)
        commands = work.scratch / "commands"
        replies = 0
        with commands.open("wb") as file:
            for prefix, suffixes, payloads in batches(work.dataset.path, work.batch_size):
                file.write(kind.write_tasks(prefix, suffixes, payloads))
                ids = [prefix + suffix for suffix in suffixes]
                push: Any = ("LPUSH", self.stored.pending_key(self.queue), *ids)
                file.write(hiredis.pack_command(push))
                replies += len(payloads) + 1
        return Plan(redis_cli(work), stdin=commands, seconds=checked(replies), made_at=made_at, lists_queues=False)


@dataclass(frozen=True, slots=True)
class Encoding:
    """See ``Contestant``. It only encodes, and sends nothing; its time is the CPU time of the encoder alone."""

    layout: str
    form: Form
    same_work = False
    most_tasks = None
    note = ""

    @property
    def name(self) -> str:
        return f"encode-{self.form}"

    @property
    def label(self) -> str:
        return f"the loader's encoder alone, {self.form.upper()}s"

    def prepare(self, work: Work) -> Plan:
        kind = "hset" if self.form == "hset" else work.dumps
        command = [sys.executable, "-m", "benchmarks.encode", str(work.dataset.path), self.layout, kind, REPORT]
        return Plan(command, seconds=reported_seconds(work.scratch))
