"""``watch`` where there is no terminal, and the Python API: lines, JSON, and what it costs the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runqy_loader
from tests.cli import command, environment, run
from tests.conftest import RedisServer, Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import Consumer, numbered, push, until
from tests.integration.test_look import OWN

READS = {"llen", "zcard", "exists", "get", "hget", "hmget", "lrange", "lpos", "smembers", "sismember"}


def looks(url: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run("watch", "--redis", url, "--json", *arguments, cwd=folder)
    assert (done.status, done.stderr) == (0, ""), done
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_look_is_a_line_of_json(server: Server, client: Any, tmp_path: Path) -> None:
    push(client, "asynq", "a.default", numbered(3))
    push(client, "documented", "b.default", numbered(4, first=10))

    first, second = looks(server.url, tmp_path, "-q", "a", "-q", "b.default", "-n", "2", "-i", "0.1")

    assert first["seconds"] == 0 and second["seconds"] > 0 and second["time"] > first["time"]
    assert (first["missing"], first["left_out"]) == ([], 0)
    asynq, documented = second["queues"]
    assert asynq.pop("oldest_pending_seconds") >= 0
    states = {"active": 0, "scheduled": 0, "retry": 0, "archived": 0, "completed": 0, "paused": False, "times": None}
    unknown = {"processed": None, "failed": None, "processed_per_second": None, "failed_per_second": None}
    changes = {"pending_change_per_second": 0.0, "enqueued_per_second": 0.0}
    assert asynq == {"queue": "a.default", "layout": "asynq", "pending": 3, **states, **unknown, **changes}
    assert documented == {
        "queue": "b.default",
        "layout": "documented",
        "pending": 4,
        "oldest_pending_seconds": None,
        **states,
        **unknown,
        **changes,
        "enqueued_per_second": None,
    }
    assert first["queues"][0]["pending_change_per_second"] is None


def test_without_a_name_the_queues_of_the_server_are_watched(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "a.default", numbered(1))
        push(client, "documented", "b.default", numbered(2))
        push(client, "documented", "not-listed", numbered(2))
        client.sadd("asynq:queues", "b.default")

    (seen,) = looks(valkey.url, tmp_path, "-n", "1")

    found = [(queue["queue"], queue["layout"], queue["pending"]) for queue in seen["queues"]]
    assert found == [("a.default", "asynq", 1), ("b.default", "asynq", 0), ("b.default", "documented", 2)]


def test_at_most_a_hundred_queues_are_looked_at(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.sadd("asynq:queues", *[f"q{number:03}" for number in range(130)])

    (seen,) = looks(valkey.url, tmp_path, "-n", "1")

    assert [queue["queue"] for queue in seen["queues"]] == [f"q{number:03}" for number in range(100)]
    assert seen["left_out"] == 30


def test_a_queue_that_does_not_exist_yet_is_found_when_it_does(valkey: Server, tmp_path: Path) -> None:
    arguments = command("watch", "--redis", valkey.url, "--json", "-q", "late", "-i", "0.1")
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        with valkey.client() as client:
            push(client, "documented", "late.default", numbered(5))
        while not (seen := json.loads(running.stdout.readline()))["queues"]:
            pass
        with valkey.client() as client:
            client.delete("asynq:late.default:pending")
        while (drained := json.loads(running.stdout.readline()))["queues"][0]["pending"]:
            pass
        running.terminate()

    assert (first["queues"], first["missing"]) == ([], ["late"])
    assert seen["queues"][0]["queue"] == "late.default" and seen["missing"] == []
    assert drained["queues"][0]["layout"] == "documented" and drained["missing"] == []


def test_people_without_a_terminal_get_a_line_for_each_queue(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "a.default", numbered(3))

    done = run("watch", "--redis", valkey.url, "-q", "a", "-q", "none", "-n", "2", "-i", "0.1", cwd=tmp_path)

    assert (done.status, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()]
    assert lines[0].startswith("a.default (asynq): 3 pending · 0 active · oldest ")
    assert lines[1] == "none: no such queue yet"
    assert lines[2].startswith("a.default (asynq): 3 pending (0/s) · 0 active · oldest ")


def test_a_server_without_queues_is_told(valkey: Server, tmp_path: Path) -> None:
    done = run("watch", "--redis", valkey.url, "-n", "1", cwd=tmp_path)
    assert done.status == 0 and "asynq:queues" in done.stdout


def test_it_ends_after_a_time(valkey: Server, tmp_path: Path) -> None:
    assert len(looks(valkey.url, tmp_path, "--for", "0")) == 1
    seen = looks(valkey.url, tmp_path, "--for", "0.5", "-i", "0.1")
    assert 1 <= len(seen) <= 6  # a look for which it is too late is left out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_its_usual_end(valkey: Server, tmp_path: Path, number: signal.Signals) -> None:
    arguments = command("watch", "--redis", valkey.url, "--json", "-i", "0.1")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), **streams) as running:  # type: ignore[call-overload]
        running.stdout.readline()
        running.send_signal(number)
        _, complaint = running.communicate()

    assert (running.returncode, complaint) == (0, b"")


@pytest.mark.parametrize("sampled", [0, 20])
def test_it_only_reads_with_the_rights_of_the_docs_and_its_commands_are_bounded(
    server: Server, client: Any, tmp_path: Path, sampled: int
) -> None:
    push(client, "asynq", "a.default", numbered(5000))
    push(client, "documented", "b.default", numbered(5000, first=5000))
    rights = ["+ping", "+llen", "+zcard", "+exists", "+get", "+lrange", "+hmget", "+smembers", "+sismember"]
    rights += ["+hget", "+lpos"] if sampled else []
    client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~asynq:*", *rights)
    client.config_resetstat()
    try:
        url = server.url.replace("redis://", "redis://reader:secret@")
        seen = looks(url, tmp_path, "-q", "a", "-q", "b", "-n", "5", "-i", "0.1", "--sample-tasks", str(sampled))
    finally:
        client.execute_command("ACL", "DELUSER", "reader")

    assert [queue["pending"] for queue in seen[-1]["queues"]] == [5000, 5000]
    stats = client.info("commandstats")
    sent = {name.removeprefix("cmdstat_").split("|")[0]: one["calls"] for name, one in stats.items()}
    sent = {name: calls for name, calls in sent.items() if name not in OWN | {"acl"}}
    assert set(sent) <= READS
    # Two names of two layouts are looked for once; then each look costs what docs/watch.md says.
    a_look = 16 + 2 + (2 * (1 + 2) + 20 * 2 + 20 * 4 if sampled else 0)
    assert sum(sent.values()) <= 12 + 5 * a_look


def test_tasks_that_workers_take_are_timed(server: Server, client: Any, tmp_path: Path) -> None:
    options = ("-q", "a", "-q", "b", "-i", "0.1", "--sample-tasks", "50")
    arguments = command("watch", "--redis", server.url, "--json", *options)
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        push(client, "asynq", "a.default", numbered(1))
        push(client, "documented", "b.default", numbered(1, first=1))
        while True:  # until both queues are known and their next tasks are followed
            push(client, "asynq", "a.default", numbered(2, first=client.incrby("n", 2)))
            push(client, "documented", "b.default", numbered(2, first=client.incrby("n", 2) + 10**6))
            queues = json.loads(running.stdout.readline())["queues"]
            if len(queues) == 2 and all(queue["times"]["following"] for queue in queues):
                break
        with Consumer(server, "asynq", "a.default"), Consumer(server, "documented", "b.default"):
            pass
        while not all(queue["times"]["to_completion"] for queue in json.loads(running.stdout.readline())["queues"]):
            pass
        running.terminate()
        last = [json.loads(line) for line in running.stdout][-1:]
    for queue in last[0]["queues"] if last else []:
        for kind in ("in_queue", "to_completion"):
            times = queue["times"][kind]
            assert times["sampled"] >= 1 and 0 < times["p50"] <= times["p99"] <= times["max"]
    assert running.returncode == 0


def test_a_server_that_comes_back_is_watched_again(redis_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = redis_server()
    url = server.start().url
    arguments = command("watch", "--redis", url, "--json", "-q", "q", "-i", "0.1", "--retry-for", "60")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), **streams) as running:  # type: ignore[call-overload]
        running.stdout.readline()
        server.stop()
        complaint = running.stderr.readline().decode()
        server.start()
        back = running.stderr.readline().decode()
        running.stdout.readline()
        running.terminate()
        running.communicate()

    assert "trying again" in complaint or "reconnecting" in complaint, complaint
    assert back.startswith("runqy-loader: ")
    assert running.returncode == 0


def test_a_server_that_stays_away_is_an_error(redis_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = redis_server()
    url = server.start().url
    arguments = command("watch", "--redis", url, "--json", "-q", "q", "-i", "0.1", "--retry-for", "0.5")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), **streams) as running:  # type: ignore[call-overload]
        running.stdout.readline()
        server.stop()
        _, complaint = running.communicate()

    assert running.returncode == 1
    assert complaint.decode().splitlines()[-1].startswith("runqy-loader: error: ")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--interval", "0.01"), 2, "--interval"),
        (("--interval", "soon"), 2, "soon"),
        (("--count", "0"), 2, "--count"),
        (("--sample-tasks", "1001"), 2, "--sample-tasks"),
        (("-q", "a b"), 2, "a b"),
        (("-q", ""), 2, "--queue"),
        (("--redis", "http://x"), 2, "URL"),
        (("--redis", "redis://127.0.0.1:1"), 1, "connection refused"),
    ],
)
def test_wrong_use_is_one_line(
    valkey: Server, tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = run("watch", "-n", "1", *arguments, cwd=tmp_path, env={"REDIS_URL": valkey.url})

    assert (done.status, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1 and words in done.stderr


def test_a_reader_that_goes_away_ends_it(valkey: Server, tmp_path: Path) -> None:
    arguments = command("watch", "--redis", valkey.url, "--json", "-i", "0.1")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), **streams) as running:  # type: ignore[call-overload]
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


def test_queues_of_a_cluster_are_watched(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.client() as client:
        for number in range(6):
            push(client, "asynq", f"q{number}", numbered(number + 1))

    (seen,) = looks(cluster.url, tmp_path, "-n", "1")

    assert [queue["pending"] for queue in seen["queues"]] == [1, 2, 3, 4, 5, 6]


def test_programs_watch_with_a_loop(valkey: Server) -> None:
    async def watch() -> list[runqy_loader.Observation]:
        found = runqy_loader.watch_queues(queue=("q",), redis=valkey.url, interval=0.1, count=3)
        return [observation async for observation in found]

    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(2))
    observations = asyncio.run(watch())

    assert [[one.state.pending for one in seen.queues] for seen in observations] == [[2], [2], [2]]
    assert observations[-1].queues[0].rates.enqueued == 0


def test_errors_of_programs_name_parameters() -> None:
    with pytest.raises(runqy_loader.UsageError, match=r"^interval must be at least"):
        runqy_loader.watch_queues(interval=0.001)
    with pytest.raises(runqy_loader.UsageError, match=r"^queue must be a list"):
        runqy_loader.watch_queues(queue="q")  # type: ignore[arg-type]


def test_a_program_may_leave_the_loop_at_any_time(valkey: Server) -> None:
    async def first() -> int:
        found = runqy_loader.watch_queues(redis=valkey.url)
        observation = await anext(found)
        await found.aclose()
        return len(observation.queues)

    assert asyncio.run(first()) == 0
    with valkey.client() as client:
        until(
            lambda: not [one for one in client.client_list() if one["name"].startswith("runqy-loader:watch")],
            "the connection is closed",
        )


def test_the_time_of_for_ends_a_watch_whose_server_is_gone(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = redis_server()
    url = server.start().url
    arguments = command("watch", "--redis", url, "--json", "--for", "2s", "--interval", "0.2s", "--retry-for", "1h")
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        server.stop()
        _, said = running.communicate(timeout=120)

    assert running.returncode == 1
    assert "did not answer until the time of --for was over" in said.decode()


def test_signals_end_it_although_nobody_reads_what_it_prints(valkey: Server, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    longer_than_a_pipe = (word for number in range(1000) for word in ("-q", f"q{number:099}"))
    arguments = command("watch", "--redis", valkey.url, "--json", *longer_than_a_pipe)
    with subprocess.Popen(arguments, stdout=writer, cwd=tmp_path, env=environment()) as watching:
        try:
            until(lambda: select.select([reader], [], [], 0.1)[0], "it prints")
            for _ in range(50):  # the signals of a number that come at once are one
                if watching.poll() is None:
                    watching.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        watching.wait(0.5)

            assert watching.poll() == 130
        finally:
            watching.kill()
            os.close(reader)
            os.close(writer)
