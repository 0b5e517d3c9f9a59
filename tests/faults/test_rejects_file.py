"""Rejects that cannot be written: no bad record gets lost, so the load ends and can be resumed."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_one_error,
    load,
    payload,
    rejected_lines,
    write_lines,
)
from tests.faults.proxy import Proxy, Verdict, nth_of_workers
from tests.faults.test_contention import COMMIT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("taken", "Is a directory"),
        ("missing/rejects.jsonl", "No such file or directory"),
        ("in.jsonl/rejects.jsonl", "Not a directory"),
        ("/dev/full", "No space left on device"),
    ],
    ids=["a directory", "no such directory", "below a file", "a full disk"],
)
@pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])
def test_a_rejects_file_that_cannot_be_written_ends_the_load_and_a_resume_with_another_one_completes_it(
    valkey: Server, valkey_client: Any, tmp_path: Path, name: str, reason: str, extra: tuple[str, ...]
) -> None:
    good = [payload(n) for n in range(200)]
    write_lines(tmp_path / "in.jsonl", [*good[:100], b"bad", *good[100:]])
    (tmp_path / "taken").mkdir()
    command = ("in.jsonl", "-q", "q", "-b", "50", "--redis", valkey.url, "--report", "-", *extra)

    failed = load(*command, "--rejects", name, "--quiet", cwd=tmp_path)
    resumed = load(*command, "--rejects", "rejects.jsonl", cwd=tmp_path)

    line = assert_one_error(failed, f"the rejects file {name} cannot be written: {reason}", "--rejects")
    assert failed.stderr == line + "\n"
    assert resumed.status == 3, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=200, rejected=1)
    assert rejected_lines(tmp_path / "rejects.jsonl") == [("in.jsonl", 101)]
    assert_each_once(valkey_client, good)


def test_without_a_bad_record_an_unwritable_rejects_file_is_no_obstacle(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    lines = write_lines(tmp_path / "in.jsonl", [payload(n) for n in range(100)])

    done = load("in.jsonl", "-q", "q", "--rejects", "/dev/full", "--redis", valkey.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert_each_once(valkey_client, lines)


def test_a_taken_id_that_cannot_be_noted_ends_the_load_and_a_resume_notes_it(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    # Found out by the server-side step that loads the batch: by then the batch is in.
    lines = write_lines(tmp_path / "in.jsonl", [payload(n) for n in range(200)])
    valkey_client.hset("asynq:t:120", "payload", "of another producer")
    command = ("in.jsonl", "-q", "q", "-b", "50", "--id-field", "n", "--redis", valkey.url, "--report", "-")

    failed = load(*command, "--rejects", "/dev/full", "--quiet", cwd=tmp_path)
    resumed = load(*command, "--rejects", "rejects.jsonl", cwd=tmp_path)

    assert_one_error(failed, "the rejects file /dev/full cannot be written: No space left on device")
    assert resumed.status == 3, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=199, rejected=1)
    assert rejected_lines(tmp_path / "rejects.jsonl") == [("in.jsonl", 121)]
    assert valkey_client.hget("asynq:t:120", "payload") == b"of another producer"
    valkey_client.delete("asynq:t:120")
    assert_each_once(valkey_client, lines[:120] + lines[121:])


def test_rejects_without_permission_to_write(valkey: Server, valkey_client: Any, tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [b"1", b"bad", b"2"])
    (tmp_path / "in.rejects").write_bytes(b"")
    (tmp_path / "in.rejects").chmod(0o444)
    command = ("in.jsonl", "-q", "q", "--rejects", "in.rejects", "--redis", valkey.url, "--quiet")

    with Load(*command, cwd=tmp_path, weak=True) as running:
        failed = running.wait()

    line = assert_one_error(failed, "the rejects file in.rejects cannot be written: Permission denied")
    assert failed.stderr == line + "\n"
    assert_no_lease(valkey_client)


def test_rejects_that_are_written_in_part_only_end_the_load_and_a_resume_completes_them(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    # A disk that fills up takes the beginning of a write and says so by its length; here a limit does the same.
    good = [payload(n, 1500) for n in range(1000)]
    bad = [b"bad %d" % n for n in range(40)]
    write_lines(tmp_path / "in.jsonl", [*good, *bad])
    command = ("in.jsonl", "-q", "q", "-b", "50", "-w", "1", "--rejects", "rejects.jsonl", "--report", "-")
    valkey_proxy.rule = nth_of_workers(COMMIT, 5, Verdict.WAIT)

    with Load(*command, "--queue-depth", "1", "--quiet", "--redis", valkey_proxy.url, cwd=tmp_path) as running:
        running.until(lambda: valkey_proxy.waiting, "some batches are in")
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        valkey_proxy.go_on()
        failed = running.wait()
    resumed = load(*command, "--redis", valkey.url, cwd=tmp_path)

    assert_one_error(failed, "the rejects file rejects.jsonl cannot be written")
    assert resumed.status == 3, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=1000, rejected=40)
    found = []
    for text in (tmp_path / "rejects.jsonl").read_text().splitlines():
        try:
            found.append(json.loads(text)["record"])
        except json.JSONDecodeError:
            continue  # the line that the limit tore
    assert found == [text.decode() for text in bad]
    assert_each_once(valkey_client, good)
