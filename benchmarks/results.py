"""What was measured: plain values, and their JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant, one round.

    Attributes:
        seconds: Of the load, by the contestant's own clock where it has one.
        process_seconds: From the start of the process to its end.
        client_seconds: CPU of the process and its children, user and system.
        server_seconds: CPU of the server meanwhile.
        server_bytes_in: What the server received meanwhile.
        load_average: Of the machine (1 minute) when the run began.
        gateway_seconds: CPU of a gateway, start-up included, where the contestant is one; part of the client's.
        sender_seconds: CPU that its client took for sending the requests, without making them; part of the client's.
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

    @property
    def client_seconds(self) -> float:
        return self.client_user_seconds + self.client_system_seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, middle and greatest of some runs."""

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
        limit: Key of the case that is its limit; compared with it round by round.
        base: Key of another case that it is compared with in this way.
        variant: What a scenario varies, where that is no number.
        parameter: What the scenario varies.
        same_work: False for figures that are only for orientation.
        unavailable: Why it did not take part.
        failures: Why rounds do not count.
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
        """Of whole processes."""
        return Spread.of([run.process_seconds for run in self.runs])

    @property
    def megabytes_per_second(self) -> Spread:
        """Of payloads, in units of 10^6 bytes."""
        return Spread.of([self.payload_bytes / run.seconds / 1e6 for run in self.runs])

    @property
    def client_us(self) -> float:
        """Microseconds of client CPU a task, median."""
        return median(run.client_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def server_us(self) -> float:
        """Microseconds of server CPU a task, median."""
        return median(run.server_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def gateway_us(self) -> float:
        """The same of a gateway, where there is one."""
        return median(run.gateway_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def sender_us(self) -> float:
        """The same of sending requests to it."""
        return median(run.sender_seconds for run in self.runs) * 1e6 / self.tasks

    @property
    def peak_rss_bytes(self) -> int:
        return max(run.peak_rss_bytes for run in self.runs)

    def ratio(self, limit: CaseResult) -> Spread | None:
        """Its rate as a share of the limit's in the same round."""
        return self._ratio(limit, "seconds")

    def process_ratio(self, limit: CaseResult) -> Spread | None:
        """The same by whole processes."""
        return self._ratio(limit, "process_seconds")

    def _ratio(self, limit: CaseResult, clock: str) -> Spread | None:
        of_limit = {run.round: limit.tasks / getattr(run, clock) for run in limit.runs}
        shares = [self.tasks / getattr(r, clock) / of_limit[r.round] for r in self.runs if r.round in of_limit]
        return Spread.of(shares) if shares else None


@dataclass(slots=True)
class Result:
    """A whole scenario."""

    scenario: str
    title: str
    date: str
    command: str
    machine: dict[str, Any]
    cases: list[CaseResult]

    @property
    def measured(self) -> list[CaseResult]:
        """The cases that have something to show."""
        return [case for case in self.cases if case.runs]

    @property
    def failed(self) -> bool:
        return any(case.failures for case in self.cases)

    def case(self, key: str | None) -> CaseResult | None:
        """The case of this key, if it was measured."""
        return next((case for case in self.measured if case.key == key), None)

    def save(self, path: Path) -> None:
        """Writes all of it, and the summaries beside the single runs."""
        content = asdict(self)
        for case, fields in zip(self.cases, content["cases"], strict=True):
            if case.runs:
                limit, base = self.case(case.limit), self.case(case.base)
                ratio = case.ratio(limit) if limit else None
                of_base = case.ratio(base) if base else None
                fields["summary"] = {
                    "tasks_per_second": asdict(case.rate),
                    "tasks_per_second_with_start": asdict(case.process_rate),
                    "ratio_to_limit": asdict(ratio) if ratio else None,
                    "ratio_to_base": asdict(of_base) if of_base else None,
                    "client_cpu_us_per_task": case.client_us,
                    "server_cpu_us_per_task": case.server_us,
                    "peak_rss_bytes": case.peak_rss_bytes,
                }
        path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Result:
        """Reads what ``save`` wrote."""
        content = json.loads(path.read_text())
        cases = []
        for fields in content.pop("cases"):
            fields.pop("summary", None)
            runs = [Run(**run) for run in fields.pop("runs")]
            cases.append(CaseResult(**fields, runs=runs))
        return cls(**content, cases=cases)
