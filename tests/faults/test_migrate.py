"""Moves over networks that fail, at either end: no task is lost, none runs twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.migrate.options import MigrateOptions
from loader.migrate.run import Migration
from loader.tasks.profiles import LayoutName
from tests.cli import Outcome, command, environment, run
from tests.conftest import RedisServer, Server
from tests.faults.proxy import Link, Proxy, Rule, Verdict
from tests.integration.stored import Consumer, numbered, pending_key, push, stored, task_key

Q, R = "q.default", "r.default"
PAIRS = [("documented", "asynq"), ("asynq", "documented")]
INSERT, SETTLE = b"local placed", b"local settled"
"""Words of the scripts."""


@pytest.fixture
def both(valkey: Server, redis_server: Callable[..., RedisServer]) -> tuple[Server, Server]:
    """The source, a Valkey, and the target, a Redis; both empty."""
    return valkey, redis_server().start()


@pytest.fixture
def ends(both: tuple[Server, Server]) -> Iterator[tuple[Proxy, Proxy]]:
    """Proxies before source and target."""
    with Proxy(both[0].port) as source, Proxy(both[1].port) as target:
        yield source, target


def arguments(ends: tuple[Proxy, Proxy], layouts: tuple[str, str]) -> list[str]:
    source, target = ends
    return [
        "migrate", "--move", "--from-redis", source.url, "--to-redis", target.url, "--from-layout", layouts[0],
        "--to-layout", layouts[1], "--from-queue", "q", "--to-queue", "r", "--report", "-", "--job", "j",
    ]  # fmt: skip


def move(ends: tuple[Proxy, Proxy], layouts: tuple[str, str], folder: Path, *more: str) -> Outcome:
    return run(*arguments(ends, layouts), *more, cwd=folder)


def at_random(chance: random.Random, faults: int) -> Rule:
    """Cuts sessions now and then, before or after the server has done what they asked for."""
    left = faults

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        if link.is_control or link.name is None or not left or chance.random() > 0.08:
            return None
        left -= 1
        return chance.choice([Verdict.CUT, Verdict.EXECUTE_AND_CUT])

    return rule


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layouts", PAIRS)
def test_connections_cut_at_either_end_lose_and_repeat_nothing(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path, layouts: tuple[str, str], seed: int
) -> None:
    chance = random.Random(f"{layouts} {seed}")
    with both[0].client() as here:
        push(here, layouts[0], Q, numbered(4000))
    for proxy in ends:
        proxy.rule = at_random(chance, 8)
    with Consumer(both[1], layouts[1], R) as at_target, Consumer(both[0], layouts[0], Q, pause=0.01) as at_source:
        done = move(ends, layouts, tmp_path, "-b", "60")
        at_source.finish()
        at_target.finish()

    assert done.status == 0, done.stderr
    assert "reconnect" in done.stderr or "trying again" in done.stderr
    assert at_source.hollow == at_target.hollow == []
    assert Counter(at_source.done + at_target.done) == Counter(numbered(4000))
    assert at_target.done == sorted(at_target.done)
    assert done.report["migrated"] == len(at_target.done)
    assert (done.report["already"], done.report["missing"], done.report["held"]) == (0, 0, 0)


@pytest.mark.parametrize("verdict", [Verdict.CUT, Verdict.EXECUTE_AND_CUT])
@pytest.mark.parametrize("layouts", PAIRS)
def test_what_may_be_in_the_target_is_held_until_the_next_run_finds_out(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path, layouts: tuple[str, str],
    verdict: Verdict,
) -> None:  # fmt: skip
    inserts = 0

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal inserts
        inserts += INSERT in chunk
        return verdict if INSERT in chunk and inserts == 3 else None

    ends[1].rule = rule
    with both[0].client() as here, both[1].client() as there:
        push(here, layouts[0], Q, numbered(400))

        failed = move(ends, layouts, tmp_path, "-b", "50", "--retry-for", "0", "--quiet")

        assert failed.status == 1 and len(failed.stderr.splitlines()) == 1
        assert (failed.report["migrated"], failed.report["held"]) == (100, 50)
        placed = [task_id for task_id, _ in stored(there, layouts[1], R)]
        left = [task_id for task_id, _ in stored(here, layouts[0], Q)]
        assert len(placed) == (100 if verdict is Verdict.CUT else 150)
        assert left == [task_id for task_id, _ in numbered(250, first=150)]
        ends[1].rule = None
        with Consumer(both[1], layouts[1], R) as worker:
            done = move(ends, layouts, tmp_path, "--quiet")
            worker.finish()

    assert done.status == 0, done.stderr
    assert worker.done == numbered(400) and worker.hollow == []


@pytest.mark.parametrize("same", [False, True], ids=["other server", "same server"])
@pytest.mark.parametrize("word", [INSERT, SETTLE], ids=["placing", "settling"])
@pytest.mark.parametrize("layouts", [*PAIRS, ("documented", "documented"), ("asynq", "asynq")])
def test_killed_just_before_or_after_a_step_each_task_runs_once(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path, layouts: tuple[str, str], word: bytes,
    same: bool,
) -> None:  # fmt: skip
    chance = random.Random(f"{layouts} {word!r} {same}")
    if same:
        both, ends = (both[0], both[0]), (ends[0], ends[0])
    with both[0].client() as here:
        push(here, layouts[0], Q, numbered(1500))
    with Consumer(both[1], layouts[1], R) as worker:
        for verdict in (Verdict.CUT, Verdict.EXECUTE_AND_CUT, Verdict.EXECUTE_AND_CUT):
            moving = subprocess.Popen(
                command(*arguments(ends, layouts), "-b", "100"), cwd=tmp_path, env=environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            countdown = chance.randint(1, 4)

            def rule(link: Link, chunk: bytes) -> Verdict | None:
                nonlocal countdown
                countdown -= word in chunk
                if countdown or word not in chunk:
                    return None
                moving.kill()  # noqa: B023 - of this round, which waits for it
                return verdict  # noqa: B023

            for proxy in ends:
                proxy.rule = rule
            assert moving.wait(60) == -9
            for proxy in ends:
                proxy.rule = None
        done = move(ends, layouts, tmp_path)
        worker.finish()

    assert done.status == 0, done.stderr
    assert worker.done == numbered(1500) and worker.hollow == []
    assert (done.report["missing"], done.report["rejected"]) == (0, 0)


@pytest.mark.parametrize("same", [False, True], ids=["other server", "same server"])
@pytest.mark.parametrize("layouts", [*PAIRS, ("documented", "documented"), ("asynq", "asynq")])
def test_a_stop_right_after_a_killed_run_puts_nothing_back_that_the_target_has(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path,
    layouts: tuple[LayoutName, LayoutName], same: bool,
) -> None:  # fmt: skip
    if same:
        both, ends = (both[0], both[0]), (ends[0], ends[0])
    inserts = 0
    with both[0].client() as here:
        push(here, layouts[0], Q, numbered(500))
    moving = subprocess.Popen(
        command(*arguments(ends, layouts), "-b", "100"), cwd=tmp_path, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal inserts
        inserts += INSERT in chunk
        if INSERT not in chunk or inserts < 2:
            return None
        moving.kill()
        return Verdict.EXECUTE_AND_CUT

    ends[1].rule = rule
    assert moving.wait(60) == -9
    ends[1].rule = None
    migration = Migration(
        MigrateOptions(
            move=True, from_redis=ends[0].url, to_redis=ends[1].url, from_layout=layouts[0], to_layout=layouts[1],
            from_queue="q", to_queue="r", job="j",
        )
    )  # fmt: skip
    migration.stop()
    stopped = asyncio.run(migration.run())

    with both[0].client() as here, both[1].client() as there:
        placed = [task_id for task_id, _ in stored(there, layouts[1], R)]
        left = [task_id for task_id, _ in stored(here, layouts[0], Q)]
    assert stopped.status == "interrupted"
    assert len(placed) == 200  # 100, then 100 whose answer was lost
    assert placed + left == [task_id for task_id, _ in numbered(500)]
    assert (stopped.already, stopped.held) == (100, 0)


def test_a_killed_move_under_another_name_is_told_of_what_it_holds(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path
) -> None:
    moving = subprocess.Popen(
        command(*arguments(ends, PAIRS[0]), "-b", "100"), cwd=tmp_path, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if INSERT not in chunk:
            return None
        moving.kill()
        return Verdict.EXECUTE_AND_CUT

    ends[1].rule = rule
    with both[0].client() as here:
        push(here, "documented", Q, numbered(500))
        assert moving.wait(60) == -9
        ends[1].rule = None
        held = here.llen("{asynq:q.default:pending}:runqy-loader:j:moving")

        renamed = ["k" if argument == "j" else argument for argument in arguments(ends, PAIRS[0])]
        other = run(*renamed, "--no-progress", cwd=tmp_path)
        same = move(ends, PAIRS[0], tmp_path, "--no-progress")

        assert held >= 100
        assert (other.status, other.report["migrated"]) == (0, 500 - held)
        assert f"job j holds {held} tasks of this queue" in other.stderr
        assert (same.status, same.report["migrated"] + same.report["already"]) == (0, held)
        assert "holds" not in same.stderr
        assert here.keys("*runqy-loader:moves") == []


def test_an_insert_that_arrives_late_places_nothing_again(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path
) -> None:
    held = 0

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal held
        if INSERT in chunk and not held:
            held = 1
            return Verdict.HOLD
        return None

    ends[1].rule = rule
    with both[0].client() as here, both[1].client() as there:
        push(here, "documented", Q, numbered(300))
        with Consumer(both[1], "asynq", R) as worker:
            done = move(ends, ("documented", "asynq"), tmp_path, "--timeout", "1")
            worker.finish()
        ends[1].release()

        assert (done.status, held) == (0, 1), done.stderr
        assert worker.done == numbered(300)
        assert there.llen(pending_key("asynq", R)) == 0
        assert there.exists(*(task_key("asynq", R, task_id) for task_id, _ in numbered(300))) == 0


@pytest.mark.parametrize("layouts", PAIRS)
def test_a_user_with_the_documented_rights_can_move(
    both: tuple[Server, Server], ends: tuple[Proxy, Proxy], tmp_path: Path, layouts: tuple[str, str]
) -> None:
    loads = (  # docs/reference.md
        "~asynq:* ~{*}:runqy-loader:* ~runqy-loader:* +ping +select +hsetnx +hset +hget +eval +get +set +hincrby "
        "+hgetall +llen +lpush +exists +del +sadd +client|setname +client|list +client|kill "
    )
    source = "+lrange +hstrlen +ttl +rpoplpush +lrem +rpush +lpop +lindex +hlen +type +smembers +srem"
    target = "+sadd +srem +sismember +type +hexists"
    urls: list[Any] = []
    for server, rights in zip(both, (source, target), strict=True):
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "mover", "reset", "on", ">secret", *(loads + rights).split())
            urls.append(server.url.replace("//", "//mover:secret@"))
    with both[0].client() as here:
        push(here, layouts[0], Q, numbered(100))

    done = run(
        "migrate", "--move", "--from-redis", urls[0], "--to-redis", urls[1], "--from-layout", layouts[0],
        "--to-layout", layouts[1], "--from-queue", "q", "--to-queue", "r", "--report", "-", cwd=tmp_path,
    )  # fmt: skip

    for server in both:
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "mover")
    assert done.status == 0, done.stderr
    assert done.report["migrated"] == 100
    assert "secret" not in done.stderr + done.stdout
