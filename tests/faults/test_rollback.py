"""A rollback that is killed, cut off, or has consumers and producers beside it: each task is run or taken back."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli import Outcome, run
from tests.faults.helpers import Command, Consumer, assert_tidy
from tests.faults.proxy import Link, Proxy, Verdict, from_nth
from tests.faults.scene import EACH_SERVER, Scene
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import pending_key, push, task_key

LAYOUTS = pytest.mark.parametrize("layout", ["documented", "asynq"])
TASKS = 6000
OTHERS = 3000
QUEUE = "q.default"


class Undo(Command):
    """``runqy-loader rollback`` running in a process of its own."""

    def __init__(self, job: str, url: str, folder: Path) -> None:
        super().__init__("rollback", job, "--redis", url, "--report", "-", "--no-progress", cwd=folder)


def others() -> list[tuple[str, bytes]]:
    return [(f"other-{n:05}", b'{"other":%d}' % n) for n in range(OTHERS)]


def load_between_others(scene: Scene, layout: str, *more: str, part: int = 1) -> str:
    """Loads the input into a queue of others, with their tasks between its own. Returns the job's name.

    Args:
        part: Only the n-th part of all tasks. From 5,000 tasks in the queue on, a rollback copies the queue; before, it
            removes ids from it.
    """
    push(scene.client, layout, QUEUE, others()[: OTHERS // part])
    scene.input(TASKS // part, "--layout", layout, *more)
    done = scene.load(direct=True)
    assert done.status == 0, done.stderr
    key = pending_key(layout, QUEUE)
    ids = scene.client.lrange(key, 0, -1)
    mine, rest = ids[: TASKS // part], ids[TASKS // part :]
    scene.client.delete(key)
    mixed = [one for at in range(OTHERS // part) for one in (rest[at], *mine[2 * at : 2 * at + 2])]
    scene.client.rpush(key, *mixed)
    return str(done.report["job"])


def assert_only_theirs(scene: Scene, layout: str, *, part: int = 1) -> None:
    """The tasks of others are there, in their order, and nothing else."""
    key = pending_key(layout, QUEUE)
    theirs = [one for one, _ in others()[: OTHERS // part]]
    assert [one.decode() for one in reversed(scene.client.lrange(key, 0, -1))] == theirs
    hashes = {one.decode() for one in scene.client.keys("*:t:*") if b"runqy-loader" not in one}
    assert hashes == {task_key(layout, QUEUE, one) for one in theirs}


def report_of(outcome: Outcome) -> dict[str, Any]:
    assert outcome.status == 0, outcome.stderr
    return outcome.report


def kill_at(proxy: Proxy, undo: Undo, number: int, verdict: Verdict) -> None:
    """Kills a rollback when it sends its n-th piece."""
    left = number

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        left -= 1
        if left == 0:
            undo.strike()
            return verdict
        return None

    proxy.rule = rule


@LAYOUTS
@EACH_SERVER
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_step_and_run_again_it_takes_back_each_task_once(scene: Scene, layout: str, seed: int) -> None:
    chance = random.Random(f"{layout} {seed}")
    job = load_between_others(scene, layout)
    kills = 0
    for _ in range(6):
        with Undo(job, scene.proxy.url, scene.folder) as undo:
            verdict = chance.choice((Verdict.PASS, Verdict.CUT, Verdict.EXECUTE_AND_CUT))
            kill_at(scene.proxy, undo, chance.randint(1, 40), verdict)
            outcome = undo.wait()
            scene.proxy.rule = lambda link, chunk: None
            kills += outcome.status == -9
            if outcome.status != -9:
                break
    final = run("rollback", job, "--redis", scene.server.url, "--report", "-", "--quiet", cwd=scene.folder)

    assert kills > 0
    assert_only_theirs(scene, layout)
    if final.status == 0:
        report = final.report
        assert report["removed"] + report["removed_earlier"] in (0, TASKS)
        assert report["left"] in (0, None)
    else:
        assert f"there is no job {job}" in final.stderr, "an earlier run had come to its end"
    again = scene.load(direct=True)
    assert (again.status, again.report["loaded"]) == (0, TASKS)


@LAYOUTS
@pytest.mark.parametrize("part", [1, 2], ids=["a long queue", "a short queue"])
def test_a_kill_at_each_of_its_steps_in_turn_changes_nothing_in_the_end(scene: Scene, layout: str, part: int) -> None:
    """Killed at its first piece, then at its second one, and so on, until it comes to its end."""
    job = load_between_others(scene, layout, part=part)
    step, ended = 0, False
    while not ended:
        step += 1
        with Undo(job, scene.proxy.url, scene.folder) as undo:
            kill_at(scene.proxy, undo, step, Verdict.EXECUTE_AND_CUT)
            outcome = undo.wait()
        scene.proxy.rule = lambda link, chunk: None
        ended = outcome.status != -9

    assert step > 10
    assert outcome.status == 0 or f"there is no job {job}" in outcome.stderr
    assert_only_theirs(scene, layout, part=part)


@LAYOUTS
@pytest.mark.parametrize("part", [1, 2], ids=["a long queue", "a short queue"])
def test_lost_connections_and_lost_replies_do_no_harm(scene: Scene, layout: str, part: int) -> None:
    chance = random.Random(layout)
    job = load_between_others(scene, layout, part=part)

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if b"EVAL" in chunk and chance.random() < 0.3:
            return chance.choice((Verdict.CUT, Verdict.EXECUTE_AND_CUT))
        return None

    scene.proxy.rule = rule
    with Undo(job, scene.proxy.url, scene.folder) as undo:
        report = report_of(undo.wait())

    # The server counts what a step took whose reply was lost.
    assert (report["removed"], report["left"]) == (TASKS // part, 0)
    assert_only_theirs(scene, layout, part=part)


@EACH_SERVER
def test_beside_consumers_of_the_guide_each_task_is_run_or_taken_back(scene: Scene) -> None:
    scene.input(TASKS, "--layout", "documented")
    job = scene.load(direct=True).report["job"]

    with Consumer(scene.server.port, [QUEUE]) as consumer:
        done = run("rollback", job, "--redis", scene.server.url, "--report", "-", "--quiet", cwd=scene.folder)
    report = report_of(done)

    assert consumer.hollow == []
    assert max(consumer.payloads.values(), default=1) == 1
    assert report["removed"] + consumer.payloads.total() == TASKS
    assert report["left"] == consumer.payloads.total()
    assert scene.client.llen(pending_key("documented", QUEUE)) == 0
    assert scene.hashes == set()


@contextmanager
def pushing(port: int, layout: str) -> Iterator[list[str]]:
    """A producer that pushes tasks of its own during the block; their ids."""
    client: Any = redis.Redis(port=port)
    ids: list[str] = []
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            tasks = [(f"pushed-{len(ids) + n:07}", b"1") for n in range(50)]
            push(client, layout, QUEUE, tasks)
            ids.extend(one for one, _ in tasks)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ids
    finally:
        ending.set()
        thread.join()
        client.close()


@LAYOUTS
@EACH_SERVER
def test_beside_a_producer_the_order_of_its_tasks_is_kept(scene: Scene, layout: str) -> None:
    job = load_between_others(scene, layout)

    with pushing(scene.server.port, layout) as ids:
        done = run("rollback", job, "--redis", scene.server.url, "--report", "-", "--quiet", cwd=scene.folder)
    report = report_of(done)

    assert (report["removed"], report["left"]) == (TASKS, 0)
    queued = [one.decode() for one in reversed(scene.client.lrange(pending_key(layout, QUEUE), 0, -1))]
    assert queued == [*(one for one, _ in others()), *ids]


@LAYOUTS
def test_two_rollbacks_of_one_queue_at_a_time_do_not_miss_anything(scene: Scene, layout: str) -> None:
    first = load_between_others(scene, layout)
    second = scene.load("--again", direct=True).report["job"]
    key = pending_key(layout, QUEUE)
    ids = scene.client.lrange(key, 0, -1)
    theirs = [one for one in ids if one.startswith(b"other-")]
    prefix = next(one for one in ids[-10:] if not one.startswith(b"other-"))[:24]
    a = [one for one in ids if one.startswith(prefix)]
    b = [one for one in ids if not one.startswith((prefix, b"other-"))]
    assert (len(a), len(b), len(theirs)) == (TASKS, TASKS, OTHERS)
    scene.client.delete(key)
    scene.client.rpush(key, *[x for at in range(TASKS) for x in (a[at], b[at], *theirs[at : at + (at < OTHERS)])])

    with Undo(first, scene.server.url, scene.folder) as one, Undo(second, scene.server.url, scene.folder) as other:
        reports = [report_of(one.wait()), report_of(other.wait())]

    assert [report["removed"] for report in reports] == [TASKS, TASKS]
    left = scene.client.lrange(key, 0, -1)
    assert left == theirs


def test_a_load_beside_a_rollback_of_the_same_job_is_refused_and_the_other_way_round(scene: Scene) -> None:
    scene.input(TASKS, "--layout", "documented", "--job", "j")
    with scene.halted(2) as running:
        refused = run("rollback", "j", "--redis", scene.server.url, "--quiet", cwd=scene.folder)
        scene.proxy.go_on()
        assert running.wait().status == 0
    assert refused.status == 1
    assert "job j is being loaded by process" in refused.stderr and "Stop that first" in refused.stderr
    assert_tidy(refused)

    waits = threading.Event()

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if b"LTRIM" in chunk:
            waits.set()
            return Verdict.WAIT
        return None

    scene.proxy.rule = rule
    with Undo("j", scene.proxy.url, scene.folder) as undo:
        assert waits.wait(60)
        load = scene.load(direct=True)
        scene.proxy.go_on()
        scene.proxy.rule = lambda link, chunk: None
        report_of(undo.wait())

    assert load.status == 1 and "job j is being" in load.stderr
    assert scene.hashes == set()


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_in_a_cluster_a_kill_at_any_step_leaves_no_key_behind(cluster: Cluster, tmp_path: Path, layout: str) -> None:
    """Hashes, or look-ups, are in other slots than the list: they are noted, and deleted after it."""
    (tmp_path / "in.jsonl").write_bytes(b"".join(b'{"n":%d}\n' % n for n in range(TASKS)))
    load = ("load", "in.jsonl", "-q", "q", "--layout", layout, "--redis", cluster.url, "--report", "-", "--quiet")
    with cluster.client() as client:
        job = run(*load, cwd=tmp_path).report["job"]
        ended, step = False, 0
        while not ended:
            step += 7
            with Undo(job, cluster.url, tmp_path) as undo:
                ended = _killed_after(undo, client, layout, step)
        final = run("rollback", job, "--redis", cluster.url, "--quiet", cwd=tmp_path)

        assert final.status in (0, 1), final.stderr
        keys = [key for key in client.scan_iter(count=1000) if not key.startswith(b"runqy-loader:")]
        assert keys in ([], [b"asynq:queues"])


def _killed_after(undo: Undo, client: Any, layout: str, share: int) -> bool:
    """Kills a rollback once so many hundredths of the list are gone. Whether it had come to its end before."""
    key = pending_key(layout, QUEUE)
    while client.llen(key) > TASKS * (100 - share) // 100 and undo.running:
        pass
    if not undo.running:
        return True
    undo.strike()
    return undo.wait().status != -9


def test_a_signal_ends_it_between_two_steps_and_it_goes_on_later(scene: Scene) -> None:
    job = load_between_others(scene, "documented")
    scene.proxy.rule = from_nth(b"RENAME", 2, Verdict.WAIT)
    with Undo(job, scene.proxy.url, scene.folder) as undo:
        undo.until(lambda: scene.proxy.waiting, "a step waits at the proxy")
        undo.process.send_signal(signal.SIGINT)
        scene.proxy.rule = lambda link, chunk: None
        scene.proxy.go_on()
        stopped = undo.wait()

    done = run("rollback", job, "--redis", scene.server.url, "--report", "-", "--quiet", cwd=scene.folder)

    assert stopped.status == 130, stopped.stderr
    assert "run the same command again to go on" in stopped.stderr
    assert stopped.report["status"] == "interrupted" and stopped.report["removed"] < TASKS
    report = report_of(done)
    assert report["resumed"] and report["left"] == 0
    assert report["removed"] + report["removed_earlier"] == TASKS
    assert_only_theirs(scene, "documented")


AT_THE_END = 2
"""Ids of the job at the right end of the queue. They are cut off before the rest is copied."""


def pop(client: Any, key: str, count: int) -> list[bytes]:
    return client.rpop(key, count) or []


def give_back(client: Any, key: str) -> None:
    """Takes five, and gives two of them back, in another order: as asynq's server does when it stops."""
    taken = pop(client, key, 5)
    client.rpush(key, taken[3], taken[1])


def remove_theirs(client: Any, key: str) -> None:
    """Somebody deletes a task of another job in the middle, and consumers take some."""
    client.lrem(key, 1, "other-01500")
    pop(client, key, 7)


def push_many(client: Any, key: str) -> None:
    for first in range(0, 12_000, 4000):
        client.lpush(key, *[f"new-{n}" for n in range(first, first + 4000)])
    pop(client, key, 100)


def take_all(client: Any, key: str) -> None:
    client.lpush(key, "new-0", "new-1")
    pop(client, key, TASKS + OTHERS)


def take_all_and_more(client: Any, key: str) -> None:
    client.lpush(key, "new-0", "new-1", "new-2")
    pop(client, key, TASKS + OTHERS + 1)


CHANGES: list[Callable[[Any, str], object]] = [
    lambda client, key: pop(client, key, 1),
    lambda client, key: pop(client, key, 4001),
    give_back,
    remove_theirs,
    push_many,
    take_all,
    take_all_and_more,
    lambda client, key: client.delete(key),
]
NAMES = ["one taken", "many taken", "given back", "deleted", "pushed", "all taken", "all and new taken", "list gone"]


@LAYOUTS
@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_what_happens_to_a_long_queue_just_before_its_copy_takes_its_place_is_not_lost(
    scene: Scene, layout: str, change: Callable[[Any, str], object]
) -> None:
    job = load_between_others(scene, layout)
    key = pending_key(layout, QUEUE)
    scene.proxy.rule = from_nth(b"RENAME", 2, Verdict.WAIT)
    with Undo(job, scene.proxy.url, scene.folder) as undo:
        undo.until(lambda: scene.proxy.waiting, "the exchange waits at the proxy")
        change(scene.client, key)
        ids = scene.client.lrange(key, 0, -1)
        scene.proxy.go_on()
        report = report_of(undo.wait())

    mine = [one for one in ids if not one.startswith((b"other-", b"new-"))]
    assert scene.client.lrange(key, 0, -1) == [one for one in ids if one.startswith((b"other-", b"new-"))]
    removed = len(mine) + AT_THE_END
    assert (report["removed"], report["left"]) == (removed, TASKS - removed)
    hashes = {one.decode().rpartition(":")[2] for one in scene.client.keys("*:t:*") if b"runqy-loader" not in one}
    assert not hashes & {one.decode() for one in mine}
    assert len([one for one in hashes if not one.startswith("other-")]) == TASKS - removed
