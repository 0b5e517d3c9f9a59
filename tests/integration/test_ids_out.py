"""``--ids-out``: the id of every task that is in, once, however often the load was stopped."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli import command, environment, run
from tests.conftest import Server

PENDING = "asynq:q.default:pending"


def ids_in(path: Path) -> list[tuple[str, str]]:
    """(id, queue) of each line behind the header."""
    header, *lines = path.read_text().splitlines()
    assert header.startswith("# runqy-loader ids: job=")
    found: list[tuple[str, str]] = []
    for line in lines:
        task_id, queue = line.split("\t")
        found.append((task_id, queue))
    return found


def pushed(client: Any, *queues: str) -> Counter[tuple[str, str]]:
    return Counter((i.decode(), queue) for queue in queues for i in client.lrange(f"asynq:{queue}:pending", 0, -1))


def test_every_task_that_is_in_is_named_once_with_its_queue(server: Server, client: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"n": n, "to": "a" if n % 3 else "b.c"}) for n in range(5000)]
    lines[7], lines[11] = "bad", ""
    (tmp_path / "in.jsonl").write_text("\n".join(lines))

    done = run(
        "load", "in.jsonl", "--queue-field", "to", "--redis", server.url, "--ids-out", "ids", "--report", "-",
        cwd=tmp_path,
    )  # fmt: skip

    assert done.status == 3, done.stderr
    assert done.report["ids_file"] == "ids"
    found = ids_in(tmp_path / "ids")
    assert len(found) == done.report["loaded"] == 4998
    assert Counter(found) == pushed(client, "a.default", "b.c")


def test_ids_of_records_are_named_but_for_those_that_were_taken(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id":"t-{n}"}}\n' for n in range(300)))
    arguments = ("load", "in.jsonl", "-q", "q", "--id-field", "id", "--redis", valkey.url, "--ids-out", "ids")
    with valkey.client() as client:
        client.hset("asynq:t:t-7", "payload", "of another producer")

        first = run(*arguments, "--on-conflict", "skip", cwd=tmp_path)
        named = ids_in(tmp_path / "ids")
        again = run(*arguments, "--on-conflict", "skip", cwd=tmp_path)

        assert (first.status, again.status) == (0, 0), again.stderr
        assert Counter(named) == Counter(ids_in(tmp_path / "ids")) == pushed(client, "q.default")
        assert len(named) == 299


def test_a_finished_job_run_again_names_the_ids_that_it_was_not_asked_for_before(
    valkey: Server, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(3000)))
    arguments = ("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--report", "-")

    run(*arguments, cwd=tmp_path)
    again = run(*arguments, "--ids-out", "ids", cwd=tmp_path)

    assert (again.report["loaded"], again.report["already_loaded"]) == (0, 3000)
    with valkey.client() as client:
        assert Counter(ids_in(tmp_path / "ids")) == pushed(client, "q.default")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_load_that_is_killed_again_and_again_names_each_task_once_in_the_end(
    valkey: Server, tmp_path: Path, processes: str
) -> None:
    filler = "x" * 6000
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n},"f":"{filler}"}}\n' for n in range(6000)))
    arguments = ("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--ids-out", "ids", "-p", processes)
    chance = random.Random(8)
    with valkey.client() as client:
        for _ in range(3):
            loading = subprocess.Popen(
                command(*arguments), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True
            )
            goal = client.llen(PENDING) + chance.randrange(200, 1500)
            while loading.poll() is None and client.llen(PENDING) < goal:
                time.sleep(0.002)
            loading.kill()
            loading.wait()

        done = run(*arguments, cwd=tmp_path)

        assert done.status == 0, done.stderr
        assert client.llen(PENDING) == 6000
        assert Counter(ids_in(tmp_path / "ids")) == pushed(client, "q.default")


def test_an_ids_file_that_is_the_input_is_refused_before_it_is_touched(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--ids-out", "in.jsonl", cwd=tmp_path)

    assert done.status == 2
    assert "in.jsonl is an input" in done.stderr
    assert (tmp_path / "in.jsonl").read_text() == "1\n"


def test_an_ids_file_in_the_directory_that_is_loaded_is_no_input(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    arguments = ("load", ".", "-q", "q", "--redis", valkey.url, "--ids-out", "ids.jsonl", "--report", "-")

    first, second = run(*arguments, cwd=tmp_path), run(*arguments, cwd=tmp_path)

    assert (first.report["records_read"], second.report["already_loaded"]) == (1, 1)


def test_an_ids_file_that_cannot_be_written_is_named_before_anything_is_loaded(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--ids-out", "no/ids", cwd=tmp_path)

    assert done.status == 2
    assert "--ids-out no/ids cannot be written: No such file or directory" in done.stderr
    with valkey.client() as client:
        assert client.llen(PENDING) == 0


@pytest.mark.parametrize("other", [("--dry-run",), ("--redis", "discard")])
def test_there_are_no_ids_where_nothing_is_written(tmp_path: Path, other: tuple[str, ...]) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")

    done = run("load", "in.jsonl", "-q", "q", "--ids-out", "ids", *other, cwd=tmp_path)

    assert done.status == 2
    assert f"--ids-out and {' '.join(other)} contradict each other" in done.stderr
