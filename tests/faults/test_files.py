"""Inputs that change, vanish, are damaged or cannot be read: what was good is loaded, and a resume doubles nothing."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
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
    load,
    numbered,
    payload,
    tasks,
)
from tests.faults.proxy import Proxy, Verdict, nth_of_workers

ONE_BY_ONE = ("-q", "q", "-b", "50", "-w", "1", "--queue-depth", "1", "--job", "changing", "--report", "-")
"""Reads hardly ahead of what is loaded."""
MANY, WIDE = 4000, 1500
"""6 MB: many times what is read at once."""


def _loaded(client: Any) -> list[bytes]:
    return [fields[b"payload"] for _, fields in tasks(client).get("q.default", [])]


def _with_a_change(change: Callable[[], object], *arguments: str | Path, proxy: Proxy, cwd: Path) -> Outcome:
    """A load that stands still after a few batches, until the change has been made."""
    proxy.rule = nth_of_workers(b"'LPUSH'", 5, Verdict.WAIT)
    with Load(*arguments, *ONE_BY_ONE, "--quiet", "--redis", proxy.url, cwd=cwd) as running:
        running.until(lambda: proxy.waiting, "some batches are in")
        change()
        proxy.go_on()
        outcome = running.wait()
    proxy.rule = None
    return outcome


# --- changes while a file is loaded -----------------------------------------------------------------------------------


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(payload(MANY, WIDE) + b"\n")


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _write_over(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"y" * 5000)


@pytest.mark.parametrize(
    "change", [_grow, _shrink, _empty, _write_over], ids=["grows", "shrinks", "is emptied", "is written over"]
)
def test_a_file_that_changes_ends_the_load_and_with_its_old_content_a_resume_completes_it(
    valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "in.jsonl"
    lines = numbered(path, MANY, width=WIDE)
    old = path.read_bytes()

    failed = _with_a_change(lambda: change(path), path, proxy=valkey_proxy, cwd=tmp_path)
    loaded = _loaded(valkey_client)
    refused = load(path, *ONE_BY_ONE, "--quiet", "--redis", valkey_proxy.url, cwd=tmp_path)
    assert _loaded(valkey_client) == loaded
    path.write_bytes(old)
    resumed = load(path, *ONE_BY_ONE, "--redis", valkey_proxy.url, cwd=tmp_path)

    line = assert_one_error(failed, "in.jsonl was changed while it was being loaded", "Put the old content back")
    assert failed.stderr == line + "\n"
    assert 200 <= failed.report["loaded"] == len(loaded) < MANY
    assert set(loaded) <= set(lines)  # nothing of the new content
    assert_one_error(refused, "job changing was begun with other content", "--job")
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == len(loaded)
    assert_adds_up(resumed, loaded_in_all=MANY)
    assert_each_once(valkey_client, lines)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_that_is_removed_or_replaced_by_another_is_read_to_its_end(
    valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "in.jsonl"
    lines = numbered(path, MANY, width=WIDE)
    numbered(tmp_path / "new.jsonl", 500, first=MANY)

    done = _with_a_change(
        lambda: path.unlink() if change == "removed" else (tmp_path / "new.jsonl").replace(path),
        path,
        proxy=valkey_proxy,
        cwd=tmp_path,
    )
    afterwards = load(path, *ONE_BY_ONE, "--redis", valkey_proxy.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=MANY)
    what = "no such file" if change == "removed" else "job changing was begun with other content"
    assert_one_error(afterwards, what)
    assert_each_once(valkey_client, lines)


@pytest.mark.parametrize("change", ["removed", "changed", "a directory"])
@pytest.mark.parametrize("kind", ["lines", "documents"])
def test_a_file_that_is_gone_or_changed_when_its_turn_comes_is_named_and_those_before_it_are_loaded(
    valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, kind: str, change: str
) -> None:
    (tmp_path / "in").mkdir()
    if kind == "lines":
        lines = [line for n in range(40) for line in numbered(tmp_path / f"in/{n:03}.jsonl", 50, first=50 * n)]
    else:
        lines = [payload(n) for n in range(2000)]
        for n, document in enumerate(lines):
            (tmp_path / f"in/{n:04}.json").write_bytes(document)
    victim = sorted((tmp_path / "in").iterdir())[-1]
    old = victim.read_bytes()

    def happen() -> None:
        victim.unlink()
        if change == "changed":
            victim.write_bytes(b"{}\n")
        elif change == "a directory":
            victim.mkdir()

    failed = _with_a_change(happen, "in", proxy=valkey_proxy, cwd=tmp_path)
    loaded = _loaded(valkey_client)
    if change == "a directory":
        victim.rmdir()
    victim.write_bytes(old)
    resumed = load("in", *ONE_BY_ONE, "--redis", valkey_proxy.url, cwd=tmp_path)

    line = assert_one_error(failed, f"in/{victim.name}")
    assert failed.stderr == line + "\n"
    assert ("cannot be read" if change == "removed" else "in/") in line
    assert len(loaded) == failed.report["loaded"] >= 1900
    assert set(loaded) <= set(lines)
    assert resumed.status == 0, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=2000)
    assert_each_once(valkey_client, lines)


# --- damaged files ----------------------------------------------------------------------------------------------------


def _noise(count: int) -> list[bytes]:
    """Lines that do not compress to nothing: 2.4 MB of 3000."""
    draw = random.Random(1)
    return [b'{"n":%d,"noise":"%s"}' % (n, draw.randbytes(400).hex().encode()) for n in range(count)]


@pytest.mark.parametrize("damage", ["cut off", "wrong checksum", "followed by something else"])
def test_a_gzip_file_that_is_damaged_is_named_and_loaded_up_to_there(
    valkey: Server, valkey_client: Any, tmp_path: Path, damage: str
) -> None:
    lines = _noise(3000)
    whole = gzip.compress(b"".join(line + b"\n" for line in lines))
    data = {
        "cut off": whole[: len(whole) // 2],
        "wrong checksum": whole[:-8] + bytes(4) + whole[-4:],
        "followed by something else": whole + b"no gzip at all",
    }[damage]
    (tmp_path / "in.jsonl.gz").write_bytes(data)
    command = ("in.jsonl.gz", "-q", "q", "-b", "10", "-w", "1", "--redis", valkey.url, "--report", "-")

    failed = load(*command, "--quiet", cwd=tmp_path)
    loaded = _loaded(valkey_client)
    again = load(*command, "--quiet", cwd=tmp_path)

    for outcome in (failed, again):
        line = assert_one_error(outcome, "in.jsonl.gz", "gzip")
        assert outcome.stderr == line + "\n"
        assert outcome.report["rejected"] == 0  # a torn line is the file's fault, no bad record
    # Whole batches only, and none of the megabyte in which the damage is.
    assert len(loaded) == failed.report["loaded"] == again.report["already_loaded"]
    assert loaded[::-1] == lines[: len(loaded)]
    assert len(loaded) == 3000 if damage == "followed by something else" else 1000 < len(loaded) < 3000
    assert_no_lease(valkey_client)


def test_a_gzip_file_cut_off_is_refused_under_its_old_job_when_it_is_there_whole(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    whole = gzip.compress(b"".join(line + b"\n" for line in _noise(3000)))
    command = ("in.jsonl.gz", "-q", "q", "-b", "10", "--job", "torn", "--redis", valkey.url, "--report", "-")

    (tmp_path / "in.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    torn = load(*command, cwd=tmp_path)
    loaded = _loaded(valkey_client)
    (tmp_path / "in.jsonl.gz").write_bytes(whole)
    refused = load(*command, cwd=tmp_path)

    assert_one_error(torn, "gzip")
    assert_one_error(refused, "job torn was begun with other content in in.jsonl.gz", "--job")
    assert _loaded(valkey_client) == loaded


# --- files that cannot be read ----------------------------------------------------------------------------------------


def _load_unprivileged(*arguments: str | Path, cwd: Path) -> Outcome:
    """With permissions that hold, although the tests may run as root, who may read everything."""
    with Load(*arguments, cwd=cwd, weak=True) as running:
        return running.wait()


def test_a_file_without_permission_to_read_is_named_before_anything_is_written(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "a.jsonl", 10) + numbered(tmp_path / "b.jsonl", 10, first=10)
    (tmp_path / "b.jsonl").chmod(0)
    command = ("a.jsonl", "b.jsonl", "-q", "q", "--redis", valkey.url)

    failed = _load_unprivileged(*command, "--quiet", cwd=tmp_path)
    keys = valkey_client.keys()
    (tmp_path / "b.jsonl").chmod(0o644)
    done = _load_unprivileged(*command, cwd=tmp_path)

    line = assert_one_error(failed, "b.jsonl cannot be read: Permission denied", "your permissions")
    assert failed.stderr == line + "\n"
    assert keys == []
    assert done.status == 0, done.stderr
    assert_each_once(valkey_client, lines)


@pytest.mark.parametrize("where", ["itself", "inside"])
def test_a_directory_without_permission_to_list_is_named_before_anything_is_written(
    valkey: Server, valkey_client: Any, tmp_path: Path, where: str
) -> None:
    inner = tmp_path / "in" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "in" / "a.json").write_bytes(b"1")
    (inner / "b.json").write_bytes(b"2")
    (inner if where == "inside" else tmp_path / "in").chmod(0)

    failed = _load_unprivileged("in", "-q", "q", "--redis", valkey.url, "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "in", "Permission denied", "permissions")
    assert failed.stderr == line + "\n"
    assert valkey_client.keys() == []


@pytest.mark.parametrize("kind", ["a FIFO", "a link to nothing", "a device"])
def test_what_is_no_regular_file_is_refused_at_once(
    valkey: Server, valkey_client: Any, tmp_path: Path, kind: str
) -> None:
    numbered(tmp_path / "a.jsonl", 10)
    if kind == "a FIFO":
        os.mkfifo(tmp_path / "b.jsonl")  # nobody writes to it: whoever opens it hangs
    else:
        (tmp_path / "b.jsonl").symlink_to("nothing" if kind == "a link to nothing" else "/dev/zero")

    failed = load("a.jsonl", "b.jsonl", "-q", "q", "--redis", valkey.url, "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "b.jsonl")
    assert failed.stderr == line + "\n"
    assert valkey_client.keys() == []


def test_a_file_that_has_become_a_fifo_when_its_turn_comes_is_named(
    valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    lines = [line for n in range(40) for line in numbered(tmp_path / f"in/{n:03}.jsonl", 50, first=50 * n)]
    victim = tmp_path / "in/039.jsonl"
    old = victim.read_bytes()

    def happen() -> None:
        victim.unlink()
        os.mkfifo(victim)  # nobody writes to it: whoever opens it hangs

    failed = _with_a_change(happen, "in", proxy=valkey_proxy, cwd=tmp_path)

    assert_one_error(failed, "in/039.jsonl")
    assert old and lines
