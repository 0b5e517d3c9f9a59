"""Rejects that cannot be written: no bad record gets lost, so the load ends and can be resumed."""

from __future__ import annotations

import json
import resource

import pytest

from tests.faults.helpers import (
    ID_KINDS,
    assert_one_error,
    assert_only_error,
    payload,
    rejected_lines,
    write_lines,
)
from tests.faults.scene import Scene


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("/dev/full", ("--rejects", "/dev/full"), "No space left on device"),
        ("j.rejects.jsonl", (), "Is a directory"),
    ],
    ids=["a full disk", "a directory, without the option"],
)
@ID_KINDS
def test_a_rejects_file_that_cannot_be_written_ends_the_load_and_a_resume_with_another_one_completes_it(
    scene: Scene, name: str, given: tuple[str, ...], reason: str, extra: tuple[str, ...]
) -> None:
    good = [payload(n) for n in range(200)]
    write_lines(scene.folder / "in.jsonl", [*good[:100], b"bad", *good[100:]])
    (scene.folder / "j.rejects.jsonl").mkdir()
    scene.input_of(good, "in.jsonl", "-b", "50", "-j", "j", *extra)

    failed = scene.load(*given, "--quiet")
    resumed = scene.load("--rejects", "rejects.jsonl")

    assert_only_error(failed, f"the rejects file {name} cannot be written: {reason}", "--rejects")
    scene.assert_all_in(resumed, rejected=1)
    assert rejected_lines(scene.folder / "rejects.jsonl") == [("in.jsonl", 101)]


def test_without_a_bad_record_an_unwritable_rejects_file_is_no_obstacle(scene: Scene) -> None:
    scene.input(100, "--rejects", "/dev/full")

    scene.assert_all_in(scene.load())


def test_a_taken_id_that_cannot_be_noted_ends_the_load_and_a_resume_notes_it(scene: Scene) -> None:
    # Found out by the server-side step that loads the batch: by then the batch is in.
    lines = write_lines(scene.folder / "in.jsonl", [payload(n) for n in range(200)])
    scene.client.hset("asynq:t:120", "payload", "of another producer")
    scene.input_of(lines[:120] + lines[121:], "in.jsonl", "-b", "50", "--id-field", "n")

    failed = scene.load("--rejects", "/dev/full", "--quiet")
    resumed = scene.load("--rejects", "rejects.jsonl")

    assert_one_error(failed, "the rejects file /dev/full cannot be written: No space left on device")
    assert rejected_lines(scene.folder / "rejects.jsonl") == [("in.jsonl", 121)]
    assert scene.client.hget("asynq:t:120", "payload") == b"of another producer"
    scene.client.delete("asynq:t:120")
    scene.assert_all_in(resumed, rejected=1)


def test_rejects_without_permission_to_write_are_told_before_the_load(scene: Scene) -> None:
    write_lines(scene.folder / "in.jsonl", [b"1", b"bad", b"2"])
    (scene.folder / "in.rejects").write_bytes(b"")
    (scene.folder / "in.rejects").chmod(0o444)
    scene.input_of([], "in.jsonl", "--rejects", "in.rejects")

    failed = scene.load("--quiet", weak=True)

    line = assert_one_error(failed, "--rejects in.rejects cannot be written: Permission denied", status=2)
    assert failed.stderr == line + "\n"
    assert scene.client.dbsize() == 0


def test_rejects_that_are_written_in_part_only_end_the_load_and_a_resume_completes_them(scene: Scene) -> None:
    # A disk that fills up takes the beginning of a write and says so by its length; here a limit does the same.
    # It also holds for compiled modules: CPython 3.11 keeps a part of one, and the next import of it ends in EOFError.
    scene.env = {"PYTHONDONTWRITEBYTECODE": "1"}
    good = [payload(n, 1500) for n in range(1000)]
    bad = [b"bad %d" % n for n in range(40)]
    write_lines(scene.folder / "in.jsonl", [*good, *bad])
    scene.input_of(good, "in.jsonl", "-b", "50", "-w", "1", "--rejects", "rejects.jsonl")

    with scene.halted(4, "--queue-depth", "1", "--quiet") as running:
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        scene.proxy.go_on()
        failed = running.wait()
    resumed = scene.load()

    assert_one_error(failed, "the rejects file rejects.jsonl cannot be written")
    scene.assert_all_in(resumed, rejected=40)
    found = [json.loads(text)["record"] for text in (scene.folder / "rejects.jsonl").read_text().splitlines()]
    assert found == [text.decode() for text in bad]
