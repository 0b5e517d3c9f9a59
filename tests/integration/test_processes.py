"""Several processes share one job: same tasks, same guarantee, one report."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli import command, environment, read_until, run
from tests.conftest import Server
from tests.faults.proxy import Proxy
from tests.integration.stored import until

PENDING = "asynq:q.default:pending"
RECORDS = 9000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 54 MB: four shards."""
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    filler = "x" * 6000
    with path.open("w") as file:
        for number in range(RECORDS):
            file.write(json.dumps({"n": number, "filler": filler}) + "\n")
    return path


def numbers_loaded(client: Any) -> list[int]:
    ids = client.lrange(PENDING, 0, -1)
    assert len(set(ids)) == len(ids)
    found: list[int] = []
    for start in range(0, len(ids), 1000):
        with client.pipeline(transaction=False) as pipe:
            for task_id in ids[start : start + 1000]:
                pipe.hget(f"asynq:t:{task_id.decode()}", "payload")
            found += [json.loads(payload)["n"] for payload in pipe.execute()]
    return found


def test_all_records_are_loaded_once_with_the_ids_that_one_process_gives_them(
    server: Server, client: Any, large: Path, tmp_path: Path
) -> None:
    arguments = ("load", large, "-q", "q", "--redis", server.url, "--report", "-")
    alone = run(*arguments, cwd=tmp_path)
    ids = set(client.lrange(PENDING, 0, -1))
    client.flushall()

    shared = run(*arguments, "--processes", "3", cwd=tmp_path)

    assert (alone.status, shared.status) == (0, 0), shared.stderr
    assert (alone.report["processes"], shared.report["processes"]) == (1, 3)
    assert shared.report["loaded"] == shared.report["records_read"] == RECORDS
    assert shared.report["bytes_read"] == large.stat().st_size
    assert set(client.lrange(PENDING, 0, -1)) == ids
    assert sorted(numbers_loaded(client)) == list(range(RECORDS))


def test_a_module_of_the_users_with_the_name_of_this_package_is_not_run(
    valkey: Server, large: Path, tmp_path: Path
) -> None:
    (tmp_path / "loader.py").write_text("raise SystemExit('the module of the user')")
    program = Path(sys.executable).with_name("runqy-loader")  # "python -m" itself looks for modules in the folder first
    arguments = ("load", large, "-q", "q", "--redis", valkey.url, "-p", "2", "--report", "-", "--quiet")

    done = subprocess.run([program, *arguments], cwd=tmp_path, env=environment(), capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    report = json.loads(done.stdout)
    assert (report["loaded"], report["processes"]) == (RECORDS, 2)


def test_a_job_goes_on_with_another_number_of_processes(valkey: Server, large: Path, tmp_path: Path) -> None:
    arguments = ("load", large, "-q", "q", "--redis", valkey.url, "--no-progress")
    chance = random.Random(5)
    with valkey.client() as client:
        for processes in ("2", "3", "1", "2"):
            loading = subprocess.Popen(
                command(*arguments, "--processes", processes),
                cwd=tmp_path,
                env=environment(),
                stderr=subprocess.DEVNULL,
            )
            before = client.llen(PENDING)
            goal = before + chance.randrange(300, 1500)
            while loading.poll() is None and client.llen(PENDING) < goal:
                time.sleep(0.002)
            loading.send_signal(signal.SIGKILL)
            loading.wait()

        done = run(*arguments, "--processes", "2", "--report", "-", cwd=tmp_path)

        assert done.status == 0, done.stderr
        assert done.report["loaded"] + done.report["already_loaded"] == RECORDS
        assert sorted(numbers_loaded(client)) == list(range(RECORDS))


def test_an_interrupt_stops_all_processes_and_leaves_a_job_to_resume(
    valkey: Server, large: Path, tmp_path: Path
) -> None:
    with valkey.client() as client, Proxy(valkey.port) as proxy:
        arguments = ("load", large, "-q", "q", "--redis", proxy.url, "--processes", "2", "--report", "-")
        proxy.halt_after(5)
        loading = subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        until(lambda: proxy.waiting or loading.poll() is not None, "some batches are in")
        os.killpg(loading.pid, signal.SIGINT)  # as a terminal does
        assert loading.stderr is not None
        read_until(loading.stderr.fileno(), "stopping")
        proxy.go_on()
        stdout, stderr = loading.communicate()
        assert loading.returncode == 130, stderr
        assert json.loads(stdout)["loaded"] == client.llen(PENDING) < RECORDS
        assert b"Traceback" not in stderr

        done = run(*arguments, cwd=tmp_path)
        assert done.status == 0, done.stderr
        assert sorted(numbers_loaded(client)) == list(range(RECORDS))


def test_a_bad_record_far_into_the_file_is_named_by_its_line_and_offset(valkey: Server, tmp_path: Path) -> None:
    lines = [b'{"filler": "%s"}' % (b"x" * 6000)] * RECORDS
    lines[7777] = b"bad"
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))

    done = run(
        "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "-p", "2", "--rejects", "bad.jsonl", "--report", "-",
        cwd=tmp_path,
    )  # fmt: skip

    assert done.status == 3, done.stderr
    assert (done.report["loaded"], done.report["rejected"]) == (RECORDS - 1, 1)
    reject = json.loads((tmp_path / "bad.jsonl").read_text())
    assert (reject["source"], reject["line"], reject["record"]) == ("in.jsonl", 7778, "bad")
    assert reject["byte_offset"] == 7777 * (len(lines[0]) + 1)


def test_a_failure_of_one_process_is_told_once_and_stops_the_others(
    valkey: Server, large: Path, tmp_path: Path
) -> None:
    with valkey.client() as client:
        client.set(PENDING, "in the way")

    done = run("load", large, "-q", "q", "--redis", valkey.url, "-p", "2", "--no-progress", cwd=tmp_path)

    assert done.status == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
    assert len(errors) == 1
    assert PENDING in errors[0]
    assert "Traceback" not in done.stderr


def test_what_comes_from_a_pipe_is_loaded_by_one_process(valkey: Server, tmp_path: Path) -> None:
    done = run("load", "-", "-q", "q", "--redis", valkey.url, "-p", "4", "--report", "-", cwd=tmp_path, stdin=b"1\n2\n")

    assert done.status == 0, done.stderr
    assert (done.report["processes"], done.report["loaded"]) == (1, 2)
