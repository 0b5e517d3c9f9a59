"""Export, inspect and migrate on clusters that are disturbed: nothing is lost, nothing is placed twice."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loader.export.options import ExportOptions
from loader.export.run import Exporter
from loader.tasks.profiles import LayoutName
from tests.cli import run
from tests.conftest import RedisServer, Server
from tests.faults.helpers import Command, assert_one_error, until
from tests.faults.killing import run_killed_at
from tests.faults.proxy import Link, Proxy, Verdict, from_nth
from tests.integration.cluster import Cluster, Move, promote, replica_of, running_cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import Consumer, numbered, payload_of, pending_key, push, stored, task_key

Q = "q.default"
LAYOUTS = pytest.mark.parametrize("layout", ["documented", "asynq"])
KINDS = pytest.mark.parametrize("cluster", ["redis", "valkey"], indirect=True)
PUSH, SETTLE, NOTE, WRITE, MARKS = (
    b"local placed",
    b"local settled",
    b"local held",
    b"local function kind",
    b":written:",
)
"""Words of the scripts and commands of a move."""


@pytest.fixture
def replica(cluster: Cluster, tmp_path: Path, layout: str) -> Iterator[RedisServer]:
    """A replica of the node that serves the queue."""
    folder = tmp_path / "replica"
    folder.mkdir()
    with replica_of(cluster, cluster.owner(pending_key(layout, Q)), folder) as replica:
        yield replica


# --- export -----------------------------------------------------------------------------------------------------------


def exported_through(cluster: Cluster, layout: LayoutName, by: str, disturb: Callable[[], Any]) -> list[str]:
    """The ids in an export during which the cluster is disturbed, after a part of it has been written."""
    lines: list[bytes] = []

    async def write(piece: bytes) -> None:
        before = len(lines)
        lines.extend(piece.splitlines())
        if before < 1000 <= len(lines):
            await asyncio.to_thread(disturb)

    options = ExportOptions(queue="q", layout=layout, redis=cluster.url, by="scan" if by == "scan" else "list")
    report = asyncio.run(Exporter(options, write).run())
    assert (report.status, report.missing, report.exported) == ("completed", 0, len(lines))
    return [json.loads(line)["id"] for line in lines]


def assert_whole(found: list[str], by: str, count: int = 4000) -> None:
    assert sorted(found) == [task_id for task_id, _ in numbered(count)]
    assert by == "scan" or found == sorted(found)


@KINDS
@LAYOUTS
@pytest.mark.parametrize("by", ["list", "scan"])
def test_a_replica_that_is_promoted_during_an_export_has_the_rest(
    cluster: Cluster, replica: RedisServer, layout: LayoutName, by: str
) -> None:
    with cluster.client() as client:
        push(client, layout, Q, numbered(4000))
    with cluster.owner(pending_key(layout, Q)).client() as owner:
        until(lambda: owner.wait(1, 1000) == 1, "the replica has everything")

    assert_whole(exported_through(cluster, layout, by, lambda: promote(replica)), by)


@LAYOUTS
@pytest.mark.parametrize("by", ["list", "scan"])
def test_slots_that_move_during_an_export_are_followed(cluster: Cluster, layout: LayoutName, by: str) -> None:
    with cluster.client() as client:
        push(client, layout, Q, numbered(4000))
    keys = [pending_key(layout, Q)]
    if layout == "documented":
        keys += [task_key(layout, Q, task_id) for task_id, _ in numbered(15, first=2000)]

    def move() -> None:
        for key in keys:
            cluster.move(key, cluster.next_to(cluster.owner(key)))

    assert_whole(exported_through(cluster, layout, by, move), by)


def test_tasks_of_a_slot_that_is_on_its_way_are_waited_for_and_not_counted_as_taken(
    cluster: Cluster, tmp_path: Path
) -> None:
    with cluster.client() as client:
        push(client, "documented", Q, numbered(300))
    key = task_key("documented", Q, "task-0000007")
    move = Move(cluster, key, cluster.next_to(cluster.owner(key)))
    move.begin()
    move.move_keys()
    words = ("export", "-q", "q", "--layout", "documented", "--redis", cluster.url, "-o", "o.jsonl")

    with Command(*words, cwd=tmp_path) as running:
        running.until_it_says("the cluster is moving a slot")
        move.end()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_whole([json.loads(line)["id"] for line in (tmp_path / "o.jsonl").read_text().splitlines()], "list", 300)


# --- a node that is away, and slots that nobody serves --------------------------------------------------------------


def words_of(what: str, url: str) -> list[str]:
    migrate = ["migrate", "--from-queue", "q", "--from-layout", "documented", "--from-redis", url]
    return {
        "inspect": ["inspect", "--redis", url],
        "export": ["export", "-q", "q", "--layout", "documented", "--redis", url, "-o", "o.jsonl"],
        "migrate": [*migrate, "--to-redis", url, "--to-queue", "r", "--move"],
    }[what]


EACH_COMMAND = pytest.mark.parametrize("what", ["inspect", "export", "migrate"])


@pytest.fixture
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose nodes have their keys again when they are restarted."""
    with running_cluster(lambda: tmp_path_factory.mktemp("node"), "redis", "--appendonly", "yes") as cluster:
        yield cluster


@EACH_COMMAND
def test_a_node_that_is_down_at_the_start_is_waited_for(durable: Cluster, tmp_path: Path, what: str) -> None:
    with durable.client() as client:
        push(client, "documented", Q, numbered(100))
    away = durable.servers[2]
    away.kill()

    with Command(*words_of(what, durable.url), "--retry-for", "60", cwd=tmp_path) as running:
        running.until_it_says("connection refused (a cluster node, at the address that ")
        away.start()
        done = running.wait()

    assert done.status == 0, done.stderr
    if what == "export":
        assert (tmp_path / "o.jsonl").read_text().count("\n") == 100


@EACH_COMMAND
def test_a_node_that_stays_down_is_one_error(cluster: Cluster, tmp_path: Path, what: str) -> None:
    with cluster.client() as client:
        push(client, "documented", Q, numbered(100))
    cluster.servers[2].kill()

    failed = run(*words_of(what, cluster.url), "--retry-for", "0.5", cwd=tmp_path)

    assert_one_error(failed, "gave up after 0.5 s", "cluster-announce-ip")


@EACH_COMMAND
def test_slots_that_nobody_serves_are_named(cluster: Cluster, tmp_path: Path, what: str) -> None:
    with cluster.client() as client:
        push(client, "documented", Q, numbered(100))
    cluster.give_up_last_slots()

    failed = run(*words_of(what, cluster.url), "--retry-for", "0.5", cwd=tmp_path)

    assert failed.status == 1
    assert "the cluster does not serve slots 10924-16383" in failed.stderr.splitlines()[-1], failed.stderr
    assert not (tmp_path / "o.jsonl").exists()


# --- moves between a cluster and a single server -----------------------------------------------------------------


class Scene:
    """Moves of queue q, through a proxy before each node and before the single server.

    Attributes:
        source, target: A cluster and a single server, in one order or the other.
    """

    def __init__(
        self, folder: Path, cluster: Cluster, single: Server, layouts: tuple[LayoutName, LayoutName], *, out: bool
    ) -> None:
        self.layouts = layouts
        self.source: Cluster | Server = cluster if out else single
        self.target: Cluster | Server = single if out else cluster
        self.of_nodes = [Proxy(node.port) for node in cluster.nodes]
        self.of_single = Proxy(single.port)
        self.folder = folder
        self._cluster, self._out = cluster, out

    @property
    def proxies(self) -> list[Proxy]:
        return [*self.of_nodes, self.of_single]

    def announce(self) -> None:
        """Has the nodes announce their proxies."""
        for node, proxy in zip(self._cluster.nodes, self.of_nodes, strict=True):
            with node.client() as client:
                client.config_set("cluster-announce-port", proxy.port)
        ports = [proxy.port for proxy in self.of_nodes]
        for node in self._cluster.nodes:
            with node.client() as client:
                until(partial(_announces, client, ports), "all know the proxies")

    @property
    def words(self) -> list[str]:
        of_cluster, of_single = self.of_nodes[0].url, self.of_single.url
        source, target = (of_cluster, of_single) if self._out else (of_single, of_cluster)
        return [
            "migrate", "--move", "--from-redis", source, "--to-redis", target, "--from-layout", self.layouts[0],
            "--to-layout", self.layouts[1], "--from-queue", "q", "--job", "j", "--report", "-", "--no-progress",
        ]  # fmt: skip

    def killed_at(self, word: bytes, count: int, verdict: Verdict) -> bool:
        """A move that is killed when it sends this word for the n-th time. Returns whether it came to that."""
        return run_killed_at(word, count, verdict, [*self.words, "-b", "50"], self.proxies, self.folder) == -9

    def keys(self, end: Cluster | Server) -> set[bytes]:
        """The keys of tasks, lists, marks and notes."""
        if isinstance(end, Cluster):
            found = set(end.dumps())
        else:
            with end.client() as client:
                found = set(client.keys("*"))
        kept = (b":job", b"runqy-loader:jobs", b"asynq:queues", b":lease")
        return {key for key in found if self.is_task(key) or not (key.endswith(kept) or key.startswith(b"asynq:t:"))}

    def is_task(self, key: bytes) -> bool:
        """Whether a key is a task, and not only runqy's look-up, which outlives its task."""
        return key.startswith(b"asynq:t:") and "asynq" not in self.layouts


def _announces(client: Any, ports: list[int]) -> bool:
    slots = client.execute_command("CLUSTER", "SLOTS")
    return sorted(int(primary[1]) for _, _, primary, *_ in slots) == sorted(ports)


@pytest.fixture
def scene(cluster: Cluster, valkey: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    parameters = request.node.callspec.params
    scene = Scene(tmp_path, cluster, valkey, parameters["layouts"], out=parameters["way"] == "out")
    with ExitStack() as stack:
        for proxy in scene.proxies:
            stack.enter_context(proxy)
        scene.announce()
        yield scene


WAYS = pytest.mark.parametrize("way", ["out", "in"])
PAIRS = pytest.mark.parametrize(
    "layouts",
    [("documented", "documented"), ("documented", "asynq"), ("asynq", "documented"), ("asynq", "asynq")],
    ids="-".join,
)


@WAYS
@PAIRS
def test_killed_at_any_step_of_a_move_each_task_runs_once(
    scene: Scene, way: str, layouts: tuple[LayoutName, LayoutName]
) -> None:
    chance = random.Random(f"{way} {layouts}")
    with scene.source.client() as client:
        push(client, layouts[0], Q, numbered(1000))
    scattered = way == "in" and layouts[1] == "documented"
    steps = [(NOTE, 2), (WRITE, 60), (PUSH, 2), (MARKS, 60), (SETTLE, 2)] if scattered else [(PUSH, 2), (SETTLE, 2)]
    with Consumer(scene.target, layouts[1], Q) as worker:
        killed = [
            scene.killed_at(word, chance.randint(1, most), verdict)
            for word, most in steps
            for verdict in (Verdict.CUT, Verdict.EXECUTE_AND_CUT)
        ]
        done = run(*scene.words, cwd=scene.folder)
        worker.finish()

    assert all(killed)
    assert done.status == 0, done.stderr
    assert worker.done == numbered(1000) and worker.hollow == []
    assert (done.report["missing"], done.report["rejected"], done.report["held"]) == (0, 0, 0)
    assert scene.keys(scene.source) == scene.keys(scene.target) == set()


@WAYS
@PAIRS
def test_connections_cut_at_each_step_lose_and_repeat_nothing(
    scene: Scene, way: str, layouts: tuple[LayoutName, LayoutName]
) -> None:
    """The server does what it is asked for, and its answer is lost."""
    with scene.source.client() as client:
        push(client, layouts[0], Q, numbered(600))
    left = {PUSH: 3, SETTLE: 2}
    if way == "in" and layouts[1] == "documented":
        left |= {NOTE: 2, WRITE: 70, MARKS: 170}

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        for word in left:
            if word in chunk and link.name is not None:
                left[word] -= 1
                if not left[word]:
                    return Verdict.EXECUTE_AND_CUT
        return None

    for proxy in scene.proxies:
        proxy.rule = rule
    with Consumer(scene.target, layouts[1], Q) as worker:
        done = run(*scene.words, "-b", "50", cwd=scene.folder)
        worker.finish()

    assert max(left.values()) <= 0, "each has happened"
    assert done.status == 0, done.stderr
    assert worker.done == numbered(600) and worker.hollow == []
    assert (done.report["migrated"], done.report["already"], done.report["rejected"]) == (600, 0, 0)
    assert scene.keys(scene.source) == set()
    # The ids of tasks that were sent twice stay until the next run: a late request must find them.
    assert {key.rpartition(b":")[2] for key in scene.keys(scene.target)} == {b"migrated"}


@WAYS
@pytest.mark.parametrize("layouts", [("documented", "documented"), ("asynq", "asynq")], ids="-".join)
def test_a_suspended_move_that_is_taken_over_does_nothing_more(
    scene: Scene, way: str, layouts: tuple[LayoutName, LayoutName]
) -> None:
    """Its push is under way when it is suspended, and arrives when the other run has come to its end."""
    with scene.source.client() as client:
        push(client, layouts[0], Q, numbered(500))
    for proxy in scene.proxies:
        proxy.rule = from_nth(PUSH, 2, Verdict.WAIT)

    with Command(*scene.words, "-b", "100", cwd=scene.folder) as suspended:
        suspended.until(lambda: any(proxy.waiting for proxy in scene.proxies), "it places its second part")
        suspended.signal(signal.SIGSTOP)
        for proxy in scene.proxies:
            proxy.rule = None
        for end in (scene.source, scene.target):
            with end.client() as client:
                client.delete("runqy-loader:{j}:lease")  # its time is over
        with Consumer(scene.target, layouts[1], Q) as worker:
            done = run(*scene.words, cwd=scene.folder)
            for proxy in scene.proxies:
                proxy.go_on()
            suspended.signal(signal.SIGCONT)
            refused = suspended.wait()
            worker.finish()

    assert (done.status, done.report["migrated"]) == (0, 400), done.stderr
    assert refused.status == 1 and "was taken over by another process" in refused.stderr
    assert worker.done == numbered(500) and worker.hollow == []
    assert scene.keys(scene.source) == set()
    assert scene.keys(scene.target) == set()


@pytest.mark.parametrize("of", ["the queue", "some tasks"])
def test_what_a_full_node_refuses_is_back_in_the_source_and_nothing_of_it_in_the_target(
    cluster: Cluster, valkey: Server, tmp_path: Path, of: str
) -> None:
    with valkey.client() as client:
        push(client, "documented", Q, numbered(300))
    owner = cluster.owner(pending_key("documented", Q))
    others = [node for node in cluster.nodes if node not in (owner, cluster.owner("runqy-loader:jobs"))]
    full = owner if of == "the queue" else others[0]
    job = next(f"j{n}" for n in range(100) if cluster.owner(f"{{j{n}}}") != full)
    words = ["migrate", "--move", "--from-redis", valkey.url, "--to-redis", cluster.url, "--from-layout", "documented",
             "--from-queue", "q", "--retry-for", "0", "--report", "-", "--quiet", "--job", job,
             "--compact", "never"]  # fmt: skip
    with full.client() as client:
        client.config_set("maxmemory", 1)
        failed = run(*words, cwd=tmp_path)
        client.config_set("maxmemory", 0)

    assert_one_error(failed, "the server is at its memory limit")
    assert {key for key in cluster.dumps() if b"asynq:" in key} == set()
    assert (failed.report["put_back"], failed.report["held"]) == (300, 0)
    assert run(*words, cwd=tmp_path).report["migrated"] == 300
    with cluster.client() as client:
        assert [(one, payload_of(fields)) for one, fields in stored(client, "documented", Q)] == numbered(300)


@WAYS
@pytest.mark.parametrize("layouts", [("documented", "documented"), ("asynq", "asynq")], ids="-".join)
def test_slots_that_move_during_a_move_are_followed(
    cluster: Cluster, scene: Scene, way: str, layouts: tuple[LayoutName, LayoutName]
) -> None:
    with scene.source.client() as client:
        push(client, layouts[0], Q, numbered(1000))
    at_target = scene.of_nodes if way == "in" else [scene.of_single]
    for proxy in at_target:
        proxy.rule = from_nth(PUSH, 3, Verdict.WAIT)

    with Command(*scene.words, "-b", "100", cwd=scene.folder) as running:
        running.until(lambda: any(proxy.waiting for proxy in at_target), "it places its third part")
        keys = [pending_key(layouts[0], Q)]
        keys += [task_key(layouts[0], Q, one) for one, _ in numbered(4, first=250) if layouts[0] == "documented"]
        for key in keys:
            cluster.move(key, cluster.next_to(cluster.owner(key)))
        for proxy in at_target:
            proxy.go_on()
        done = running.wait()

    assert (done.status, done.report["migrated"]) == (0, 1000), done.stderr
    with scene.target.client() as client:
        placed = [(task_id, payload_of(fields)) for task_id, fields in stored(client, layouts[1], Q)]
    assert placed == numbered(1000)


@pytest.mark.parametrize("way", ["out", "in"])
@LAYOUTS
def test_a_replica_that_is_promoted_during_a_move_takes_over(
    cluster: Cluster, replica: RedisServer, valkey: Server, tmp_path: Path, layout: LayoutName, way: str
) -> None:
    source, target = (cluster, valkey) if way == "out" else (valkey, cluster)
    with source.client() as client:
        push(client, layout, Q, numbered(2000))
    with Proxy(valkey.port) as proxy:
        ends = (cluster.url, proxy.url) if way == "out" else (proxy.url, cluster.url)
        proxy.rule = from_nth(PUSH if way == "out" else SETTLE, 5, Verdict.WAIT)
        words = ["migrate", "--move", "--from-redis", ends[0], "--to-redis", ends[1], "--from-layout", layout,
                 "--from-queue", "q", "--report", "-", "--no-progress", "-b", "100"]  # fmt: skip
        with Command(*words, cwd=tmp_path) as running:
            running.until(lambda: proxy.waiting, "it has moved a part")
            promote(replica)
            proxy.go_on()
            done = running.wait()

    assert (done.status, done.report["migrated"]) == (0, 2000), done.stderr
    with target.client() as client:
        placed = [(task_id, payload_of(fields)) for task_id, fields in stored(client, layout, Q)]
    assert placed == numbered(2000)
