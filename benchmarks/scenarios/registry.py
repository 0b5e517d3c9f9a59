"""Scenarios, in the order in which ``quick`` runs them."""

from __future__ import annotations

from benchmarks.scenarios.arrays import Arrays
from benchmarks.scenarios.base import Scenario
from benchmarks.scenarios.batch_size import BatchSize
from benchmarks.scenarios.compact import Compact
from benchmarks.scenarios.compression import Compression
from benchmarks.scenarios.dask import Dask
from benchmarks.scenarios.dask_skew import DaskSkewed
from benchmarks.scenarios.foreground import Foreground
from benchmarks.scenarios.generate import Generate
from benchmarks.scenarios.layouts import Layouts
from benchmarks.scenarios.memory import Memory
from benchmarks.scenarios.nodes import NodesOfACluster
from benchmarks.scenarios.pace import Pace
from benchmarks.scenarios.payload_size import PayloadSize
from benchmarks.scenarios.processes import Processes
from benchmarks.scenarios.remote import Remote
from benchmarks.scenarios.roads import Roads
from benchmarks.scenarios.rollback import Rollback
from benchmarks.scenarios.servers import Servers
from benchmarks.scenarios.shaping import Shaping
from benchmarks.scenarios.stall import Stall
from benchmarks.scenarios.startup import StartUp
from benchmarks.scenarios.tables import Tables
from benchmarks.scenarios.throughput import Throughput
from benchmarks.scenarios.whole import Whole
from benchmarks.scenarios.workers import Workers

SCENARIOS: tuple[type[Scenario], ...] = (
    Throughput,
    Whole,
    PayloadSize,
    BatchSize,
    Workers,
    Processes,
    Layouts,
    Compact,
    Servers,
    NodesOfACluster,
    Roads,
    Rollback,
    StartUp,
    Memory,
    Arrays,
    Compression,
    Remote,
    Tables,
    Shaping,
    Generate,
    Stall,
    Pace,
    Foreground,
    Dask,
    DaskSkewed,
)
