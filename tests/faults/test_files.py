"""Inputs that change, vanish, are damaged or cannot be read, and rejects that cannot be written."""

from __future__ import annotations

import gzip
import json
import os
import resource
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome
from tests.conftest import Server
from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_one_error,
    assert_tidy,
    load,
    numbered,
    payload,
    rejected_lines,
    tasks,
    write_lines,
)
from tests.faults.proxy import Proxy

PENDING = "asynq:q.default:pending"
SLOWLY = ("-q", "q", "-b", "50", "-w", "1", "--queue-depth", "1", "--job", "changing", "--report", "-")
"""Reads hardly ahead of what is loaded."""
MANY, WIDE = 4000, 1500
"""6 MB: many times what is read at once."""


@pytest.fixture
def slow(valkey_proxy: Proxy) -> Proxy:
    valkey_proxy.latency = 0.01
    return valkey_proxy


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written over"])
def test_a_file_that_changes_while_it_is_loaded(valkey_client: Any, slow: Proxy, tmp_path: Path, change: str) -> None:
    path = tmp_path / "in.jsonl"
    lines = numbered(path, MANY, width=WIDE)
    old = path.read_bytes()

    with Load(path, *SLOWLY, "--quiet", "--redis", slow.url, cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) > 200, "200 tasks are in")
        if change == "grows":
            with path.open("ab") as file:
                file.write(payload(MANY, WIDE) + b"\n")
        elif change == "shrinks":
            os.truncate(path, len(old) - 1000)
        else:
            with path.open("r+b") as file:
                file.seek(len(old) // 2)
                file.write(b"y" * 5000)
        failed = running.wait()
    changed = load(path, *SLOWLY, "--quiet", "--redis", slow.url, cwd=tmp_path)
    loaded = [fields[b"payload"] for _, fields in tasks(valkey_client)["q.default"]]
    path.write_bytes(old)
    slow.latency = 0
    resumed = load(path, *SLOWLY, "--redis", slow.url, cwd=tmp_path)

    line = assert_one_error(failed, "in.jsonl was changed while it was being loaded", "Put the old content back")
    assert failed.stderr == line + "\n"
    assert 200 < failed.report["loaded"] < MANY
    assert_one_error(changed, "job changing was begun with other content", "--job")
    assert set(loaded) <= set(lines)
    assert len(loaded) == failed.report["loaded"]
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == failed.report["loaded"]
    assert_adds_up(resumed, loaded_in_all=MANY)
    assert_each_once(valkey_client, lines)


def test_a_file_that_is_removed_while_it_is_loaded_is_read_to_its_end(
    valkey_client: Any, slow: Proxy, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    lines = numbered(path, MANY, width=WIDE)

    with Load(path, *SLOWLY, "--redis", slow.url, cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) > 200, "200 tasks are in")
        path.unlink()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=MANY)
    assert_each_once(valkey_client, lines)


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_document_that_is_gone_or_changed_when_its_turn_comes(
    valkey_client: Any, slow: Proxy, tmp_path: Path, change: str
) -> None:
    documents = [payload(n, 200) for n in range(2000)]
    (tmp_path / "in").mkdir()
    for n, document in enumerate(documents):
        (tmp_path / "in" / f"{n:05}.json").write_bytes(document)
    victim = tmp_path / "in" / "01999.json"

    with Load("in", *SLOWLY, "--quiet", "--redis", slow.url, cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) > 100, "100 tasks are in")
        if change == "removed":
            victim.unlink()
        else:
            victim.write_bytes(b"{}")
        failed = running.wait()
    victim.write_bytes(documents[-1])
    resumed = load("in", *SLOWLY, "--redis", slow.url, cwd=tmp_path)

    what = "cannot be read" if change == "removed" else "was changed while it was being loaded"
    line = assert_one_error(failed, f"in/01999.json {what}")
    assert failed.stderr == line + "\n"
    assert failed.report["loaded"] >= 1900  # what was good before it is in
    assert resumed.status == 0, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=2000)
    assert_each_once(valkey_client, documents)


@pytest.mark.parametrize("damage", ["cut off", "damaged"])
def test_a_gzip_file_that_is_truncated_or_damaged_gives_all_lines_before(
    valkey: Server, valkey_client: Any, tmp_path: Path, damage: str
) -> None:
    lines = [b'{"n":%d,"noise":"%s"}' % (n, os.urandom(20).hex().encode()) for n in range(2525)]
    whole = b"".join(line + b"\n" for line in lines)
    if damage == "cut off":
        packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        torn = packer.compress(whole + b'{"n":2525,"no') + packer.flush(zlib.Z_SYNC_FLUSH)
        data = torn  # no more than this; the flush makes sure that all of it can be inflated
    else:
        data = gzip.compress(whole) + b"no gzip at all"
    (tmp_path / "in.jsonl.gz").write_bytes(data)

    failed = load("in.jsonl.gz", "-q", "q", "--redis", valkey.url, "--report", "-", "--quiet", cwd=tmp_path)

    what = "ends in the middle of its gzip stream" if damage == "cut off" else "after the end of its gzip stream"
    line = assert_one_error(failed, "in.jsonl.gz", what)
    assert failed.stderr == line + "\n"
    assert_each_once(valkey_client, lines)
    assert failed.report["loaded"] == 2525
    assert failed.report["rejected"] == 0  # the torn line is the file's fault, no bad record


def test_a_truncated_gzip_file_got_again_whole_is_loaded_once_under_the_same_job(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    # The message says "get it again, whole": then that must lead somewhere.
    lines = [b'{"n":%d,"noise":"%s"}' % (n, os.urandom(20).hex().encode()) for n in range(3000)]
    data = gzip.compress(b"".join(line + b"\n" for line in lines))
    command = ("in.jsonl.gz", "-q", "q", "-b", "100", "--job", "torn", "--redis", valkey.url, "--report", "-")

    (tmp_path / "in.jsonl.gz").write_bytes(data[: len(data) // 2])
    torn = load(*command, "--quiet", cwd=tmp_path)
    (tmp_path / "in.jsonl.gz").write_bytes(data)
    again = load(*command, cwd=tmp_path)

    assert_one_error(torn, "ends in the middle of its gzip stream")
    # Refused with a clear way out, or completed; but never doubled.
    if again.status == 0:
        assert_each_once(valkey_client, lines)
    else:
        assert_one_error(again, "job torn was begun with other content", "--job")


# --- rejects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("obstacle", ["a directory", "no such directory", "a full disk"])
def test_rejects_that_cannot_be_written_end_the_load(
    valkey: Server, valkey_client: Any, tmp_path: Path, obstacle: str
) -> None:
    good = [payload(n) for n in range(200)]
    write_lines(tmp_path / "in.jsonl", [*good[:100], b"bad", *good[100:]])
    (tmp_path / "taken").mkdir()
    name = {"a directory": "taken", "no such directory": "missing/rejects.jsonl", "a full disk": "/dev/full"}[obstacle]
    command = ("in.jsonl", "-q", "q", "-b", "50", "--redis", valkey.url, "--report", "-")

    failed = load(*command, "--rejects", name, "--quiet", cwd=tmp_path)
    resumed = load(*command, "--rejects", "rejects.jsonl", cwd=tmp_path)

    line = assert_one_error(failed, f"the rejects file {name} cannot be written", "Name a writable one with --rejects")
    assert failed.stderr == line + "\n"
    assert resumed.status == 3, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=200, rejected=1)
    assert rejected_lines(tmp_path / "rejects.jsonl") == [("in.jsonl", 101)]
    assert_each_once(valkey_client, good)


def test_rejects_that_are_written_in_part_only_end_the_load(
    valkey: Server, valkey_client: Any, slow: Proxy, tmp_path: Path
) -> None:
    # A disk that fills up takes the beginning of a write and says so by its length; here a limit does the same.
    good = [payload(n, WIDE) for n in range(MANY)]
    bad = [b"bad %d" % n for n in range(40)]
    write_lines(tmp_path / "in.jsonl", [*good, *bad])
    command = (tmp_path / "in.jsonl", *SLOWLY, "--rejects", "rejects.jsonl")

    with Load(*command, "--quiet", "--redis", slow.url, cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) > 200, "200 tasks are in")
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        failed = running.wait()
    resumed = load(*command, "--redis", valkey.url, cwd=tmp_path)

    assert_one_error(failed, "the rejects file rejects.jsonl cannot be written")
    assert resumed.status == 3, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=MANY, rejected=40)
    found = []
    for text in (tmp_path / "rejects.jsonl").read_text().splitlines():
        try:
            found.append(json.loads(text)["record"])
        except json.JSONDecodeError:
            continue  # the line that the limit tore
    assert found == [text.decode() for text in bad]
    assert_each_once(valkey_client, good)


# --- permissions ------------------------------------------------------------------------------------------------------


def _load_unprivileged(*arguments: str | Path, cwd: Path) -> Outcome:
    """With permissions that hold, although the tests may run as root, who may read everything."""
    with Load(*arguments, cwd=cwd, weak=True) as running:
        return running.wait()


def test_a_file_without_permission_to_read(valkey: Server, valkey_client: Any, tmp_path: Path) -> None:
    good = numbered(tmp_path / "a.jsonl", 10)
    numbered(tmp_path / "b.jsonl", 10, first=10)
    (tmp_path / "b.jsonl").chmod(0)
    command = ("a.jsonl", "b.jsonl", "-q", "q", "--redis", valkey.url)

    failed = _load_unprivileged(*command, "--quiet", cwd=tmp_path)
    untouched = tasks(valkey_client)
    (tmp_path / "b.jsonl").chmod(0o644)
    done = _load_unprivileged(*command, cwd=tmp_path)

    line = assert_one_error(failed, "b.jsonl cannot be read: Permission denied", "your permissions")
    assert failed.stderr == line + "\n"
    assert untouched == {}  # found out before anything was written
    assert done.status == 0, done.stderr
    assert_each_once(valkey_client, good + [payload(n) for n in range(10, 20)])


@pytest.mark.parametrize("where", ["itself", "inside"])
def test_a_directory_without_permission_to_list(valkey: Server, tmp_path: Path, where: str) -> None:
    inner = tmp_path / "in" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "in" / "a.json").write_bytes(b"1")
    (inner / "b.json").write_bytes(b"2")
    (inner if where == "inside" else tmp_path / "in").chmod(0)

    failed = _load_unprivileged("in", "-q", "q", "--redis", valkey.url, "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "in", "Permission denied", "permissions")
    assert failed.stderr == line + "\n"


def test_rejects_without_permission_to_write(valkey: Server, valkey_client: Any, tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [b"1", b"bad", b"2"])
    (tmp_path / "in.rejects").write_bytes(b"")
    (tmp_path / "in.rejects").chmod(0o444)

    failed = _load_unprivileged(
        *("in.jsonl", "-q", "q", "--rejects", "in.rejects", "--redis", valkey.url, "--quiet"), cwd=tmp_path
    )

    line = assert_one_error(failed, "the rejects file in.rejects cannot be written: Permission denied")
    assert failed.stderr == line + "\n"
    assert_no_lease(valkey_client)


# --- mistakes in a command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("missing.jsonl", "-q", "q"), 1, ("missing.jsonl: no such file or directory",)),
        (("*.jsonl.gz", "-q", "q"), 1, ("*.jsonl.gz: no file matches",)),
        (("empty", "-q", "q"), 1, ("no payload file in this directory",)),
        (("in.jsonl", "in.jsonl", "-q", "q"), 2, ("is named twice",)),
        (("in.jsonl",), 2, ("no queue given", "--queue")),
        (("-q", "q"), 2, ("no input given",)),
        (("in.jsonl", "-q", "a.b.c"), 2, ("more than one dot",)),
        (("in.jsonl", "-q", "a{b}"), 2, ("brace",)),
        (("in.jsonl", "-q", ""), 2, ("empty part",)),
        (("in.jsonl", "-q", "q", "--batch-size", "0"), 2, ("--batch-size must be at least 1",)),
        (("in.jsonl", "-q", "q", "--batch-size", "many"), 2, ("batch-size", "many")),
        (("in.jsonl", "-q", "q", "--no-such-option"), 2, ("--no-such-option",)),
        (("in.jsonl", "-q", "q", "--redis", "http://127.0.0.1"), 2, ("--redis is not a usable URL",)),
        (("in.jsonl", "-q", "q", "--config", "missing.toml"), 2, ("--config missing.toml",)),
        (("in.jsonl", "-q", "q", "--queues-file", "missing.yaml"), None, ("missing.yaml",)),
        (("pipe", "-q", "q", "--format", "jsonl"), 1, ("pipe is not a regular file",)),
        (("in.jsonl", "-q", "q", "--report", "empty"), 1, ("--report empty cannot be written",)),
        (("in.jsonl", "-q", "q", "--embedded-dir", "d"), 2, ("--embedded-dir needs --redis embedded",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value and value[0].endswith("jsonl") else None,
)
def test_a_mistake_is_told_in_one_line(
    valkey: Server, tmp_path: Path, arguments: tuple[str, ...], status: int | None, words: tuple[str, ...]
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    address = () if "--redis" in arguments else ("--redis", valkey.url)

    failed = load(*arguments, *address, "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, *words, status=status if status is not None else failed.status)
    assert failed.status in (1, 2)
    assert failed.stderr == line + "\n"
    assert_tidy(failed)
