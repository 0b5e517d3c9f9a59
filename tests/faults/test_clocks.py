"""Clocks that jump, the loader's or the server's: nothing is lost or doubled, and what was to be kept is kept."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli import run
from tests.faults.clocks import DAY, Clock
from tests.faults.helpers import ID_KINDS, Load, assert_no_lease, assert_one_error, payload, rejected_lines, write_lines
from tests.faults.proxy import Proxy
from tests.faults.scene import QUEUE, OwnScene, Scene
from tests.integration.stored import task_key

JUMPS = pytest.mark.parametrize("seconds", [DAY, -50 * 365 * DAY], ids=["a day ahead", "to 1976"])
LEASE = "runqy-loader:{j}:lease"
RECORD = "runqy-loader:{j}:job"


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "faketime")


@pytest.mark.parametrize("whose", ["the loader's", "the server's"])
@JUMPS
@ID_KINDS
def test_a_clock_that_jumps_during_a_load_changes_nothing(
    own_scene: OwnScene, clock: Clock, whose: str, seconds: int, extra: tuple[str, ...]
) -> None:
    scene, _ = own_scene(kind="valkey", env=clock.env if whose == "the server's" else None)
    scene.env = clock.env if whose == "the loader's" else {}
    scene.input(2000, "-b", "12", *extra)

    with scene.consumed(), scene.halted(20) as running:
        for jump in (seconds, 0):
            clock.jump(jump)
            scene.proxy.go_on(halt_after=40)
            scene.until_halted(running)
        clock.jump(seconds)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert done.report["loaded"] == 2000
    assert 0 < done.report["seconds"] < DAY
    assert_no_lease(scene.client)


@JUMPS
def test_how_long_a_finished_job_is_kept_is_told_by_the_clock_of_the_server(
    scene: Scene, clock: Clock, seconds: int
) -> None:
    """By the loader's own clock, its ledger would be over at once, and a second run would load all of it again."""
    scene.env = clock.env
    scene.input(100, "--job", "j", "--keep-job", "1h")

    clock.jump(seconds)
    done = scene.load()
    kept = scene.client.ttl(RECORD)
    clock.jump(0)
    again = scene.load()

    scene.assert_all_in(done, again)
    assert 3600 < kept <= 2 * 3600  # an hour longer than the ledgers
    assert again.report["already_loaded"] == 100


@JUMPS
def test_a_job_that_was_rolled_back_is_refused_by_the_clock_of_the_server(
    scene: Scene, clock: Clock, seconds: int
) -> None:
    scene.env = clock.env
    scene.input(100, "--job", "j")
    assert scene.load().status == 0
    scene.client.rpop(f"asynq:{QUEUE}:pending")  # a consumer has one of its tasks
    undone = run("rollback", "j", "--redis", scene.server.url, "--keep-job", "1h", "--quiet", cwd=scene.folder)

    clock.jump(seconds)
    refused = scene.load("--quiet")
    listed = run("jobs", "--json", "--redis", scene.server.url, cwd=scene.folder, env=clock.env)

    assert undone.status == 0, undone.stderr
    assert_one_error(refused, "job j was rolled back")
    assert [job["state"] for job in json.loads(listed.stdout)] == ["rolled back"]


@JUMPS
def test_a_job_that_is_to_expire_does_so_by_the_clock_of_the_server(scene: Scene, clock: Clock, seconds: int) -> None:
    scene.input(100, "--job", "j", "--keep-job", "forever")
    assert scene.load().status == 0

    clock.jump(seconds)
    done = run("jobs", "expire", "j", "1h", "--redis", scene.server.url, cwd=scene.folder, env=clock.env)

    assert done.status == 0, done.stderr
    assert 3600 < scene.client.ttl(RECORD) <= 2 * 3600


@JUMPS
def test_what_killed_loads_left_is_cleaned_up_whatever_the_clock_says(scene: Scene, clock: Clock, seconds: int) -> None:
    scene.env = clock.env
    scene.input(1000, "-b", "50", "--job", "j")
    with scene.halted(4) as running:
        running.kill()
    scene.proxy.go_on()
    clock.jump(seconds)

    cleaned = run("jobs", "clean", "--redis", scene.server.url, cwd=scene.folder, env=clock.env)
    done = scene.load()

    assert cleaned.status == 0, cleaned.stderr
    scene.assert_all_in(done)


def test_a_lease_that_a_jump_of_the_server_ends_is_held_again_or_taken_over_but_not_by_two(
    own_scene: OwnScene, clock: Clock
) -> None:
    scene, _ = own_scene(kind="valkey", env=clock.env)
    scene.input(2000, "-b", "12", "-w", "1", "--job", "j", "--timeout", "120")

    with scene.consumed(), Proxy(scene.server.port) as others, scene.halted(20, "--quiet") as one:
        one.signal(signal.SIGSTOP)  # so that it does not renew it
        clock.jump(3600)
        assert scene.client.exists(LEASE) == 0
        others.halt_after(4)
        with scene.beside(through=others) as two:
            two.until(lambda: others.waiting, "it has taken over and loads")
            one.signal(signal.SIGCONT)
            scene.proxy.go_on()
            refused = one.wait()
            others.go_on()
            done = two.wait()

    assert_one_error(refused, "job j was taken over by another process")
    scene.assert_all_in(done)


def test_a_lease_that_a_jump_of_the_server_prolongs_does_not_outlive_its_holder(
    own_scene: OwnScene, clock: Clock
) -> None:
    scene, _ = own_scene(kind="valkey", env=clock.env)
    scene.input(2000, "-b", "12", "--job", "j")

    with scene.halted(20) as killed:
        killed.kill()
    clock.jump(-DAY)
    scene.proxy.go_on()
    assert scene.client.ttl(LEASE) > 3600
    done = scene.load()

    scene.assert_all_in(done)


@JUMPS
def test_patience_is_not_measured_by_the_wall_clock(scene: Scene, clock: Clock, seconds: int) -> None:
    scene.env = clock.env
    scene.input(2000, "-b", "12", "--retry-for", "60")

    with scene.halted(20) as running:
        scene.proxy.down()
        running.until_it_says("trying again")
        clock.jump(seconds)
        scene.proxy.go_on()
        scene.proxy.up()
        done = running.wait()

    scene.assert_all_in(done)
    assert "gave up" not in done.stderr


@JUMPS
@pytest.mark.parametrize("processes", ["1", "2"])
def test_rejects_and_ids_are_written_once_although_no_proof_of_the_lease_seems_fresh(
    scene: Scene, clock: Clock, seconds: int, processes: str
) -> None:
    scene.env = clock.env
    lines = [payload(n) if n % 10 else b"bad %d" % n for n in range(3000)]
    write_lines(scene.folder / "in.jsonl", lines)
    scene.input_of(
        [line for line in lines if line.startswith(b"{")], "in.jsonl", "-b", "20", "-p", processes, "--job", "j",
        "--rejects", "rejects.jsonl", "--ids-out", "ids", "--max-errors", "none",
    )  # fmt: skip

    with scene.halted(20) as running:
        for jump in (seconds, 0, -seconds, 0):
            clock.jump(jump)
            scene.proxy.go_on(halt_after=20)
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done, rejected=300)
    assert sorted(line for _, line in rejected_lines(scene.folder / "rejects.jsonl")) == [*range(1, 3000, 10)]
    ids = (scene.folder / "ids").read_text().splitlines()[1:]
    assert len(ids) == len(set(ids)) == 2700


@pytest.mark.parametrize(
    "option", [("--process-in", "1h"), ("--process-at", "2099-01-01T00:00:00Z")], ids=lambda o: o[0]
)
@JUMPS
def test_tasks_that_start_later_are_scheduled_once_each(
    scene: Scene, clock: Clock, seconds: int, option: tuple[str, str]
) -> None:
    """Killed in the middle, and resumed by another clock. In what is sent again, each task has one place."""
    scene.env = clock.env
    scene.input(1000, "-b", "10", "--layout", "asynq", "--force-schedule", "--job", "j", *option)

    with scene.halted(20) as killed:
        clock.jump(seconds)
        scene.proxy.go_on(halt_after=20)
        scene.until_halted(killed)
        killed.kill()
    scene.proxy.go_on()
    done = scene.load()

    assert done.status == 0, done.stderr
    assert done.report["loaded"] + done.report["already_loaded"] == 1000
    scheduled = scene.client.zrange(f"asynq:{{{QUEUE}}}:scheduled", 0, -1)
    hashes = {task_key("asynq", QUEUE, task_id.decode()).encode() for task_id in scheduled}
    assert len(scheduled) == len(hashes) == 1000
    assert set(scene.client.keys("asynq:{q.default}:t:*")) == hashes
    assert scene.client.exists(f"asynq:{{{QUEUE}}}:pending") == 0


@JUMPS
def test_a_run_that_was_taken_over_leaves_the_report_of_the_next_one_whatever_its_clock_says(
    scene: Scene, clock: Clock, seconds: int
) -> None:
    scene.input(1000, "-b", "12", "-w", "1", "--job", "j", "--timeout", "120")
    arguments = ("in.jsonl", "-b", "12", "-w", "1", "-q", "q", "--job", "j", "--quiet", "--report", "report.json")
    clock.jump(seconds)

    scene.proxy.halt_after(4)
    with Load(*arguments, "--redis", scene.proxy.url, cwd=scene.folder, env=clock.env) as stopped:
        scene.until_halted(stopped)
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)  # as it ends by itself
        done = run("load", *arguments, "--redis", scene.server.url, cwd=scene.folder)
        scene.proxy.go_on()
        stopped.signal(signal.SIGCONT)
        refused = stopped.wait()

    assert done.status == 0, done.stderr
    assert_one_error(refused, "job j was taken over by another process")
    assert json.loads((scene.folder / "report.json").read_text())["status"] == "completed"
