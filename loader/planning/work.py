"""What the sections of a plan have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loader.planning import capacity, files
from loader.planning.capacity import Rates, ServerMemory
from loader.planning.wanted import Known, Wanted

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Work:
    """A load on so many servers.

    Attributes:
        here: Tasks of one server.
        memory: Of one server, at the end.
    """

    wanted: Wanted
    known: Known
    servers: int
    rates: Rates
    here: int
    memory: ServerMemory

    @classmethod
    def on(cls, servers: int, wanted: Wanted, known: Known) -> Work:
        """The load on so many servers."""
        rates = capacity.rates(wanted, known, servers)
        memory = capacity.memory(wanted, known, servers, rates.total / servers)
        return cls(wanted, known, servers, rates, math.ceil(wanted.tasks / servers), memory)

    @property
    def seconds(self) -> float:
        """Of the load."""
        return self.wanted.tasks / self.rates.total

    @property
    def workers_seconds(self) -> float:
        """Until the workers are through; as long as the load if their rate is not known."""
        rate = self.wanted.workers_rate
        return self.seconds if rate is None else max(self.seconds, self.wanted.tasks / rate)

    @property
    def stream(self) -> float:
        """Bytes a second from one server to each replica."""
        replicated = self.known.costs.replicated_bytes
        return self.rates.total / self.servers * (replicated.value if replicated else 0.0)

    @property
    def file(self) -> float:
        """Bytes of a snapshot of all tasks of one server."""
        return self.here * self.known.file_bytes

    @property
    def save_seconds(self) -> float:
        """How long that snapshot takes."""
        return capacity.save_seconds(self.known, self.here)

    @property
    def copy_seconds(self) -> float:
        """How long a whole copy to a replica takes: the file is written, and sent."""
        sending = 0.0 if self.wanted.network is None else self.file / self.wanted.network
        return self.save_seconds + sending

    @property
    def copy_buffer(self) -> float:
        """Bytes that wait for a replica meanwhile."""
        return self.stream * self.copy_seconds

    @property
    def fork_seconds(self) -> float:
        """How long a server stands still for a fork, at the end of the load."""
        snapshot = self.known.snapshot
        return snapshot.fork_seconds / snapshot.resident_bytes * self.memory.resident

    @property
    def rewrites(self) -> files.Rewrites | None:
        """None if nothing was measured with an append-only file."""
        aof = self.known.costs.aof_bytes
        return None if aof is None else files.rewrites(self.here, aof.value, self.known.file_bytes)

    @property
    def cores(self) -> int:
        """Cores of the loader: those given, or as many as keep the servers busy."""
        return self.wanted.cores or math.ceil(self.rates.total / self.rates.core)

    @property
    def input_bytes(self) -> float:
        """Of the whole input, as stored."""
        return self.wanted.tasks * self.wanted.input_bytes
