"""Loads on a Dask cluster of real processes, without faults; those are in tests/faults/test_dask.py."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.engine.dask import cluster as cluster_module
from loader.engine.dask.cluster import connected
from loader.errors import LoaderError
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.dask_cluster import DaskCluster, SmallShards
from tests.dask_cluster import client as client
from tests.faults.helpers import (
    Command,
    assert_adds_up,
    assert_each_once,
    numbered,
    payload,
    rejected_lines,
    tasks,
    write_lines,
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask"), 2) as cluster:
        yield cluster


def dask_load(cluster: DaskCluster, server: Server, cwd: Path, *arguments: str | Path, size: int = 3000) -> Outcome:
    """A load with shards of about so many bytes."""
    with SmallShards(
        size, *arguments, "--redis", server.url, "--report", "-", "--engine", "dask", "--scheduler", cluster.address,
        cwd=cwd,
    ) as running:  # fmt: skip
        return running.wait()


def test_a_load_with_bad_records_and_ids_has_one_report_and_one_file_of_each(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    lines = [payload(n) if n % 50 else b"{bad" for n in range(1, 501)]
    write_lines(tmp_path / "in.jsonl", lines)
    good = [line for line in lines if line != b"{bad"]
    arguments = ("in.jsonl", "-q", "q", "-b", "10", "--rejects", "r.jsonl", "--ids-out", "ids.txt", "--job", "j")

    done = dask_load(cluster, valkey, tmp_path, *arguments)

    assert done.status == 3, done.stderr
    assert_adds_up(done, loaded_in_all=len(good), rejected=10)
    assert done.report["rejected_by_code"] == {"invalid_json": 10}
    assert_each_once(client, good)
    bad = [("in.jsonl", n) for n in range(50, 501, 50)]
    assert sorted(rejected_lines(tmp_path / "r.jsonl")) == bad
    written = (tmp_path / "ids.txt").read_text().splitlines()[1:]
    assert sorted(line.split("\t")[0] for line in written) == sorted(one for one, _ in tasks(client)["q.default"])

    # The same on this machine: nothing is loaded or rejected twice, and no file has a line twice.
    again = run("load", *arguments, "--redis", valkey.url, "--report", "-", cwd=tmp_path)
    assert again.report["resumed"] and again.report["already_loaded"] == len(good)
    assert sorted(rejected_lines(tmp_path / "r.jsonl")) == bad
    assert len((tmp_path / "ids.txt").read_text().splitlines()) == 1 + len(good)


def test_a_job_begun_here_goes_on_there(cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 400)
    arguments = ("in.jsonl", "-q", "q", "-b", "10", "--job", "j", "--stop-at-memory", "1")
    with SmallShards(3000, *arguments[:-2], "--redis", valkey.url, "--rate", "400/s", cwd=tmp_path) as running:
        running.until(lambda: client.llen("asynq:q.default:pending") >= 100, "a part is in")
        running.signal(2)
        assert running.wait().status == 130

    done = dask_load(cluster, valkey, tmp_path, *arguments[:-2])

    assert done.status == 0, done.stderr
    assert done.report["already_loaded"] >= 100
    assert_adds_up(done, loaded_in_all=400)
    assert_each_once(client, lines)


def test_records_that_name_their_queues_and_ids(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", (b'{"to":"q%d","id":"x%d"}' % (n % 3, n) for n in range(300)))

    done = dask_load(
        cluster, valkey, tmp_path, "in.jsonl", "--queue-field", "to", "--id-field", "id", "-b", "10", "--job", "j"
    )

    assert done.status == 0, done.stderr
    assert done.report["queues"] == {f"q{n}.default": 100 for n in range(3)}
    shown = run("jobs", "show", "j", "--json", "--redis", valkey.url, cwd=tmp_path)
    assert json.loads(shown.stdout)["tasks"] == 300
    taken_back = run("rollback", "j", "--redis", valkey.url, "--ids", "x", cwd=tmp_path)
    assert taken_back.status in (1, 2), "its ids are in no file"


def test_no_key_of_a_job_is_left_when_it_is_rolled_back(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 200)
    assert dask_load(cluster, valkey, tmp_path, "in.jsonl", "-q", "q", "-b", "10", "--job", "j").status == 0
    assert client.keys("*:claim"), "each shard has one"

    assert run("rollback", "j", "--redis", valkey.url, cwd=tmp_path).status == 0

    assert client.keys("*:claim") == []
    assert client.llen("asynq:q.default:pending") == 0


def test_too_many_bad_records_of_all_workers_together(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", (payload(n) if n % 10 else b"{bad" for n in range(1, 2001)))

    done = dask_load(cluster, valkey, tmp_path, "in.jsonl", "-q", "q", "-b", "10", "--max-errors", "20")

    assert done.status == 1
    assert "more than --max-errors 20 records rejected" in done.stderr
    assert 0 < client.llen("asynq:q.default:pending") < 1800
    kept = rejected_lines(Path(done.report["rejects_file"]))
    assert len(kept) == len(set(kept)) > 0, "those that have ended it can be seen"


def test_an_input_that_is_bad_from_the_beginning_loads_nothing(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", (b"{bad" for _ in range(2000)))

    done = dask_load(cluster, valkey, tmp_path, "in.jsonl", "-q", "q", "-b", "10", "--force-format", size=20_000)

    assert done.status == 1
    assert "nothing was loaded" in done.stderr
    assert client.dbsize() == 0


@pytest.mark.parametrize("limit", [(), ("--max-errors", "10%")], ids=["default", "percent"])
@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
def test_a_short_first_file_is_judged_together_with_what_follows(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path, is_good: bool, limit: tuple[str, ...]
) -> None:
    first = [payload(n) if n % 3 == 0 else b"{bad" for n in range(30)]
    others = [payload(n) if is_good or n % 3 == 0 else b"{bad" for n in range(1000, 7000)]
    write_lines(tmp_path / "a.jsonl", first)
    write_lines(tmp_path / "b.jsonl", others)
    arguments = ("a.jsonl", "b.jsonl", "-q", "q", "-b", "10", "--job", "j", "--force-format", *limit)

    done = dask_load(cluster, valkey, tmp_path, *arguments, size=100_000)

    if is_good:
        assert done.status == 3, done.stderr
        assert_adds_up(done, loaded_in_all=10 + len(others), rejected=20)
        assert_each_once(client, [line for line in first + others if line != b"{bad"])
    else:
        assert done.status == 1, done.stderr
        assert "records are bad" in done.stderr
        assert client.llen("asynq:q.default:pending") == 10, "only what comes before was loaded"


@pytest.mark.parametrize(
    ("extra", "counted"), [(("--dry-run",), "valid"), (("--redis", "discard"), "loaded")], ids=["dry run", "discard"]
)
def test_loads_that_write_nothing(cluster: DaskCluster, tmp_path: Path, extra: tuple[str, ...], counted: str) -> None:
    numbered(tmp_path / "in.jsonl", 300)
    with SmallShards(
        3000, "in.jsonl", "-q", "q", "--layout", "asynq", *extra, "--report", "-", "--engine", "dask", "--scheduler",
        cluster.address, cwd=tmp_path,
    ) as running:  # fmt: skip
        done = running.wait()

    assert done.status == 0, done.stderr
    assert done.report[counted] == 300


def test_a_file_that_a_worker_cannot_see_is_one_error_that_names_worker_and_file(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    numbered(path, 3000)
    hidden = tmp_path / "hidden"

    with SmallShards(
        3000, path, "-q", "q", "-b", "10", "--redis", valkey.url, "--engine", "dask", "--scheduler", cluster.address,
        cwd=tmp_path,
    ) as running:  # fmt: skip
        running.until(lambda: client.llen("asynq:q.default:pending"), "it loads")
        path.rename(hidden)
        done = running.wait()

    assert done.status == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
    assert "Dask worker w" in error and str(path) in error and "No such file" in error


def test_without_a_scheduler_a_cluster_of_this_machine_loads(valkey: Server, client: Any, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 200)

    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--report", "-", "--engine", "dask", cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert "no Dask scheduler is given" in done.stderr
    assert_each_once(client, lines)


def test_workers_of_this_machine_that_do_not_start_are_not_waited_for(valkey: Server, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import sys\nif 'distributed.cli.dask_worker' in sys.orig_argv:\n    raise SystemExit('so')\n"
    )

    done = run(
        "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--engine", "dask", cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "broken")},
    )  # fmt: skip

    assert done.status == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
    assert "the Dask workers of this machine have ended (status 1). Run the same command again" in error
    assert "If they end at once, see what this says: " in error and "dask_worker" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-", "--engine", "dask"), "it can be read only once"),
        (("in.jsonl", "--engine", "dask", "--rate", "10/s"), "contradict each other"),
        (("in.jsonl", "--engine", "dask", "--dedup", "n"), "contradict each other"),
        (("in.jsonl", "--scheduler", "tcp://127.0.0.1:1"), "--scheduler needs --engine dask"),
        (("in.jsonl", "--engine", "dask", "--scheduler", "nowhere"), "must be an address"),
        (("in.jsonl", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1"), "no Dask scheduler answers"),
        (("in.jsonl", "--engine", "dask", "--scheduler", "tls://127.0.0.1:1"), "has no certificates"),
        (("in.jsonl", "--engine", "dask", "--detach"), "--detach needs --scheduler"),
    ],
)
def test_what_cannot_work_is_said(
    valkey: Server, client: Any, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    done = run("load", *arguments, "-q", "q", "--redis", valkey.url, cwd=tmp_path, stdin=b"1\n")

    assert done.status in (1, 2)
    assert words in done.stderr
    assert client.llen("asynq:q.default:pending") == 0
    if not any(word.startswith(("tcp://", "tls://")) for word in arguments):  # with its scheduler, the job may go on
        assert client.keys("runqy-loader*") == [], "a load that can never work begins no job"


def test_a_detached_load_that_is_interrupted_before_a_worker_comes_is_taken_back(
    valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    with DaskCluster(tmp_path, 0) as empty:
        with Command(
            "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--engine", "dask", "--scheduler", empty.address,
            "--detach", "--rejects", "r.jsonl", cwd=tmp_path,
        ) as running:  # fmt: skip
            running.until(lambda: empty.tasks == 1, "its driver waits for a worker")
            running.signal(signal.SIGINT)
            assert running.wait().status == 130
        assert empty.tasks == 0


def test_a_scheduler_that_dies_before_a_detached_load_begins_ends_the_command(
    valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    with DaskCluster(tmp_path, 0) as empty, Command(
        "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--engine", "dask", "--scheduler", empty.address,
        "--detach", "--rejects", "r.jsonl", cwd=tmp_path,
    ) as running:  # fmt: skip
        running.until(lambda: empty.tasks == 1, "its driver waits for a worker")
        assert empty.scheduler is not None
        empty.kill(empty.scheduler.pid)
        done = running.wait()

    assert done.status == 1, done.stderr
    assert "the Dask scheduler has forgotten its tasks" in done.stderr


def test_workers_without_the_loader_are_one_error_and_stay(valkey: Server, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "loader.py").write_text("raise ModuleNotFoundError(\"No module named 'loader'\")")
    with DaskCluster(tmp_path, 0) as own:
        own.add_worker(PYTHONPATH=str(hidden))
        for extra in ((), ("--detach", "--rejects", "r.jsonl")):
            done = run(
                "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--engine", "dask", "--scheduler", own.address,
                *extra, cwd=tmp_path,
            )  # fmt: skip
            assert done.status == 1
            assert "cannot import what the load needs" in done.stderr
        assert own.workers[0].poll() is None


_BROKEN = """
from loader.engine.dask import host

def broken(self, task):
    raise LookupError("so")

host._Host.run = broken
"""
"""Runs in a worker before its first task."""


def test_any_error_in_a_worker_is_one_line_and_its_log_has_the_traceback(
    valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    preload = tmp_path / "broken.py"
    preload.write_text(_BROKEN)
    with DaskCluster(tmp_path, 1, DASK_DISTRIBUTED__WORKER__PRELOAD=json.dumps([str(preload)])) as own:
        done = dask_load(own, valkey, tmp_path, "in.jsonl", "-q", "q", "--job", "j")

        assert done.status == 1
        (error,) = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
        assert error.startswith("runqy-loader: error: Dask worker w1 ")
        assert " failed: LookupError: so. Its log has the traceback. " in error
        assert "in broken" in own.logs()


def test_a_server_that_is_no_dask_scheduler_is_not_waited_for(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_ANSWER_SECONDS", 1.0)

    async def connect() -> None:
        async with connected(f"tcp://127.0.0.1:{valkey.port}"):
            pytest.fail("a Redis server is no scheduler")

    with pytest.raises(LoaderError, match="no Dask scheduler answers"):
        asyncio.run(connect())


def test_nobody_can_look_on_at_a_job_that_is_not_there_or_not_on_a_cluster(
    valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    assert run("load", "in.jsonl", "-q", "q", "--job", "j", "--redis", valkey.url, cwd=tmp_path).status == 0

    none = run("jobs", "attach", "none", "--redis", valkey.url, cwd=tmp_path)
    local = run("jobs", "attach", "j", "--redis", valkey.url, cwd=tmp_path)

    assert none.status == 1 and "there is no job none" in none.stderr
    assert local.status == 1 and "is not loaded by anybody" in local.stderr
