"""Runs cases in turn, round after round, and checks each run's result."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import hiredis

from benchmarks.contestants.base import Contestant, GatewayCpu, Plan, Work
from benchmarks.errors import UnavailableError, WrongResultError
from benchmarks.measure import run_process
from benchmarks.outcome import USUAL, Outcome, Window
from benchmarks.payloads import Dataset
from benchmarks.results import CaseResult, Run
from benchmarks.server import Server, Store
from benchmarks.verify import check_load
from loader.layouts.pays import usual_form


@dataclass(frozen=True, slots=True)
class Case:
    """One contestant with one set of parameters; see ``CaseResult`` for the other attributes.

    Attributes:
        key: Unique within the scenario.
        options: More options for the loader's command line.
        outcome: What it must leave in Redis.
        store: The server or cluster to load into; None for each of the harness's own servers.
        server: The name of the harness's own server, set by the runner.
    """

    key: str
    contestant: Contestant
    dataset: Dataset
    batch_size: int = 1000
    workers: int | None = None
    options: tuple[str, ...] = ()
    parameter: float | None = None
    limit: str | None = None
    base: str | None = None
    variant: str = ""
    outcome: Outcome = USUAL
    store: Store | None = None
    server: str = ""

    def result(self) -> CaseResult:
        """An empty result."""
        return CaseResult(
            key=self.key,
            contestant=self.contestant.name,
            label=self.contestant.label,
            parameter=self.parameter,
            limit=self.limit,
            base=self.base,
            variant=self.variant,
            server=self.server,
            tasks=self.dataset.tasks,
            payload_bytes=self.dataset.content.payload_bytes,
            batch_size=self.batch_size,
            workers=self.workers,
            same_work=self.contestant.same_work,
            note=self.contestant.note,
        )


def say(text: str) -> None:
    """Shows a line of progress to the user."""
    print(text, file=sys.stderr, flush=True)


class Runner:
    """Runs cases.

    Args:
        servers: The servers to load into, by name, for cases without a store of their own.
        scratch: A folder for files that are not kept.
    """

    def __init__(self, servers: Mapping[str, Store], scratch: Path) -> None:
        self._servers = servers
        self._scratch = scratch
        self._ids: dict[
            tuple[Path, str | None], int
        ] = {}  # digests of the ids, by input and by the field that holds the ids

    def rounds(
        self, cases: Sequence[Case], runs: int, during: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> list[CaseResult]:
        """Runs all cases in turn, round by round (A B C A B C), so that a disturbance affects all of them.

        With several servers, each round has all cases on the first one, then all on the next one, and so on.

        Args:
            during: What else happens during each run.
        """
        cases = self._placed(cases)
        results = [case.result() for case in cases]
        plans: list[tuple[Case, CaseResult, Plan, Work]] = []
        for case, result in zip(cases, results, strict=True):
            try:
                plan, work = self.prepare(case)
                plans.append((case, result, plan, work))
            except UnavailableError as error:
                result.unavailable = str(error)
                say(f"  {case.key}: not available here: {error}")
            except WrongResultError as error:
                result.failures.append(f"while preparing: {error}")
                say(f"  {case.key}: FAILED while preparing: {error}")
        for number in range(1, runs + 1):
            for case, result, plan, work in plans:
                try:
                    with during():
                        run = self.once(case, plan, work, number)
                except WrongResultError as error:
                    result.failures.append(f"round {number}: {error}")
                    say(f"  round {number}/{runs}  {case.key}: FAILED: {error}")
                    continue
                finally:
                    if len(self._servers) > 1:  # one that waits for its turn must have nothing to do, such as rehashing
                        self._store(case).clear()
                result.runs.append(run)
                say(
                    f"  round {number}/{runs}  {case.key:<28} {result.tasks / run.seconds:>11,.0f} tasks/s, "
                    f"{run.process_seconds:.2f} s"
                )
        return results

    def prepare(self, case: Case) -> tuple[Plan, Work]:
        """Lets the contestant prepare what is not measured. Raises UnavailableError if it cannot take part."""
        folder = self._scratch / case.key.replace("/", "-")
        folder.mkdir()
        store = self._store(case)
        dumps = usual_form(store.info()) if isinstance(store, Server) else "listpack"
        work = Work(case.dataset, store.target, case.batch_size, case.workers, folder, case.options, dumps)
        store.clear()  # the limit is recorded from a load, which must not find the job of an earlier load
        return case.contestant.prepare(work), work

    def once(self, case: Case, plan: Plan, work: Work, number: int, *, check: bool = True) -> Run:
        """One measured run on an empty server.

        Args:
            check: Whether to check the result in Redis.

        Raises:
            WrongResultError: The contestant failed, or its result is not correct and complete.
        """
        store = self._store(case)
        store.clear()
        load_average = os.getloadavg()[0]
        before = store.counters()
        started_at = time.time_ns()
        usage = run_process(plan.command, work.scratch, plan.stdin)
        window = Window(plan.made_at or started_at, time.time_ns())
        after = store.counters()
        seconds = plan.seconds(usage)
        gateway_cpu = GatewayCpu() if plan.gateway_cpu is None else plan.gateway_cpu(usage)
        if check and case.contestant.same_work:
            self._check(case, plan, store, window)
        return Run(
            round=number,
            seconds=seconds,
            process_seconds=usage.seconds,
            client_user_seconds=usage.user_seconds,
            client_system_seconds=usage.system_seconds,
            server_seconds=after.user_seconds + after.system_seconds - before.user_seconds - before.system_seconds,
            server_bytes_in=after.bytes_in - before.bytes_in,
            peak_rss_bytes=usage.peak_rss_bytes,
            load_average=load_average,
            server_memory_bytes=after.memory_bytes - before.memory_bytes,
            gateway_seconds=gateway_cpu.gateway,
            sender_seconds=gateway_cpu.sender,
            figures={} if plan.figures is None else plan.figures(usage),
        )

    def _store(self, case: Case) -> Store:
        return case.store or self._servers.get(case.server) or next(iter(self._servers.values()))

    def _placed(self, cases: Sequence[Case]) -> list[Case]:
        """The cases on each server. With one server, they keep their keys."""
        if len(self._servers) == 1:
            (name,) = self._servers
            return [case if case.store else replace(case, server=name) for case in cases]

        def on(case: Case, server: str) -> Case:
            limit, base = (key and f"{key}/{server}" for key in (case.limit, case.base))
            return replace(case, key=f"{case.key}/{server}", limit=limit, base=base, server=server)

        return [on(case, server) for server in self._servers for case in cases]

    def _check(self, case: Case, plan: Plan, store: Store, window: Window) -> None:
        try:
            with store.nodes() as nodes:
                ids = check_load(nodes, case.dataset.content, case.outcome, window, listed=plan.lists_queues)
        except hiredis.ReplyError as error:  # for example, a key of another type
            raise WrongResultError(f"during the check, the server replied: {error}") from error
        if plan.same_ids and ids != self._ids.setdefault((case.dataset.path, case.outcome.id_field), ids):
            raise WrongResultError("the task ids are not the ones that the loader makes of this input")
