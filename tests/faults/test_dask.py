"""Dask workers that are killed, stopped, cut off or retired while they load: each record is in once all the same."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loader.settings.error_limit import FIRST_RECORDS
from tests.cli import run
from tests.dask_cluster import DaskCluster, SmallShards, go_on, stop_process
from tests.fault_counts import Fault, count
from tests.faults.helpers import (
    HANG,
    Command,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_one_error,
    assert_tidy,
    payload,
    rejected_lines,
    tasks,
    until,
    write_lines,
)
from tests.faults.proxy import COMMIT, Link, Verdict
from tests.faults.scene import QUEUE, Scene
from tests.faults.test_seeded import Round
from tests.integration.stored import Consumer

_TASK = b":t:"
"""A word of what workers send with tasks, in either layout."""

WORKERS = 4
KILLS = 4
"""Of workers, in a round."""

RECORDS, WIDTH = 2400, 60
SHARD_BYTES = 12_000
"""So there are about 17 shards."""


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    folder = tmp_path_factory.mktemp("dask")
    with DaskCluster(folder, WORKERS, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: DaskCluster) -> DaskCluster:
    """A cluster with all its workers, whatever the test before has killed."""
    _cluster.make_whole()
    return _cluster


@dataclass(slots=True)
class DaskRound(Round):
    """A round with more and smaller shards."""

    processes: int = field(default=1)

    def prepare(self, scene: Scene) -> None:
        every = self.chance.randint(2, 40) if self.rejects else RECORDS + 1
        lines = [payload(n, WIDTH) if n % every else b'{"n": %d,' % n for n in range(1, RECORDS + 1)]
        write_lines(scene.folder / "in.jsonl", lines)
        self.bad = [("in.jsonl", n) for n in range(every, RECORDS + 1, every)]
        self.good = [line for line in lines if line.endswith(b"}")]

    def load(self, scene: Scene, cluster: DaskCluster) -> Load:
        return dask_load(
            scene, cluster, "--layout", self.layout, "--compact", self.compact, "--max-errors", "none",
            *(("--id-field", "n") if self.own_ids else ()),
        )  # fmt: skip


def dask_load(
    scene: Scene,
    cluster: DaskCluster,
    *more: str,
    size: int = SHARD_BYTES,
    silent: float = 30.0,
    report: bool = True,
    rejects: str = "rejects.jsonl",
) -> Load:
    return SmallShards(
        size, "in.jsonl", "-b", "10", "-q", "q", "--job", "j", "--rejects", rejects,
        *(("--report", "-") if report else ()), "--redis", scene.proxy.url, "--engine", "dask", "--scheduler",
        cluster.address, *more, cwd=scene.folder, silent=silent,
    )  # fmt: skip


def worker_of(link: Link) -> int | None:
    """The pid of the Dask worker that a connection is of; None for another connection."""
    if link.process is None or b"-" not in link.process:
        return None
    return int(link.process.partition(b"-")[0], 16)


class Killer:
    """Kills the worker that sends the n-th commit, or the n-th hashes, from here on; n is drawn.

    Attributes:
        happened: Whether it was killed.
    """

    def __init__(self, scene: Scene, cluster: DaskCluster, chance: random.Random) -> None:
        self.happened = threading.Event()
        self._cluster = cluster
        self._left = chance.randint(1, 30)
        self._word = chance.choice((COMMIT, _TASK))
        self._verdict = chance.choice((Verdict.PASS, Verdict.CUT, Verdict.EXECUTE_AND_CUT))
        self._scene = scene
        scene.proxy.rule = self._rule

    def _rule(self, link: Link, chunk: bytes) -> Verdict | None:
        pid = worker_of(link)
        if pid is None or self._word not in chunk or self.happened.is_set():
            return None
        self._left -= 1
        if self._left:
            return None
        self._cluster.kill(pid)
        count(Fault.DASK_KILL)
        self.happened.set()
        return self._verdict


@pytest.mark.parametrize("seed", range(25))
def test_workers_killed_again_and_again_load_each_record_once(scene: Scene, cluster: DaskCluster, seed: int) -> None:
    round_ = DaskRound(random.Random(f"dask {seed}"))
    round_.prepare(scene)
    scene.proxy.latency = 0.003

    with ExitStack() as stack:
        consumer = stack.enter_context(Consumer(scene.server, round_.layout, QUEUE)) if round_.consumed else None
        running = stack.enter_context(round_.load(scene, cluster))
        for _ in range(KILLS):
            killer = Killer(scene, cluster, round_.chance)
            until(lambda killer=killer: killer.happened.is_set() or not running.running, "a worker is killed")  # type: ignore[misc]
            cluster.heal()
        scene.proxy.rule = None
        done = running.wait()
        if consumer is not None:
            consumer.finish()

    assert killer.happened.is_set(), f"the load ended before the last kill: {done.stderr}"
    round_.check(scene, done, consumer)
    assert done.report["already_loaded"] == 0, "what a killed worker has loaded is of this load"


def plain_input(scene: Scene) -> None:
    scene.lines = write_lines(scene.folder / "in.jsonl", (payload(n, WIDTH) for n in range(RECORDS)))


class Strike:
    """Does something to the worker that sends the n-th commit, once.

    Attributes:
        pid: Of that worker, once it happened.
    """

    def __init__(self, scene: Scene, commits: int, what: Callable[[int], object], verdict: Verdict) -> None:
        self.pid: int | None = None
        self.happened = threading.Event()
        self._left = commits
        self._what = what
        self._verdict = verdict
        scene.proxy.rule = self._rule

    def _rule(self, link: Link, chunk: bytes) -> Verdict | None:
        pid = worker_of(link)
        if pid is None or COMMIT not in chunk or self.happened.is_set():
            return None
        self._left -= 1
        if self._left:
            return None
        self.pid = pid
        self._what(pid)
        self.happened.set()
        return self._verdict


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.HOLD], ids=["delivered", "held in the network"])
def test_a_stopped_worker_that_wakes_up_writes_nothing_that_was_handed_out(
    scene: Scene, cluster: DaskCluster, verdict: Verdict
) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003

    with scene.consumed() as consumer:
        with dask_load(scene, cluster, "--timeout", "5", "--retry-for", "5", silent=2.0) as running:
            strike = Strike(scene, 15, stop_process, verdict)
            running.until(strike.happened.is_set, "a worker is stopped")
            done = running.wait()
        consumer.finish()
        pid = strike.pid
        assert pid is not None
        scene.proxy.release()  # what the network has held arrives now
        go_on(pid)
        until(lambda: cluster.shards_on(pid) == 0, "it has ended what it had begun")
        scene.assert_all_in(done)
    assert "Dask workers have said nothing for 2 s, and others run their shards" in done.stderr
    assert done.report["already_loaded"] == 0


def test_after_a_silent_worker_the_death_of_all_others_leaves_no_shard_to_nobody(scene: Scene, tmp_path: Path) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.05
    folder = tmp_path / "dask"
    folder.mkdir()

    with DaskCluster(folder, 2) as own:
        with dask_load(scene, own, "--max-errors", "none", "--timeout", "5", "--retry-for", "5", silent=2.0) as running:
            strike = Strike(scene, 15, stop_process, Verdict.PASS)
            running.until(strike.happened.is_set, "a worker is stopped")
            running.until_it_says("Dask workers have said nothing for 2 s")
            (other,) = [one.pid for one in own.workers if one.pid != strike.pid]
            running.until(lambda: own.tasks_of(other) > 1, "the other worker alone has all shards")
            own.kill(other)
            count(Fault.DASK_KILL)
            until(lambda: any(one.poll() is not None for one in own.workers), "it is dead")
            own.heal()
            done = running.wait()
        assert strike.pid is not None
        go_on(strike.pid)
        until(lambda: own.shards_on(strike.pid or 0) == 0, "it has ended what it had begun")

    scene.assert_all_in(done)


_HELD_RESULTS = """
import asyncio, pathlib
from distributed import scheduler
from distributed.utils_comm import gather_from_workers

async def held(*arguments, **more):
    while pathlib.Path({flag!r}).exists():
        await asyncio.sleep(0.02)
    return await gather_from_workers(*arguments, **more)

scheduler.gather_from_workers = held
"""
"""Runs in a scheduler before anything else: while there is a file ``flag``, it asks no worker for a result."""


def test_results_that_a_stopped_worker_alone_has_keep_no_others_waiting(scene: Scene, tmp_path: Path) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003
    folder, flag, preload = tmp_path / "dask", tmp_path / "held", tmp_path / "held.py"
    folder.mkdir()
    preload.write_text(_HELD_RESULTS.format(flag=str(flag)))

    with (
        DaskCluster(folder, 2, DASK_DISTRIBUTED__SCHEDULER__PRELOAD=json.dumps([str(preload)])) as own,
        dask_load(scene, own, "--timeout", "5", "--retry-for", "5", silent=2.0) as running,
    ):
        running.until(lambda: scene.pending > FIRST_RECORDS + 300, "the first records are judged")
        flag.touch()
        running.until(lambda: scene.pending == RECORDS, "all is in")
        pid = own.workers[0].pid
        running.until(lambda: own.shards_on(pid) == 0, "the worker has results alone")
        stop_process(pid)
        flag.unlink()
        done = running.wait()
        go_on(pid)

    scene.assert_all_in(done)
    assert "Dask workers have said nothing for 2 s, and others run their shards" in done.stderr
    assert done.report["already_loaded"] == 0


def test_a_retired_worker_and_its_successor_run_a_shard_at_the_same_moment(scene: Scene, cluster: DaskCluster) -> None:
    plain_input(scene)
    retiring: list[threading.Thread] = []

    def retire(pid: int) -> None:
        retiring.append(threading.Thread(target=cluster.retire, args=(pid,)))
        retiring[0].start()

    with scene.consumed() as consumer:
        with dask_load(scene, cluster) as running:
            strike = Strike(scene, 15, retire, Verdict.WAIT)
            running.until(strike.happened.is_set, "a worker is retired")
            scene.proxy.let_pass()
            scene.proxy.rule = None
            done = running.wait()
        consumer.finish()
    retiring[0].join(HANG)
    cluster.heal()

    scene.assert_all_in(done)


def test_cut_connections_between_workers_and_the_server(scene: Scene, cluster: DaskCluster) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003

    with dask_load(scene, cluster) as running:
        for _ in range(5):
            strike = Strike(scene, 12, lambda pid: None, Verdict.EXECUTE_AND_CUT)
            running.until(strike.happened.is_set, "a commit was executed, and its connection cut")
            scene.proxy.cut()
        scene.proxy.rule = None
        done = running.wait()

    assert_each_once(scene.client, scene.lines)
    assert_adds_up(done, loaded_in_all=RECORDS)
    assert done.report["already_loaded"] == 0


def test_after_the_death_of_its_driver_the_same_command_goes_on_at_once(scene: Scene, cluster: DaskCluster) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003

    with scene.consumed() as consumer:
        with dask_load(scene, cluster) as running:
            strike = Strike(scene, 40, lambda pid: running.strike(), Verdict.PASS)
            running.until(strike.happened.is_set, "the driver is killed")
            assert running.wait().status == -9
        scene.proxy.rule = None
        with dask_load(scene, cluster) as running:
            done = running.wait()
        consumer.finish()

    scene.assert_all_in(done)
    assert done.report["resumed"]


def test_a_paused_load_whose_driver_dies_keeps_no_worker(scene: Scene, cluster: DaskCluster) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.4  # so that it lasts until it is paused

    # No records are judged first: a pause before that would leave workers without a shard.
    with dask_load(scene, cluster, "--max-errors", "none") as running:
        pids = [worker.pid for worker in cluster.workers]
        running.until(lambda: all(cluster.shards_on(pid) for pid in pids), "all workers have a shard")
        assert run("jobs", "pause", "j", "--redis", scene.server.url, cwd=scene.folder).status == 0
        running.until_it_says("paused since ")
        running.until(lambda: all(cluster.shards_on(pid) for pid in pids), "all workers have one that is paused")
        running.strike()
        assert running.wait().status == -9
    scene.proxy.rule = None
    scene.proxy.latency = 0.0
    assert run("jobs", "resume", "j", "--redis", scene.server.url, cwd=scene.folder).status == 0
    with dask_load(scene, cluster, "--max-errors", "none") as running:
        done = running.wait()

    scene.assert_all_in(done)


def test_an_interrupted_load_ends_in_order_and_goes_on_locally(scene: Scene, cluster: DaskCluster) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003

    with dask_load(scene, cluster) as running:
        strike = Strike(scene, 30, lambda pid: running.signal(signal.SIGINT), Verdict.PASS)
        running.until(strike.happened.is_set, "the user has pressed Ctrl-C")
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert 0 < stopped.report["loaded"] < RECORDS
    assert len(scene.loaded) == stopped.report["loaded"], "what is acknowledged is counted"

    scene.input_of(scene.lines, "in.jsonl", "--job", "j")
    local = scene.load("--engine", "local")
    scene.assert_all_in(local)
    assert local.report["loaded"] == RECORDS - stopped.report["loaded"]
    attached = run("jobs", "attach", "j", "--redis", scene.server.url, cwd=scene.folder)
    assert attached.status == 0, attached.stderr
    assert "job j: completed" in attached.stderr, "of the newest run, whichever engine it had"


_LATE_NEWS = """
from distributed import scheduler

class Late(scheduler.BatchedSend):
    def __init__(self, interval, **more):
        super().__init__("300ms" if interval == "2ms" else interval, **more)

scheduler.BatchedSend = Late
"""
"""Runs in a scheduler before anything else: its clients hear late of what has happened, and its workers do not."""


def test_what_ends_when_a_load_is_interrupted_is_counted(scene: Scene, tmp_path: Path) -> None:
    lines = [payload(n, WIDTH) if n % 20 else b"{bad" for n in range(1, RECORDS + 1)]
    write_lines(scene.folder / "in.jsonl", lines)
    scene.proxy.latency = 0.003
    folder, preload = tmp_path / "dask", tmp_path / "late.py"
    folder.mkdir()
    preload.write_text(_LATE_NEWS)

    with (
        DaskCluster(folder, 3, DASK_DISTRIBUTED__SCHEDULER__PRELOAD=json.dumps([str(preload)])) as own,
        dask_load(scene, own, "--max-errors", "none") as running,
    ):
        strike = Strike(scene, 60, lambda pid: running.signal(signal.SIGINT), Verdict.PASS)
        running.until(strike.happened.is_set, "the user has pressed Ctrl-C")
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    report = stopped.report
    assert 0 < len(scene.loaded) == report["loaded"], "what is acknowledged is counted"
    assert report["queues"] == {QUEUE: report["loaded"]}
    assert report["rejected_by_code"] == {"invalid_json": report["rejected"]}


def test_an_interrupt_when_all_workers_are_done_changes_nothing(scene: Scene) -> None:
    scene.input(400, "--job", "j")

    def connected() -> int:
        """How many connections workers have: their processes have names and not numbers."""
        return sum("-" in one["name"].rpartition(":")[2] for one in scene.client.client_list())

    with scene.beside("--engine", "dask") as running:
        running.until(lambda: scene.pending == 400 and connected(), "all is in")
        running.until(lambda: not connected(), "the run is over for the workers")
        running.signal(signal.SIGINT)
        done = running.wait()

    scene.assert_all_in(done)


def test_when_the_workers_of_this_machine_are_all_gone_the_load_ends(scene: Scene) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.05

    scene.input_of(scene.lines, "in.jsonl", "--job", "j", "-b", "10")
    with scene.beside("--engine", "dask") as running:
        running.until(lambda: scene.pending, "it loads")
        (workers,) = map(int, Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split())
        os.killpg(workers, signal.SIGKILL)
        failed = running.wait()

    assert_one_error(failed, "the Dask workers of this machine have ended (status -9)", "go on")
    scene.proxy.latency = 0.0
    scene.assert_all_in(scene.load("--engine", "local"))


def test_a_shard_that_kills_its_workers_ends_the_load_with_the_reason(scene: Scene, cluster: DaskCluster) -> None:
    lines = write_lines(scene.folder / "in.jsonl", (payload(n, WIDTH) for n in range(200)))
    killed: set[int] = set()

    def kill(link: Link, chunk: bytes) -> Verdict | None:
        pid = worker_of(link)
        if pid is None or COMMIT not in chunk:
            return None
        cluster.kill(pid)
        killed.add(pid)
        return Verdict.CUT

    scene.proxy.rule = kill
    with dask_load(scene, cluster, size=10**9) as running:
        while running.running:
            cluster.heal()
            time.sleep(0.05)
        failed = running.wait()
    scene.proxy.rule = None
    cluster.heal()

    assert_one_error(failed, "shard 0 has failed 5 times", "has died", "go on")
    assert len(killed) == 5
    count(Fault.DASK_KILL, 5)
    with dask_load(scene, cluster) as running:
        assert running.wait().status == 0
    assert_each_once(scene.client, lines)


_SLOW_WRITES = """
import pathlib, time

def write_in_two_parts(self, data, write_bytes=pathlib.Path.write_bytes):
    while self.suffix == ".part" and pathlib.Path({flag!r}).exists():
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        time.sleep(0.02)
    return write_bytes(self, data)

pathlib.Path.write_bytes = write_in_two_parts
"""
"""Runs in a worker before its first task: while there is a file ``flag``, no file of a shard gets past its half."""


def test_workers_killed_or_stopped_while_they_write_files_of_shards_leave_each_record_once(
    scene: Scene, tmp_path: Path
) -> None:
    lines = [payload(n, WIDTH) if n % 3 else b"{bad" for n in range(1, 801)]
    write_lines(scene.folder / "in.jsonl", lines)
    folder, flag, preload = scene.folder / "out", tmp_path / "slow", tmp_path / "slow.py"
    flag.touch()
    preload.write_text(_SLOW_WRITES.format(flag=str(flag)))
    (tmp_path / "dask").mkdir()

    def writers() -> set[int]:
        """The pids of those workers that write a file: it has the name of the process, as connections have."""
        return {int(path.name.split(".")[-2].partition("-")[0], 16) for path in folder.glob(".j-*.part")} - struck

    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    struck: set[int] = set()
    with DaskCluster(tmp_path / "dask", 2, DASK_DISTRIBUTED__WORKER__PRELOAD=json.dumps([str(preload)])) as own:
        with dask_load(
            scene, own, "--max-errors", "none", "--ids-out", "out/", "--timeout", "5", silent=2.0, rejects="out/"
        ) as running:  # fmt: skip
            for strike in (own.kill, own.kill, stop_process):
                running.until(writers, "a worker has written half a file")
                pid = min(writers())
                strike(pid)
                struck.add(pid)
                if strike == own.kill:
                    count(Fault.DASK_KILL)
                    until(lambda: any(one.poll() is not None for one in own.workers), "it is dead")
                    own.heal()
            flag.unlink()
            done = running.wait()
        before = contents()
        go_on(pid)
        until(lambda: own.shards_on(pid) == 0, "it has ended what it had begun")
        until(lambda: contents() == before, "it has written the same, or nothing")

    assert done.status == 3, done.stderr
    good = [line for line in lines if line.endswith(b"}")]
    assert_each_once(scene.client, good)
    assert_adds_up(done, loaded_in_all=len(good), rejected=len(lines) - len(good))
    assert all(name.endswith((".rejects.jsonl", ".task-ids.tsv")) for name in before), sorted(before)
    found = [one for path in folder.glob("*.rejects.jsonl") for one in rejected_lines(path)]
    assert sorted(found) == [("in.jsonl", n) for n in range(3, 801, 3)]
    ids = [line for path in folder.glob("*.tsv") for line in path.read_text().splitlines() if line[0] != "#"]
    assert sorted(line.split("\t")[0] for line in ids) == sorted(one for one, _ in tasks(scene.client)[QUEUE])


def test_a_killed_scheduler_is_one_clear_error_and_the_job_goes_on_with_another(scene: Scene, tmp_path: Path) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.003
    folder = tmp_path / "dask"
    folder.mkdir()

    with scene.consumed() as consumer:
        with DaskCluster(folder, 2) as own, dask_load(scene, own) as running:
            assert own.scheduler is not None
            scheduler = own.scheduler.pid
            strike = Strike(scene, 30, lambda pid: own.kill(scheduler), Verdict.PASS)
            running.until(strike.happened.is_set, "the scheduler is killed")
            failed = running.wait()
        assert_one_error(failed, "Dask scheduler")
        scene.proxy.rule = None
        scene.input_of(scene.lines, "in.jsonl", "--job", "j")
        done = scene.load()
        consumer.finish()

    scene.assert_all_in(done)
    assert done.report["already_loaded"] > 0


def test_a_detached_load_outlives_its_command_and_the_death_of_its_driver(scene: Scene, tmp_path: Path) -> None:
    plain_input(scene)
    scene.proxy.latency = 0.01
    folder = tmp_path / "dask"
    folder.mkdir()

    # The scheduler allows three failures as it comes, so Dask runs the driver again elsewhere.
    with DaskCluster(folder, 3) as own:
        with dask_load(scene, own, "--detach", report=False) as running:
            begun = running.wait()
        assert begun.status == 0, begun.stderr
        assert "job j is under way on the cluster" in begun.stderr
        driver = json.loads(scene.client.get("runqy-loader:{j}:lease"))["pid"]
        own.kill(driver)
        count(Fault.DASK_KILL)
        own.heal()
        attached = Command("jobs", "attach", "j", "--redis", scene.server.url, cwd=scene.folder)
        with attached:
            seen = attached.wait()

    assert seen.status == 0, seen.stderr
    assert "job j: completed" in seen.stderr
    assert_each_once(scene.client, scene.lines)
