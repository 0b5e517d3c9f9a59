"""What a client in the foreground sees of a load: without a load, and beside loads that are held back or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cyclopts import Parameter

from benchmarks.contestants.generated import template_in
from benchmarks.errors import WrongResultError
from benchmarks.measure import environment
from benchmarks.recorder import JOB, PROGRAM
from benchmarks.results import CaseResult, Result, Run
from benchmarks.runner import Runner, say
from benchmarks.scenarios.base import Scenario, Shown, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FASTEST = 300_000
"""Tasks a second: no load on the usual machines is faster, so the input lasts for the whole measurement."""

_END_SECONDS = 60


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Foreground(Scenario):
    """Latency of a client beside loads that are held back or not."""

    name: ClassVar[str] = "foreground"
    title: ClassVar[str] = "What another client sees of a load"
    view: ClassVar[View] = "figures"
    figures: ClassVar[tuple[Shown, ...]] = (
        Shown("load, tasks/s", "load", lambda value: f"{value:,.0f}"),
        *(
            shown
            for name in ("p50", "p99", "p99.9")
            for shown in (
                Shown(f"{name}, ms", name, lambda value: f"{value:.2f}"),
                Shown(f"{name} of alone", name, lambda value: f"{value:.1f}", "of base"),
            )
        ),
    )
    variant_heading: ClassVar[str] = "load beside it"
    base_heading: ClassVar[str] = "of alone"

    seconds: float = 10
    """Seconds of each measurement."""

    rate: float = 500
    """Commands a second of the client."""

    factor: float = 3
    """The value of --max-latency, as a multiple of the client's 99th percentile without a load in the same round."""

    runs: int = 5
    """Rounds."""

    together: bool = False
    """Let all programs run on all processors. Otherwise the server and the client have one of their own, as if the load
    ran on another machine; with one processor, and where processors cannot be chosen, they share it all the same."""

    @classmethod
    def quick(cls) -> Self:
        return cls(seconds=1, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        count = int(_FASTEST * (self.seconds + 2))
        records = ("--generate", str(template_in(scratch)), "--count", str(count))
        results = {
            key: CaseResult(
                key=key,
                contestant="foreground",
                label=f"GET, {self.rate:,.0f}/s",
                parameter=None,
                limit=None,
                base="alone",
                variant=variant,
                tasks=round(self.rate * self.seconds),
                payload_bytes=0,
                batch_size=0,
                workers=None,
            )
            for key, variant in (
                ("alone", "none"),
                ("unlimited", "as fast as it can"),
                ("rate", "--rate, half of that"),
                ("max-latency", f"--max-latency, {self.factor:g} times its p99 alone"),
            )
        }
        if not self.together:
            _keep_to(server.pid, _OWN)
        for number in range(1, self.runs + 1):
            options: dict[str, tuple[str, ...]] = {"unlimited": ()}
            for key, result in results.items():
                given = options.get(key)
                if given is None and key != "alone":
                    result.failures.append(f"round {number}: what it depends on failed")
                    continue
                try:
                    run = self._once(server, scratch, number, None if given is None else (*records, *given))
                except WrongResultError as error:
                    result.failures.append(f"round {number}: {error}")
                    say(f"  round {number}/{self.runs}  {key}: FAILED: {error}")
                    continue
                if key == "unlimited":
                    options["rate"] = ("--rate", f"{run.figures['load'] / 2:.0f}/s")
                elif key == "alone":
                    options["max-latency"] = ("--max-latency", f"{self.factor * run.figures['p99']:.3f}ms")
                result.runs.append(run)
                shown = "  ".join(f"{name} {value:,.2f}" for name, value in run.figures.items())
                say(f"  round {number}/{self.runs}  {key:<12} {shown} ms")
        return list(results.values())

    def _once(self, server: Server, scratch: Path, number: int, load: Sequence[str] | None) -> Run:
        """Measures the client for some seconds, beside a load or alone."""
        server.clear()
        load_average, before = os.getloadavg()[0], server.counters()
        with _beside(server, scratch, load, apart=not self.together) as pending:
            program = (sys.executable, "-m", "benchmarks.peers.python.foreground")
            client = subprocess.Popen(
                [*program, "--addr", server.target.address, "--rate", str(self.rate)],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            if not self.together:
                _keep_to(client.pid, _OWN)
            try:
                assert client.stdout is not None
                client.stdout.readline()
                began, first = time.perf_counter(), pending()
                time.sleep(self.seconds)
                loaded, seconds = pending() - first, time.perf_counter() - began
                said, _ = client.communicate(timeout=_END_SECONDS)
            finally:
                client.kill()
                client.wait()
        found = _latencies(said)
        if load is not None and not loaded:
            raise WrongResultError("the load was over before the end of the measurement")
        if found["answers"] < 0.9 * self.rate * seconds:
            raise WrongResultError(f"the client got {found['answers']:,} answers only")
        after = server.counters()
        return Run(
            round=number,
            seconds=seconds,
            process_seconds=seconds,
            client_user_seconds=0,
            client_system_seconds=0,
            server_seconds=after.user_seconds + after.system_seconds - before.user_seconds - before.system_seconds,
            server_bytes_in=after.bytes_in - before.bytes_in,
            peak_rss_bytes=0,
            load_average=load_average,
            figures={
                **({} if load is None else {"load": loaded / seconds}),
                **{name: found[name] for name in ("p50", "p99", "p99.9")},
            },
        )

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "The client sends one GET after the other over one connection, whether the server has answered or not. "
            "Unless --together is given, the server and the client have one processor, and the load has the others, as "
            "if it ran on another machine: otherwise the client would wait for a processor rather than for the server. "
            "Loads make their records, of about 110 bytes, from a template. They run for the whole measurement, and "
            "are stopped then. Times are from the moment at which a command was to be sent to its answer; *of alone* "
            "is the ratio to the same client without a load."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}


_PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
_OWN, _OTHERS = _PROCESSORS[:1], _PROCESSORS[1:]


def _keep_to(pid: int, processors: Sequence[int]) -> None:
    """Has all threads of a process, and those that it begins later, use these processors alone."""
    if len(_PROCESSORS) < 2:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


def _latencies(said: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(said)
    except json.JSONDecodeError:
        raise WrongResultError("the client told no latencies") from None
    return found


@contextmanager
def _beside(server: Server, scratch: Path, load: Sequence[str] | None, *, apart: bool) -> Iterator[Any]:
    """Runs a load, which is stopped at the end.

    Args:
        load: Its input and its options; None for no load.
        apart: Whether it may not use the processor of the server.

    Returns:
        A function that tells how many tasks it has loaded.
    """
    if load is None:
        yield lambda: 0
        return
    fixed = ("--queue", "inference", "--job", JOB, "--redis", server.target.url, "--layout", "documented", "--quiet")
    process = subprocess.Popen([*PROGRAM, "load", *load, *fixed], cwd=scratch, env=environment())
    if apart:
        _keep_to(process.pid, _OTHERS)
    try:
        with server.connect() as control:

            def pending() -> int:
                return int(control.call("LLEN", "asynq:inference.default:pending"))

            deadline = time.monotonic() + _END_SECONDS
            while not pending():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise WrongResultError("the load loads nothing")
                time.sleep(0.01)
            time.sleep(1)  # so that a load that adapts has begun to do so
            yield pending
            if process.poll() is not None:
                raise WrongResultError("the load was over before the end of the measurement")
            process.send_signal(signal.SIGINT)
            if (status := process.wait(_END_SECONDS)) != 130:  # interrupted
                raise WrongResultError(f"the load ended with status {status}")
    finally:
        process.kill()
        process.wait()
