"""Inspect and export on clusters: everything of all nodes, and a clear error where a part cannot be seen."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.servers.scan import scan_all
from loader.servers.session import open_session
from loader.wire.address import parse_address
from tests.cli import Outcome, run
from tests.conftest import RedisServer
from tests.integration.cluster import Cluster, Move
from tests.integration.cluster import _shared_cluster as _shared_cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.cluster import shared_cluster as shared_cluster
from tests.integration.stored import numbered, push, task_key
from tests.integration.tool import assert_error

LAYOUTS = ("documented", "asynq")
EACH_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS)
Q = "q.default"


def tool(cluster: Cluster, folder: Path, *arguments: str) -> Outcome:
    done = run(*arguments, "--redis", cluster.url, cwd=folder)
    assert (done.status, done.stderr) == (0, ""), done
    return done


def test_queues_jobs_and_tasks_of_all_nodes_are_shown(shared_cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    with shared_cluster.client() as client:
        for number in range(6):
            push(client, "documented", f"old{number}.default", numbered(number + 1, first=10 * number))
            push(client, "asynq", f"new{number}.default", numbered(number + 1, first=10 * number))
    for number in range(3):
        loaded = ("-q", f"old{number}", "--layout", "documented", "--job", f"j{number}", "--quiet", "--force-layout")
        tool(shared_cluster, tmp_path, "load", "in.jsonl", *loaded)

    found = json.loads(tool(shared_cluster, tmp_path, "inspect", "--json").stdout)
    (queue,) = json.loads(tool(shared_cluster, tmp_path, "inspect", "--json", "--queue", "new4").stdout)["queues"]
    (job,) = json.loads(tool(shared_cluster, tmp_path, "inspect", "--json", "--job", "j2").stdout)["jobs"]
    shown = json.loads(tool(shared_cluster, tmp_path, "inspect", "--json", "--task", "task-0000031").stdout)

    counted = {(one["layout"], one["queue"]): one["pending"] for one in found["queues"]}
    expected = {("asynq", f"new{n}.default"): n + 1 for n in range(6)}
    expected |= {("documented", f"old{n}.default"): n + 1 + 2 * (n < 3) for n in range(6)}
    assert counted == expected
    assert {(one["job"], one["state"], one["batches"]) for one in found["jobs"]} == {
        (f"j{n}", "done", 1) for n in range(3)
    }
    assert (queue["pending"], job["state"], job["batches"]) == (5, "done", 1)
    assert [(one["layout"], one["queue"], one["ahead"]) for one in shown] == [
        ("documented", "old3.default", 1),
        ("asynq", "new3.default", 1),
    ]


@EACH_LAYOUT
@pytest.mark.parametrize("by", ["list", "scan"])
def test_an_export_has_each_task_once(shared_cluster: Cluster, tmp_path: Path, layout: str, by: str) -> None:
    with shared_cluster.client() as client:
        push(client, layout, Q, numbered(3000))
        push(client, layout, "r.default", numbered(100, first=5000))

    done = tool(shared_cluster, tmp_path, "export", "-q", "q", "--layout", layout, "--by", by, "--quiet")

    ids = [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert sorted(ids) == [one for one, _ in numbered(3000)]
    assert by == "scan" or ids == sorted(ids)


def test_a_queue_that_does_not_exist_is_told_with_similar_ones_of_all_nodes(
    shared_cluster: Cluster, tmp_path: Path
) -> None:
    with shared_cluster.client() as client:
        for name in ("mails", "mailed", "mailer"):
            push(client, "documented", f"{name}.default", numbered(1))

    failed = run("export", "-q", "maill", "--layout", "documented", "--redis", shared_cluster.url, cwd=tmp_path)

    assert_error(failed, 1, "there is no queue maill.default")
    assert all(f"{name}.default" in failed.stderr for name in ("mails", "mailed", "mailer"))


# --- a search during which slots move -----------------------------------------------------------------------------


def searched(server: Cluster | RedisServer, between: Callable[[int], None]) -> Counter[bytes]:
    """The keys that a search finds, where ``between(n)`` runs after the n-th step."""

    async def search() -> Counter[bytes]:
        names, found = itertools.count(), Counter[bytes]()
        url = server.url if isinstance(server, Cluster) else f"redis://127.0.0.1:{server.port}/0"
        async with open_session(parse_address(url), 10, 30, lambda: f"test:{next(names)}") as session:
            steps = itertools.count(1)
            async for keys in scan_all(session.servers, session.repeat, "asynq:t:*", step=100):
                found.update(keys)
                await asyncio.to_thread(between, next(steps))
        return found

    return asyncio.run(search())


@pytest.fixture
def filled(cluster: Cluster) -> list[str]:
    """Keys of tasks on all nodes, by the name of each."""
    with cluster.client() as client:
        push(client, "documented", Q, numbered(2000))
    return [task_key("documented", Q, one) for one, _ in numbered(2000)]


def to_what_is_searched(cluster: Cluster, keys: list[str]) -> list[Move]:
    """Moves of some slots of the last node to the first, which is searched before it."""
    last, first = cluster.nodes[2], cluster.nodes[0]
    with last.client() as client:
        moved = [key for key in keys if client.cluster("KEYSLOT", key) > 10_923][:20]
    return [Move(cluster, key, first) for key in moved]


def test_keys_that_move_to_a_node_that_is_searched_already_are_found(cluster: Cluster, filled: list[str]) -> None:
    moves = to_what_is_searched(cluster, filled)

    def move(step: int) -> None:
        if step == 12:  # the search is at its second node, or at the end of the first
            for one in moves:
                one.begin()
                one.end()

    found = searched(cluster, move)

    assert set(found) == {key.encode() for key in filled}
    assert max(found.values()) > 1, "there was another pass"


def test_keys_that_move_while_nobody_tells_the_new_owner_are_found(cluster: Cluster, filled: list[str]) -> None:
    """The slots have not changed their owner when the search ends."""
    moves = to_what_is_searched(cluster, filled)

    def move(step: int) -> None:
        if step == 12:
            for one in moves:
                one.begin()
                one.move_keys()

    found = searched(cluster, move)

    assert set(found) == {key.encode() for key in filled}


def test_a_search_begins_again_with_a_server_that_was_restarted(redis_server: Callable[..., RedisServer]) -> None:
    """The cursor of a process means nothing to the next one, whose tables have another order."""
    server = redis_server("--appendonly", "yes")
    with server.start().client() as client:
        push(client, "documented", Q, numbered(2000))

    def restart(step: int) -> None:
        if step in (5, 30):
            server.kill()
            server.start()

    assert set(searched(server, restart)) == {f"asynq:t:{one}".encode() for one, _ in numbered(2000)}


def test_without_the_right_to_see_moves_all_nodes_are_searched_twice(cluster: Cluster, filled: list[str]) -> None:
    for node in cluster.nodes:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-cluster|nodes")

    found = searched(cluster, lambda step: None)

    assert set(found) == {key.encode() for key in filled}
    assert min(found.values()) >= 2
