"""Compact tasks while things go wrong: a server that takes no dumps any more, and tasks that are there already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.helpers import ID_KINDS
from tests.faults.proxy import COMMIT, Link, Verdict, nth_of_workers
from tests.faults.scene import EACH_SERVER, PENDING, Scene

EVERYTHING = ("~*", "&*", "+@all")
BY_HSET = "tasks are written by HSET from now on"


@pytest.fixture
def user(scene: Scene) -> Iterator[str]:
    """The user as which the scene's loads log in; it may do everything so far."""
    scene.login = "loader:secret@"
    scene.client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", *EVERYTHING)
    yield "loader"
    scene.client.acl_deluser("loader")


def encodings(scene: Scene) -> dict[bytes, int]:
    """How many tasks the server keeps in each form."""
    found: dict[bytes, int] = {}
    for key in scene.hashes:
        form = scene.client.object("encoding", key)
        found[form] = found.get(form, 0) + 1
    return found


@EACH_SERVER
@ID_KINDS
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_right_that_is_withdrawn_in_the_middle_is_no_failure(
    scene: Scene, user: str, processes: str, extra: tuple[str, ...]
) -> None:
    scene.input(2000, "-b", "50", "-w", "2", "-p", processes, *extra, width=100)

    with scene.halted(4) as running:
        scene.client.execute_command("ACL", "SETUSER", user, "-restore")
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert done.stderr.count(BY_HSET) == 1, done.stderr
    assert 0 < done.report["compact"] < 2000
    assert encodings(scene) == {b"listpack": done.report["compact"], b"hashtable": 2000 - done.report["compact"]}


@EACH_SERVER
def test_one_worker_keeps_the_order_when_dumps_are_refused_in_the_middle(scene: Scene, user: str) -> None:
    """Every other batch has own options, so that it goes in by one script and could overtake the one before."""
    lines = [b'{"n": %d, "text": "%b"}' % (n, b"x" * 300) for n in range(2000)]
    own = [b', "max_retry": 9' if n // 20 % 2 else b"" for n in range(len(lines))]
    envelopes = (b'{"payload": %b%b}\n' % each for each in zip(lines, own, strict=True))
    (scene.folder / "in.jsonl").write_bytes(b"".join(envelopes))
    scene.input_of(lines, "in.jsonl", "-b", "20", "-w", "1", "-p", "1", "--envelope")

    with scene.halted(20) as running:
        scene.client.execute_command("ACL", "SETUSER", user, "-restore")
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert done.stderr.count(BY_HSET) == 1
    assert 0 < done.report["compact"] < len(lines)
    assert scene.loaded[::-1] == lines


@EACH_SERVER
@ID_KINDS
@pytest.mark.parametrize(("first", "then"), [("always", "never"), ("never", "always")])
def test_a_job_begun_one_way_is_resumed_the_other_way(
    scene: Scene, first: str, then: str, extra: tuple[str, ...]
) -> None:
    scene.input(1000, "-b", "50", *extra, width=100)

    with scene.halted(4, "--compact", first) as killed:
        killed.kill()
    scene.proxy.go_on()
    resumed = scene.load("--compact", then)

    assert resumed.report["resumed"] is True
    scene.assert_all_in(resumed)
    compact = {"always": resumed.report["loaded"], "never": 0}[then]
    assert resumed.report["compact"] == compact


@EACH_SERVER
def test_a_task_that_a_worker_has_is_not_written_again_where_connections_cannot_be_killed(
    scene: Scene, user: str
) -> None:
    """The commit of a stuck connection runs only after its batch was sent again over another connection."""
    scene.input(200, "-b", "50", "-w", "1", "--timeout", "1", width=100)
    scene.client.execute_command("ACL", "SETUSER", user, "-client|kill")
    hold = nth_of_workers(COMMIT, 2, Verdict.HOLD)
    stuck: list[Link] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if not stuck and hold(link, chunk) is not None:
            stuck.append(link)
            return Verdict.HOLD
        return Verdict.WAIT if stuck and link not in stuck and link.is_worker and COMMIT in chunk else None

    scene.proxy.rule = rule
    with scene.beside() as running:
        scene.until_halted(running)
        scene.proxy.release()  # before the script that settles the batch, and a worker is quicker than that
        assert scene.pending > 50
        key = b"asynq:t:" + scene.client.lindex(PENDING, 0)
        scene.client.hset(key, "retry", "1")
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert scene.client.hget(key, "retry") == b"1"


@EACH_SERVER
def test_what_a_batch_has_skipped_is_rejected_although_the_reply_that_says_so_is_lost(scene: Scene) -> None:
    scene.input(50, "-b", "50", "-w", "1", width=100)
    assert scene.load("--job", "j").status == 0
    ids = scene.client.lrange(PENDING, 0, -1)
    scene.client.delete(PENDING, *scene.client.keys("*runqy-loader:j:*"), b"asynq:t:" + ids[3])
    scene.client.hset("runqy-loader:{j}:job", "state", "loading")  # a killed load has not come to its end
    scene.client.set(b"asynq:t:" + ids[3], "another's")
    scene.proxy.rule = nth_of_workers(COMMIT, 1, Verdict.EXECUTE_AND_CUT)

    done = scene.load("--job", "j")

    assert (done.status, done.report["loaded"], done.report["rejected_by_code"]) == (3, 49, {"wrong_type": 1})
    assert scene.client.lrange(PENDING, 0, -1) == [each for each in ids if each != ids[3]]
