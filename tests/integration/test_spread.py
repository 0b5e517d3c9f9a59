"""``--spread``: a load into sub-queues on all nodes of a Redis Cluster."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loader import Loader, LoaderError, load
from loader.queues.spread import spread_names
from tests.cli import command, environment, run
from tests.conftest import Server
from tests.faults.helpers import until
from tests.integration.cluster import Cluster
from tests.integration.cluster import _shared_cluster as _shared_cluster
from tests.integration.cluster import shared_cluster as shared_cluster
from tests.unit.task_message_oracle import decode

NAMES = spread_names("q.default", 3)
TO_ALL = ("--queue", "q", "--spread", "3")


def write(folder: Path, count: int) -> None:
    (folder / "in.jsonl").write_text("".join(f'{{"n": {n}, "id": "t{n}"}}\n' for n in range(count)))


def loaded(cluster: Cluster, folder: Path, *arguments: str, status: int = 0) -> Any:
    given = ("in.jsonl", *TO_ALL, "--redis", cluster.url, "--report", "-", *arguments)
    done = run("load", *given, cwd=folder)
    assert done.status == status, done.stderr
    return done.report


def pending(cluster: Cluster) -> dict[str, list[int]]:
    """The records of each sub-queue, in the order in which a worker takes them."""
    found: dict[str, list[int]] = {}
    with cluster.client() as client:
        for name in NAMES:
            ids = client.lrange(f"asynq:{{{name}}}:pending", 0, -1)[::-1]
            messages = [client.hget(f"asynq:{{{name}}}:t:{task.decode()}", "msg") for task in ids]
            assert {decode(message)["queue"] for message in messages} <= {name}
            found[name] = list(map(_number, messages))
    return found


def _number(message: bytes) -> int:
    payload: Any = decode(message)["payload"]
    return int(json.loads(payload)["n"])


def test_batches_go_to_sub_queues_on_all_nodes_once_and_in_order(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 1250)

    report = loaded(shared_cluster, tmp_path, "--batch-size", "100", "--workers", "1")
    again = loaded(shared_cluster, tmp_path, "--batch-size", "70")

    assert (report["loaded"], again["loaded"], again["already_loaded"]) == (1250, 0, 1250)
    batches = [range(at, min(at + 100, 1250)) for at in range(0, 1250, 100)]
    assert pending(shared_cluster) == {
        name: [n for batch in batches[at::3] for n in batch] for at, name in enumerate(NAMES)
    }
    owners = {shared_cluster.owner(f"asynq:{{{name}}}:pending").port for name in NAMES}
    assert len(owners) == 3
    with shared_cluster.client() as client:
        assert {name.decode() for name in client.smembers("asynq:queues")} == set(NAMES)


def test_a_killed_load_goes_on_where_it_was_whatever_its_batch_size(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 100_000)
    given = ("load", "in.jsonl", *TO_ALL, "--redis", shared_cluster.url, "--batch-size", "50", "--job", "killed")
    with subprocess.Popen(command(*given), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as process:
        with shared_cluster.client() as client:
            until(lambda: all(client.llen(f"asynq:{{{name}}}:pending") > 500 for name in NAMES), "it is under way")
        process.send_signal(signal.SIGKILL)

    report = loaded(shared_cluster, tmp_path, "--batch-size", "900", "--job", "killed", "--processes", "2")

    assert report["already_loaded"] > 1500 and report["loaded"] + report["already_loaded"] == 100_000
    found = pending(shared_cluster)
    assert sorted(n for numbers in found.values() for n in numbers) == list(range(100_000))


def test_equal_ids_are_noticed_over_all_sub_queues(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 600)
    lines = (tmp_path / "in.jsonl").read_text()
    (tmp_path / "in.jsonl").write_text(lines + "".join(f'{{"n": {-n}, "id": "t{n}"}}\n' for n in range(1, 40)))

    report = loaded(shared_cluster, tmp_path, "--id-field", "id", "--batch-size", "50", status=3)

    assert (report["loaded"], report["rejected"], report["rejected_by_code"]) == (600, 39, {"id_taken": 39})
    found = pending(shared_cluster)
    assert all(len(numbers) > 150 for numbers in found.values())
    assert sorted(n for numbers in found.values() for n in numbers) == list(range(600))


@pytest.mark.parametrize("own", [(), ("--id-field", "id")])
def test_what_is_spread_is_verified_shown_waited_for_and_rolled_back(
    shared_cluster: Cluster, tmp_path: Path, own: tuple[str, ...]
) -> None:
    write(tmp_path, 300)
    report = loaded(shared_cluster, tmp_path, *own, "--batch-size", "20", "--ids-out", "ids.tsv", "--job", "spread")
    redis = ("--redis", shared_cluster.url)

    by_job = run("verify", "spread", *redis, "--report", "-", cwd=tmp_path)
    by_input = run("verify", "in.jsonl", *TO_ALL, *own, "--job", "spread", *redis, "--report", "-", cwd=tmp_path)
    shown = run("inspect", "--job", "spread", *redis, "--json", cwd=tmp_path)
    listed = run("jobs", "show", "spread", *redis, cwd=tmp_path)
    waited = run("wait", "--ids", "ids.tsv", *redis, "--out", "out", "--timeout", "0.1", cwd=tmp_path)
    ids = [line.split("\t") for line in (tmp_path / "ids.tsv").read_text().splitlines() if not line.startswith("#")]
    back = run("rollback", "spread", *redis, "--report", "-", cwd=tmp_path)

    assert report["queues"].keys() == set(NAMES)
    for found in (by_job, by_input):
        assert (found.status, found.report["same"]) == (0, 300), found.stderr
    (job,) = json.loads(shown.stdout)["jobs"]
    assert job["batches"] >= 15
    assert all(name in listed.stdout for name in NAMES)
    assert re.search(r"pending +300\n +missing +0", waited.stderr), waited.stderr
    assert {queue for _, queue in ids} == set(NAMES) and len({task for task, _ in ids}) == 300
    assert (back.status, back.report["removed"], back.report["left"]) == (0, 300, 0), back.stderr
    assert not any(pending(shared_cluster).values())


def test_a_job_keeps_its_sub_queues(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 10)
    loaded(shared_cluster, tmp_path, "--job", "kept")
    given = ("in.jsonl", "--queue", "q", "--redis", shared_cluster.url, "--layout", "asynq", "--job", "kept")

    without = run("load", *given, cwd=tmp_path)
    other = run("load", *given, "--spread", "4", cwd=tmp_path)
    elsewhere = run("load", *given[:-2], cwd=tmp_path)

    assert (without.status, other.status, elsewhere.status) == (1, 1, 1)
    assert "job kept was begun with --spread 3, not none" in without.stderr
    assert "job kept was begun with --spread 3, not 4" in other.stderr
    assert "in.jsonl is in q.default already: job kept has loaded it" in elsewhere.stderr


def test_the_node_of_a_queue_is_told_and_what_to_do(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 10)
    redis = ("--queue", "q", "--redis", shared_cluster.url)
    node = shared_cluster.owner("asynq:{q.default}:pending").port

    runqy = run("load", "in.jsonl", *redis, "--layout", "asynq", cwd=tmp_path)
    asynq = run("doctor", *redis, "--profile", "asynq", "--type", "t", "--json", cwd=tmp_path)
    documented = run("doctor", *redis, "--layout", "documented", "--json", cwd=tmp_path)

    slot = 13271
    assert (
        f"queue q.default is in slot {slot}, on node 127.0.0.1:{node}, with all of its tasks; the 2 other nodes get "
        "look-ups only. --spread 3 loads into 3 sub-queues on all nodes instead"
    ) in runqy.stderr
    assert "the 2 other nodes will not be used" in _finding(asynq.stdout, "nodes")["text"]
    assert _finding(documented.stdout, "nodes")["text"].endswith("its tasks are on all 3 nodes")


def _finding(stdout: str, name: str) -> Any:
    return next(one for one in json.loads(stdout)["findings"] if one["name"] == name)


@contextmanager
def consuming(cluster: Cluster, folder: Path, *queues: str) -> Iterator[None]:
    """``consume`` at each of these queues."""
    processes = [
        subprocess.Popen(
            command("consume", "--queue", queue, "--redis", cluster.url, "--layout", "asynq", "--quiet"),
            cwd=folder,
            env=environment(),
            stderr=subprocess.DEVNULL,
        )
        for queue in queues
    ]
    try:
        with cluster.client() as client:
            until(lambda: client.zcard("asynq:servers") == len(queues), "all are registered")
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def test_a_sub_queue_that_no_worker_serves_is_refused(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 10)
    given = ("load", "in.jsonl", *TO_ALL, "--redis", shared_cluster.url)
    with consuming(shared_cluster, tmp_path, *NAMES[:2]):
        refused = run(*given, cwd=tmp_path)
        forced = run(*given, "--force-queue", "--dry-run", cwd=tmp_path)
    assert (refused.status, forced.status) == (1, 0)
    assert f"no worker serves {NAMES[2]}: these tasks would wait for ever" in refused.stderr
    assert not any(pending(shared_cluster).values())


def test_sub_queues_that_consumers_serve_are_emptied(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 3000)
    with consuming(shared_cluster, tmp_path, *NAMES):
        report = loaded(shared_cluster, tmp_path, "--batch-size", "100")
        with shared_cluster.client() as client:
            processed = [f"asynq:{{{name}}}:processed" for name in NAMES]
            until(lambda: sum(int(client.get(key) or 0) for key in processed) == 3000, "all are done")
    assert report["loaded"] == 3000


def test_a_worker_that_asks_for_all_queues_at_once_is_told_of(shared_cluster: Cluster, tmp_path: Path) -> None:
    """runqy-worker registers so; its BRPOP over several slots is refused by a real node."""
    write(tmp_path, 10)
    with shared_cluster.client() as client:
        client.zadd("asynq:workers", {"host:1": 4_000_000_000})
        served = " ".join(f"{name}:1" for name in NAMES)
        client.hset("asynq:workers:host:1", mapping={"queues": f"map[{served}]", "status": "running"})
    with shared_cluster.nodes[0].client() as client, pytest.raises(Exception, match="same slot"):
        client.brpop([f"asynq:{{{name}}}:pending" for name in NAMES], 1)

    refused = run("load", "in.jsonl", *TO_ALL, "--redis", shared_cluster.url, cwd=tmp_path)
    forced = run("load", "in.jsonl", *TO_ALL, "--redis", shared_cluster.url, "--force-queue", cwd=tmp_path)

    assert (refused.status, forced.status) == (1, 0)
    assert "(host:1) takes the tasks of all its queues with one BRPOP" in refused.stderr
    assert "(ignored: --force-queue)" in forced.stderr


def test_sub_queues_that_are_not_configured_are_refused(shared_cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 10)
    subs = ", ".join(f"{{name: {name.partition('.')[2]}}}" for name in NAMES)
    (tmp_path / "some.yaml").write_text("queues: {q: {sub_queues: [{name: default}]}}")
    (tmp_path / "all.yaml").write_text(f"queues: {{q: {{sub_queues: [{subs}]}}}}")

    some = run("load", "in.jsonl", *TO_ALL, "--redis", shared_cluster.url, "--queues-file", "some.yaml", cwd=tmp_path)
    report = loaded(shared_cluster, tmp_path, "--queues-file", "all.yaml")
    with shared_cluster.client() as client:
        client.sadd("asynq:queues", *NAMES)  # as the runqy server does
    listed = loaded(shared_cluster, tmp_path, "--queue-check", "redis", "--again", "--job", "second")

    assert some.status == 1
    assert f"queue {NAMES[0]} does not exist in some.yaml" in some.stderr
    assert (report["loaded"], listed["loaded"]) == (10, 10)


def test_records_and_documented_tasks_are_not_spread(tmp_path: Path) -> None:
    for options, text in (
        (("--layout", "documented"), "--spread needs --layout asynq. In the documented layout, the tasks of one queue"),
        (("--queue-field", "to"), "--spread and --queue-field contradict each other"),
        (("--envelope",), "--spread and --envelope contradict each other"),
        (("--unique-ttl", "1h"), "--spread and --unique-ttl contradict each other"),
        (("--spread", "1"), "--spread must be between 2 and 256"),
    ):
        given = TO_ALL if options[0] != "--spread" else TO_ALL[:2]
        done = run("load", "in.jsonl", *given, *options, "--redis", "redis://127.0.0.1:1", cwd=tmp_path)
        assert done.status == 2
        assert text in done.stderr


def test_a_single_server_takes_a_spread_load_and_says_that_it_gains_nothing(server: Server, tmp_path: Path) -> None:
    write(tmp_path, 30)
    done = run("load", "in.jsonl", *TO_ALL, "--redis", server.url, "--batch-size", "10", cwd=tmp_path)
    assert done.status == 0
    assert "--spread helps only on a cluster of several nodes" in done.stderr
    with server.client() as client:
        assert [client.llen(f"asynq:{{{name}}}:pending") for name in NAMES] == [10, 10, 10]


def test_an_iterable_is_spread_by_the_python_api(shared_cluster: Cluster) -> None:
    async def records() -> AsyncIterator[dict[str, int]]:
        for n in range(500):
            yield {"n": n}

    report = asyncio.run(load(records(), queue="q", redis=shared_cluster.url, spread=3, batch_size=100, workers=1))
    assert report.loaded == 500
    assert {name: len(numbers) for name, numbers in pending(shared_cluster).items()} == dict(
        zip(NAMES, (200, 200, 100), strict=True)
    )
    with pytest.raises(LoaderError, match="spread"):
        Loader(queue="q", spread=300)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_node_that_takes_no_writes_for_a_while_does_not_stop_the_others(
    shared_cluster: Cluster, workers: int
) -> None:
    """Its share waits, in its order, while the shares of the other nodes go on to their end."""
    names = spread_names("q", 3)
    lists = [f"asynq:{{{name}}}:pending" for name in names]
    slow = shared_cluster.owner(lists[1])
    job = next(f"job{n}" for n in range(100) if shared_cluster.owner(f"{{job{n}}}") != slow)

    async def records() -> AsyncIterator[dict[str, int]]:
        with shared_cluster.client() as client, slow.client() as paused:

            async def until_in(*counts: int) -> None:
                await asyncio.to_thread(until, lambda: [*map(client.llen, lists)] == [*counts], f"{counts} are in")

            for n in range(9600):
                if n == 1201:
                    await until_in(400, 400, 400)
                    paused.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
                if n == 9599:
                    await until_in(3200, 400, 2800)
                    paused.execute_command("CLIENT", "UNPAUSE")
                yield {"n": n}

    given = load(
        records(),
        queue="q",
        redis=shared_cluster.url,
        spread=3,
        profile="asynq",
        type="t",
        batch_size=400,
        workers=workers,
        job=job,
        max_errors="none",
    )
    assert asyncio.run(given).loaded == 9600

    with shared_cluster.client() as client:
        for at, (name, key) in enumerate(zip(names, lists, strict=True)):
            ids = client.lrange(key, 0, -1)[::-1]
            found = [_number(client.hget(f"asynq:{{{name}}}:t:{task.decode()}", "msg")) for task in ids]
            expected = [n for n in range(9600) if n // 400 % 3 == at]
            assert (found if workers == 1 else sorted(found)) == expected


def test_start_times_are_refused_where_nothing_would_run_them_in_a_sub_queue(
    shared_cluster: Cluster, tmp_path: Path
) -> None:
    write(tmp_path, 10)
    given = ("in.jsonl", *TO_ALL, "--redis", shared_cluster.url, "--process-in", "1h")
    refused = run("load", *given, cwd=tmp_path)
    assert refused.status == 1
    assert f"is seen to serve queue {NAMES[0]}" in refused.stderr
    with shared_cluster.client() as client:
        assert not any(client.exists(f"asynq:{{{name}}}:scheduled") for name in NAMES)
