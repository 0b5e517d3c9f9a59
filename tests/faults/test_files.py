"""Inputs that change, vanish, are damaged or cannot be read: what was good is loaded, and a resume doubles nothing."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import Outcome
from tests.faults.helpers import (
    assert_no_lease,
    assert_one_error,
    assert_only_error,
    numbered,
    payload,
)
from tests.faults.scene import Scene

ONE_BY_ONE = ("-b", "50", "-w", "1", "--queue-depth", "1", "--job", "changing")
"""Reads hardly ahead of what is loaded."""
MANY, WIDE = 4000, 1500
"""6 MB: many times what is read at once."""


def _load_with_a_change(scene: Scene, change: Callable[[], object]) -> Outcome:
    """A load that stands still after a few batches, until the change has been made."""
    with scene.halted(4, "--quiet") as running:
        change()
        scene.proxy.go_on()
        return running.wait()


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
    scene: Scene, change: Callable[[Path], None]
) -> None:
    scene.input(MANY, *ONE_BY_ONE, width=WIDE)
    path = scene.folder / "in.jsonl"
    old = path.read_bytes()

    failed = _load_with_a_change(scene, lambda: change(path))
    loaded = scene.loaded
    refused = scene.load("--quiet")
    assert scene.loaded == loaded
    path.write_bytes(old)
    resumed = scene.load()

    assert_only_error(failed, "in.jsonl was changed while it was being loaded", "Put the old content back")
    assert 200 <= failed.report["loaded"] == len(loaded) < MANY
    assert set(loaded) <= set(scene.lines)  # nothing of the new content
    assert_one_error(refused, "job changing was begun with other content", "--job")
    scene.assert_all_in(resumed)
    assert resumed.report["already_loaded"] == len(loaded)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_that_is_removed_or_replaced_by_another_is_read_to_its_end(scene: Scene, change: str) -> None:
    scene.input(MANY, *ONE_BY_ONE, width=WIDE)
    path, new = scene.folder / "in.jsonl", scene.folder / "new.jsonl"
    numbered(new, 500, first=MANY)

    done = _load_with_a_change(scene, lambda: path.unlink() if change == "removed" else new.replace(path))
    afterwards = scene.load()

    scene.assert_all_in(done)
    what = "no such file" if change == "removed" else "job changing was begun with other content"
    assert_one_error(afterwards, what)


def _many_files(folder: Path) -> list[bytes]:
    """Forty files of fifty records; what they hold."""
    folder.mkdir()
    return [line for n in range(40) for line in numbered(folder / f"{n:03}.jsonl", 50, first=50 * n)]


@pytest.mark.parametrize("change", ["removed", "changed", "a directory"])
@pytest.mark.parametrize("kind", ["lines", "documents"])
def test_a_file_that_is_gone_or_changed_when_its_turn_comes_is_named_and_those_before_it_are_loaded(
    scene: Scene, kind: str, change: str
) -> None:
    folder = scene.folder / "in"
    if kind == "lines":
        lines = _many_files(folder)
    else:
        folder.mkdir()
        lines = [payload(n) for n in range(2000)]
        for n, document in enumerate(lines):
            (folder / f"{n:04}.json").write_bytes(document)
    scene.input_of(lines, "in", *ONE_BY_ONE)
    victim = sorted(folder.iterdir())[-1]
    old = victim.read_bytes()

    def happen() -> None:
        victim.unlink()
        if change == "changed":
            victim.write_bytes(b"{}\n")
        elif change == "a directory":
            victim.mkdir()

    failed = _load_with_a_change(scene, happen)
    loaded = scene.loaded
    if change == "a directory":
        victim.rmdir()
    victim.write_bytes(old)
    resumed = scene.load()

    line = assert_only_error(failed, f"in/{victim.name}")
    assert ("cannot be read" if change == "removed" else "in/") in line
    assert len(loaded) == failed.report["loaded"] >= 1900
    assert set(loaded) <= set(lines)
    scene.assert_all_in(resumed)


# --- damaged files ----------------------------------------------------------------------------------------------------


def _noise(count: int) -> list[bytes]:
    """Lines that do not compress to nothing: 2.4 MB of 3000."""
    draw = random.Random(1)
    return [b'{"n":%d,"noise":"%s"}' % (n, draw.randbytes(400).hex().encode()) for n in range(count)]


@pytest.mark.parametrize("damage", ["cut off", "wrong checksum", "followed by something else"])
def test_a_gzip_file_that_is_damaged_is_named_and_loaded_up_to_there(scene: Scene, damage: str) -> None:
    lines = _noise(3000)
    whole = gzip.compress(b"".join(line + b"\n" for line in lines))
    data = {
        "cut off": whole[: len(whole) // 2],
        "wrong checksum": whole[:-8] + bytes(4) + whole[-4:],
        "followed by something else": whole + b"no gzip at all",
    }[damage]
    (scene.folder / "in.jsonl.gz").write_bytes(data)
    scene.input_of(lines, "in.jsonl.gz", "-b", "10", "-w", "1")

    failed = scene.load("--quiet")
    loaded = scene.loaded
    again = scene.load("--quiet")

    for outcome in (failed, again):
        assert_only_error(outcome, "in.jsonl.gz", "gzip")
        assert outcome.report["rejected"] == 0  # a torn line is the file's fault, no bad record
    # Whole batches only, and none of the megabyte in which the damage is.
    assert len(loaded) == failed.report["loaded"] == again.report["already_loaded"]
    assert loaded[::-1] == lines[: len(loaded)]
    assert len(loaded) == 3000 if damage == "followed by something else" else 1000 < len(loaded) < 3000
    assert_no_lease(scene.client)


def test_a_gzip_file_cut_off_is_refused_under_its_old_job_when_it_is_there_whole(scene: Scene) -> None:
    lines = _noise(3000)
    whole = gzip.compress(b"".join(line + b"\n" for line in lines))
    scene.input_of(lines, "in.jsonl.gz", "-b", "10", "--job", "torn")

    (scene.folder / "in.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    torn = scene.load()
    loaded = scene.loaded
    (scene.folder / "in.jsonl.gz").write_bytes(whole)
    refused = scene.load()

    assert_one_error(torn, "gzip")
    assert_one_error(refused, "job torn was begun with other content in in.jsonl.gz", "--job")
    assert scene.loaded == loaded


# --- files that cannot be read ----------------------------------------------------------------------------------------


def test_a_file_without_permission_to_read_is_named_before_anything_is_written(scene: Scene) -> None:
    first, second = scene.folder / "a.jsonl", scene.folder / "b.jsonl"
    scene.input_of(numbered(first, 10) + numbered(second, 10, first=10), "a.jsonl", "b.jsonl")
    second.chmod(0)

    failed = scene.load("--quiet", weak=True)
    keys = scene.client.keys()
    second.chmod(0o644)
    done = scene.load(weak=True)

    assert_only_error(failed, "b.jsonl: cannot be read: Permission denied", "your permissions")
    assert keys == []
    scene.assert_all_in(done)


@pytest.mark.parametrize("where", ["itself", "inside"])
def test_a_directory_without_permission_to_list_is_named_before_anything_is_written(scene: Scene, where: str) -> None:
    outer, inner = scene.folder / "in", scene.folder / "in" / "inner"
    inner.mkdir(parents=True)
    (outer / "a.json").write_bytes(b"1")
    (inner / "b.json").write_bytes(b"2")
    (inner if where == "inside" else outer).chmod(0)
    scene.input_of([], "in")

    failed = scene.load("--quiet", weak=True)

    assert_only_error(failed, "in", "Permission denied", "permissions")
    assert scene.client.keys() == []


@pytest.mark.parametrize("kind", ["a FIFO", "a link to nothing", "a device"])
def test_what_is_no_regular_file_is_refused_at_once(scene: Scene, kind: str) -> None:
    scene.input_of(numbered(scene.folder / "a.jsonl", 10), "a.jsonl", "b.jsonl")
    if kind == "a FIFO":
        os.mkfifo(scene.folder / "b.jsonl")  # nobody writes to it: whoever opens it hangs
    else:
        (scene.folder / "b.jsonl").symlink_to("nothing" if kind == "a link to nothing" else "/dev/zero")

    failed = scene.load("--quiet")

    assert_only_error(failed, "b.jsonl")
    assert scene.client.keys() == []


def test_a_file_that_has_become_a_fifo_when_its_turn_comes_is_named(scene: Scene) -> None:
    scene.input_of(_many_files(scene.folder / "in"), "in", *ONE_BY_ONE)
    victim = scene.folder / "in/039.jsonl"

    def happen() -> None:
        victim.unlink()
        os.mkfifo(victim)  # nobody writes to it: whoever opens it hangs

    failed = _load_with_a_change(scene, happen)

    assert_one_error(failed, "in/039.jsonl")
