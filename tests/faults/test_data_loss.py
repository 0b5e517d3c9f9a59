"""Servers that lose data and keep their connections: what was written and not pushed yet is written again."""

from __future__ import annotations

import json

import pytest

from tests.cli import run
from tests.faults.helpers import ID_KINDS, assert_one_error, assert_tidy, until
from tests.faults.proxy import COMMIT, Link, Rule, Verdict, from_nth
from tests.faults.scene import EACH_SERVER, Scene

LOST = "the server has lost what it had just acknowledged"


@EACH_SERVER
@pytest.mark.parametrize("processes", ["1", "2"])
def test_hashes_that_the_server_loses_before_their_ids_are_pushed_are_written_again(
    scene: Scene, processes: str
) -> None:
    scene.input(3000, "-b", "12", "--processes", processes)

    with scene.halted(0) as running:
        scene.client.flushall()
        scene.proxy.go_on()
        done = running.wait()
    again = scene.load()

    scene.assert_all_in(done, again)
    assert LOST in done.stderr
    assert again.report["already_loaded"] == 3000


@ID_KINDS
def test_a_server_that_is_emptied_during_a_load_loses_nothing_unnoticed(scene: Scene, extra: tuple[str, ...]) -> None:
    scene.input(3000, "-b", "12", *extra)

    with scene.halted(20) as running:
        scene.client.flushall()
        scene.proxy.go_on()
        failed = running.wait()
    done = scene.load()

    assert_one_error(failed, "has lost", "batches that it had acknowledged", "Run the same command again")
    scene.assert_all_in(done)


@pytest.mark.parametrize("lost", ["the first hash", "the last hash"])
def test_a_batch_of_which_the_server_has_lost_a_part_is_written_again(scene: Scene, lost: str) -> None:
    # After FLUSHALL, the beginning of a batch is missing, and after a failover that a proxy hides, the end of it.
    scene.input(100, "-b", "100", "-w", "1")

    with scene.halted(0) as running:
        running.until(lambda: len(scene.hashes) == 100, "all hashes are written")
        number = 0 if lost == "the first hash" else 99
        (key,) = [key for key in scene.hashes if b'{"n":%d,' % number in scene.client.hget(key, "payload")]
        scene.client.delete(key)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)


# --- what an earlier run has loaded -----------------------------------------------------------------------------------


@ID_KINDS
def test_what_a_resume_passes_over_is_confirmed_at_its_end(scene: Scene, extra: tuple[str, ...]) -> None:
    scene.input(3000, "-b", "12", *extra)
    with scene.halted(42) as killed:
        killed.kill()
    scene.proxy.go_on()
    until(lambda: scene.pending >= 500, "a part of it is in")
    before = scene.pending

    of_killed = set(scene.proxy.links())  # whose last commits may still be on their way
    scene.proxy.rule = from_nth(COMMIT, 1, Verdict.WAIT, lambda link: link.is_worker and link not in of_killed)
    with scene.beside() as resumed:
        scene.until_halted(resumed)
        scene.client.flushall()  # as a server that restarts without its data
        scene.proxy.go_on()
        failed = resumed.wait()
    done = scene.load()

    assert_one_error(failed, "has lost", "Run the same command again")
    assert failed.report["already_loaded"] >= before  # what the killed run had sent may have arrived later
    scene.assert_all_in(done)


def test_what_a_run_that_only_passes_over_reads_from_the_ledger_is_confirmed(scene: Scene) -> None:
    scene.input(3000, "-b", "12")
    assert_tidy(scene.load())

    def asks(command: bytes, part: bytes) -> Rule:
        def rule(link: Link, chunk: bytes) -> Verdict | None:
            found = b"\r\n%b\r\n" % command in chunk and b":%b\r\n" % part in chunk and b"DRYRUN" not in chunk
            return Verdict.WAIT if found else None

        return rule

    scene.proxy.rule = asks(b"HGETALL", b"skipped")
    with scene.beside() as resumed:
        scene.until_halted(resumed)
        scene.proxy.rule = asks(b"GET", b"batches")
        scene.proxy.let_pass()
        scene.until_halted(resumed)  # the ledger has been read, and is asked for once more
        scene.client.flushall()
        scene.proxy.go_on()
        failed = resumed.wait()
    done = scene.load()

    assert_one_error(failed, "has lost", "Run the same command again")
    scene.assert_all_in(done)


def test_a_server_that_loses_a_jobs_record_during_the_load_has_it_at_the_end(scene: Scene) -> None:
    scene.input(1000, "-b", "1000", "-w", "1")

    with scene.halted(0) as running:
        scene.client.flushall()
        scene.proxy.go_on()
        done = running.wait()
    (scene.folder / "copy.jsonl").write_bytes((scene.folder / "in.jsonl").read_bytes())
    scene.input_of(scene.lines, "copy.jsonl", "--job", "another")
    refused = scene.load()
    listed = run("jobs", "--json", "--redis", scene.server.url, cwd=scene.folder)

    assert done.status == 0, done.stderr
    assert_one_error(refused, "copy.jsonl is in q.default already", "--again")
    scene.assert_all_in()
    (job,) = json.loads(listed.stdout)
    assert (job["job"], job["state"], job["tasks"]) == (done.report["job"], "finished", 1000)
    assert job["begun"] is not None and job["rejects"] is not None
    assert scene.client.hexists(f"runqy-loader:{{{job['job']}}}:job", "prefixes")
