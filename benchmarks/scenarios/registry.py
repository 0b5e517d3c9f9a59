"""Scenarios, in the order in which ``quick`` runs them."""

from __future__ import annotations

from benchmarks.scenarios.base import Scenario
from benchmarks.scenarios.batch_size import BatchSize
from benchmarks.scenarios.memory import Memory
from benchmarks.scenarios.payload_size import PayloadSize
from benchmarks.scenarios.processes import Processes
from benchmarks.scenarios.throughput import Throughput
from benchmarks.scenarios.workers import Workers

SCENARIOS: tuple[type[Scenario], ...] = (Throughput, PayloadSize, BatchSize, Workers, Processes, Memory)
