"""The measured values, and their JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import server_text


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant in one round.

    Attributes:
        seconds: Duration of the load, by the contestant's own clock if it has one.
        process_seconds: Time from the start of the process to its end.
        client_seconds: CPU of the process and its children, user and system.
        server_seconds: CPU of the server during the run.
        server_bytes_in: Bytes that the server received during the run.
        load_average: The machine's load average (1 minute) when the run began.
        server_memory_bytes: By how much the server's memory has grown.
        gateway_seconds: CPU of the gateway, start-up included, if the contestant is one; a part of the client's CPU.
        sender_seconds: CPU for sending requests to the gateway, without making them; a part of the client's CPU.
        figures: What else the scenario measures, by name.
    """

    round: int
    seconds: float
    process_seconds: float
    client_user_seconds: float
    client_system_seconds: float
    server_seconds: float
    server_bytes_in: int
    peak_rss_bytes: int
    load_average: float
    gateway_seconds: float = 0
    sender_seconds: float = 0
    server_memory_bytes: int = 0
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def client_seconds(self) -> float:
        return self.client_user_seconds + self.client_system_seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of some runs."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(min(values), median(values), max(values))


@dataclass(slots=True)
class CaseResult:
    """One contestant with one set of parameters.

    Attributes:
        limit: Key of the case that is its limit. The two are compared round by round.
        base: Key of another case, with which it is compared in the same way.
        variant: The varied value of the scenario, if it is not a number.
        parameter: The varied value of the scenario, if it is a number.
        server: Name of the server that it loaded into; empty if that is no server of the harness's own.
        same_work: False for figures that are only for orientation.
        unavailable: The reason why it did not take part.
        failures: The reasons why rounds do not count.
    """

    key: str
    contestant: str
    label: str
    parameter: float | None
    limit: str | None
    tasks: int
    payload_bytes: int
    batch_size: int
    workers: int | None
    same_work: bool = True
    note: str = ""
    unavailable: str = ""
    base: str | None = None
    variant: str = ""
    server: str = ""
    failures: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def rate(self) -> Spread:
        """Tasks a second."""
        return Spread.of([self.tasks / run.seconds for run in self.runs])

    @property
    def process_rate(self) -> Spread:
        """Tasks a second, the start of the process included."""
        return Spread.of([self.tasks / run.process_seconds for run in self.runs])

    @property
    def process_seconds(self) -> Spread:
        """Seconds of whole processes."""
        return Spread.of([run.process_seconds for run in self.runs])

    @property
    def megabytes_per_second(self) -> Spread:
        """Payload per second, in units of 10^6 bytes."""
        return Spread.of([self.payload_bytes / run.seconds / 1e6 for run in self.runs])

    @property
    def client_us(self) -> float:
        """Microseconds of client CPU a task, median."""
        return self.client_us_spread.median

    @property
    def client_us_spread(self) -> Spread:
        """Microseconds of client CPU a task."""
        return Spread.of([run.client_seconds * 1e6 / self.tasks for run in self.runs])

    @property
    def server_us(self) -> float:
        """Microseconds of server CPU a task, median."""
        return median(run.server_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def gateway_us(self) -> float:
        """Microseconds of gateway CPU a task, median; 0 without a gateway."""
        return median(run.gateway_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def sender_us(self) -> float:
        """Microseconds of CPU a task for sending requests to the gateway, median."""
        return median(run.sender_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def server_memory(self) -> float:
        """Bytes of server memory a task, median."""
        return self.server_memory_spread.median

    @property
    def server_memory_spread(self) -> Spread:
        """Bytes of server memory a task."""
        return Spread.of([run.server_memory_bytes / self.tasks for run in self.runs])

    @property
    def peak_rss_bytes(self) -> int:
        return max(run.peak_rss_bytes for run in self.runs)

    def figure(self, name: str) -> Spread | None:
        """A figure of the scenario's own; None if no run has it."""
        values = [run.figures[name] for run in self.runs if name in run.figures]
        return Spread.of(values) if values else None

    def ratio(self, limit: CaseResult) -> Spread | None:
        """Its rate as a share of the limit's in the same round."""
        return self._ratio(limit, "seconds")

    def process_ratio(self, limit: CaseResult) -> Spread | None:
        """The same for the times of whole processes."""
        return self._ratio(limit, "process_seconds")

    def cpu_ratio(self, base: CaseResult) -> Spread | None:
        """Its client CPU a task as a share of the base's in the same round."""
        of_base = {run.round: run.client_seconds / base.tasks for run in base.runs}
        shares = [r.client_seconds / self.tasks / of_base[r.round] for r in self.runs if of_base.get(r.round)]
        return Spread.of(shares) if shares else None

    def figure_ratio(self, base: CaseResult, name: str) -> Spread | None:
        """A figure of the scenario's own as a multiple of the base's in the same round; None if no round has both."""
        of_base = {run.round: run.figures[name] for run in base.runs if run.figures.get(name)}
        ratios = [
            run.figures[name] / of_base[run.round] for run in self.runs if name in run.figures and run.round in of_base
        ]
        return Spread.of(ratios) if ratios else None

    def _ratio(self, limit: CaseResult, clock: str) -> Spread | None:
        of_limit = {run.round: limit.tasks / getattr(run, clock) for run in limit.runs}
        shares = [self.tasks / getattr(r, clock) / of_limit[r.round] for r in self.runs if r.round in of_limit]
        return Spread.of(shares) if shares else None


@dataclass(slots=True)
class Result:
    """A whole scenario.

    Attributes:
        left_out: The servers that are not there, by name, each with the reason.
    """

    scenario: str
    title: str
    date: str
    command: str
    machine: dict[str, Any]
    cases: list[CaseResult]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def servers(self) -> list[str]:
        """The names of the servers on which it was measured."""
        return list(dict.fromkeys(case.server for case in self.measured))

    def on(self, server: str) -> Result:
        """The part of it that was measured on one server."""
        machine = self.machine
        if server in machine.get("servers", {}):
            machine = {**machine, "server": server_text([machine["servers"][server]], machine["transport"])}
        return replace(self, machine=machine, cases=[case for case in self.cases if case.server == server])

    @property
    def measured(self) -> list[CaseResult]:
        """The cases that have runs."""
        return [case for case in self.cases if case.runs]

    @property
    def failed(self) -> bool:
        return any(case.failures for case in self.cases)

    def case(self, key: str | None) -> CaseResult | None:
        """The case with this key, if it was measured."""
        return next((case for case in self.measured if case.key == key), None)

    def save(self, path: Path) -> None:
        """Writes all values: the single runs and their summaries."""
        content = asdict(self)
        for case, fields in zip(self.cases, content["cases"], strict=True):
            if case.runs:
                limit, base = self.case(case.limit), self.case(case.base)
                ratio = case.ratio(limit) if limit else None
                of_base = case.ratio(base) if base else None
                whole = case.process_ratio(base) if base else None
                cpu = case.cpu_ratio(base) if base else None
                fields["summary"] = {
                    "tasks_per_second": asdict(case.rate),
                    "tasks_per_second_with_start": asdict(case.process_rate),
                    "ratio_to_limit": asdict(ratio) if ratio else None,
                    "ratio_to_base": asdict(of_base) if of_base else None,
                    "ratio_to_base_with_start": asdict(whole) if whole else None,
                    "client_cpu_ratio_to_base": asdict(cpu) if cpu else None,
                    "client_cpu_us_per_task": case.client_us,
                    "server_cpu_us_per_task": case.server_us,
                    "server_memory_bytes_per_task": case.server_memory,
                    "peak_rss_bytes": case.peak_rss_bytes,
                }
        path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Result:
        """Reads a file that ``save`` has written."""
        content = json.loads(path.read_text())
        cases = []
        for fields in content.pop("cases"):
            fields.pop("summary", None)
            runs = [Run(**run) for run in fields.pop("runs")]
            cases.append(CaseResult(**fields, runs=runs))
        return cls(**content, cases=cases)
