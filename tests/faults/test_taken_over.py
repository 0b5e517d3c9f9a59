"""Runs that were stopped, and whose job another run has taken over: they write to no file of the job any more."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli import run
from tests.faults.helpers import Load, assert_one_error, payload, rejected_lines, write_lines
from tests.faults.proxy import Link, Verdict
from tests.faults.scene import Scene

LEASE = "runqy-loader:{shared}:lease"
JOB = ("--job", "shared", "--ids-out", "ids", "--rejects", "rejects.jsonl", "--timeout", "120")


def _every_tenth_is_bad(scene: Scene, count: int, *options: str) -> list[int]:
    """Loads are of so many records. The numbers of the bad lines."""
    records = [payload(n) if n % 10 else b"bad %d" % n for n in range(count)]
    write_lines(scene.folder / "in.jsonl", records)
    scene.input_of([record for record in records if record.startswith(b"{")], "in.jsonl", *JOB, *options)
    return [n + 1 for n in range(0, count, 10)]


def _ids(scene: Scene) -> list[str]:
    return (scene.folder / "ids").read_text().splitlines()[1:]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_that_was_taken_over_writes_no_reject_and_no_id_any_more(
    scene: Scene, processes: str, round_: int
) -> None:
    bad = _every_tenth_is_bad(
        scene, 60_000, "-b", "100", "--queue-depth", "10000", "--max-errors", "none", "--processes", processes
    )
    rejects = scene.folder / "rejects.jsonl"

    scene.proxy.halt_after(20 + 20 * round_)
    with scene.beside("--quiet") as stopped:
        stopped.until(lambda: _size(rejects) > 50_000, "it writes rejects")
        stopped.signal_all(signal.SIGSTOP)
        scene.proxy.go_on()
        scene.client.delete(LEASE)  # as it ends by itself
        done = scene.load(direct=True)
        stopped.signal_all(signal.SIGCONT)
        refused = stopped.wait()

    assert refused.status == 1, refused.stderr
    assert "job shared was taken over by another process" in refused.stderr
    scene.assert_all_in(done, rejected=len(bad))
    assert sorted(line for _, line in rejected_lines(rejects)) == bad
    assert sorted(_ids(scene)) == sorted(f"{key.decode().removeprefix('asynq:t:')}\tq.default" for key in scene.hashes)


def test_a_run_that_was_taken_over_leaves_the_report_of_the_next_one(scene: Scene) -> None:
    scene.input(3000, "-b", "12", "-w", "1", *JOB)
    arguments = ("-b", "12", "-w", "1", "-q", "q", *JOB, "--quiet", "--report", "report.json")

    scene.proxy.halt_after(4)
    with Load("in.jsonl", *arguments, "--redis", scene.proxy.url, cwd=scene.folder) as stopped:
        scene.until_halted(stopped)
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)
        done = run("load", "in.jsonl", *arguments, "--redis", scene.server.url, cwd=scene.folder)
        scene.proxy.go_on()
        stopped.signal(signal.SIGCONT)
        refused = stopped.wait()

    assert done.status == 0, done.stderr
    assert_one_error(refused, "job shared was taken over by another process", "Leave it to that one")
    assert json.loads((scene.folder / "report.json").read_text())["status"] == "completed"
    scene.assert_all_in()


def test_a_run_that_is_taken_over_when_all_is_in_does_not_report_the_job_as_its_own(scene: Scene) -> None:
    scene.input(1000, "-b", "100", *JOB)

    def confirms(link: Link, chunk: bytes) -> Verdict | None:
        asks = b"\r\nGET\r\n" in chunk and b":batches\r\n" in chunk and b"DRYRUN" not in chunk
        return Verdict.WAIT if asks and scene.pending == 1000 else None

    scene.proxy.rule = confirms
    with scene.beside("--quiet") as stopped:
        scene.until_halted(stopped)
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)
        done = scene.load(direct=True)
        scene.proxy.go_on()
        stopped.signal(signal.SIGCONT)
        refused = stopped.wait()

    assert_one_error(refused, "job shared was taken over by another process")
    scene.assert_all_in(done)
    assert json.loads(scene.client.hget("runqy-loader:{shared}:job", "report"))["already_loaded"] == 1000
    assert len(set(_ids(scene))) == len(_ids(scene)) == 1000
