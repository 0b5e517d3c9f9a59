"""Moves over networks that fail, at either end: no task is lost, none runs twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.migrate.options import MigrateOptions
from loader.migrate.run import Migration
from loader.tasks.profiles import LayoutName
from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server
from tests.faults.helpers import Command
from tests.faults.proxy import Link, Proxy, Rule, Verdict
from tests.integration.stored import Consumer, numbered, pending_key, push, stored, task_key

Q, R = "q.default", "r.default"
PAIRS: list[tuple[LayoutName, LayoutName]] = [("documented", "asynq"), ("asynq", "documented")]
ALIKE: list[tuple[LayoutName, LayoutName]] = [("documented", "documented"), ("asynq", "asynq")]
INSERT, SETTLE = b"local placed", b"local settled"
"""Words of the scripts."""


class Scene:
    """Moves of queue q to queue r, through a proxy before each end.

    Attributes:
        source, target: The servers.
        here, there: Their clients, past the proxies.
        proxies: Before source and target.
    """

    def __init__(self, folder: Path, source: Server, target: Server, layouts: tuple[LayoutName, LayoutName]) -> None:
        self.layouts = layouts
        self.source, self.target = source, target
        self.here: Any = source.client()
        self.there: Any = target.client()
        self.proxies = (Proxy(source.port), Proxy(target.port))
        self._folder = folder

    def push(self, count: int) -> None:
        push(self.here, self.layouts[0], Q, numbered(count))

    def _arguments(self, job: str, from_layout: str) -> list[str]:
        source, target = self.proxies
        return [
            "migrate", "--move", "--from-redis", source.url, "--to-redis", target.url, "--from-layout",
            from_layout or self.layouts[0], "--to-layout", self.layouts[1], "--from-queue", "q", "--to-queue", "r",
            "--report", "-", *(("--job", job) if job else ()),
        ]  # fmt: skip

    def move(self, *more: str, job: str = "j", from_layout: str = "") -> Outcome:
        """A move from beginning to end. Without a job, the job's name is derived from the options."""
        return run(*self._arguments(job, from_layout), *more, cwd=self._folder)

    def copy(self, *more: str) -> Outcome:
        """A copy from beginning to end."""
        return run(*(word for word in self._arguments("j", "") if word != "--move"), *more, cwd=self._folder)

    def move_killed_at(
        self, word: bytes, count: int, verdict: Verdict, *, job: str = "j", from_layout: str = ""
    ) -> None:
        """A move that is killed when it sends this word for the n-th time; what becomes of that is the verdict."""
        moving: list[Command] = []
        left = count

        def rule(link: Link, chunk: bytes) -> Verdict | None:
            nonlocal left
            left -= word in chunk
            if left or word not in chunk:
                return None
            moving[0].strike()
            return verdict

        self.rule(rule)
        with Command(*self._arguments(job, from_layout), "-b", "100", cwd=self._folder) as process:
            moving.append(process)
            assert process.wait().status == -9
        self.rule(None)

    def rule(self, rule: Rule | None) -> None:
        """Both proxies go by this rule."""
        for proxy in self.proxies:
            proxy.rule = rule

    def placed(self) -> list[str]:
        """The ids that are pending at the target."""
        return [task_id for task_id, _ in stored(self.there, self.layouts[1], R)]

    def left(self) -> list[str]:
        """The ids that are pending at the source."""
        return [task_id for task_id, _ in stored(self.here, self.layouts[0], Q)]

    def worker(self) -> Consumer:
        """Takes what arrives at the target."""
        return Consumer(self.target, self.layouts[1], R)


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, valkey: Server, redis_server: Callable[..., RedisServer], tmp_path: Path
) -> Iterator[Scene]:
    """From a Valkey to a Redis, or with ``SAME`` within the Valkey; between ``layouts``, where a test has those."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    target = valkey if parameters.get("same") else redis_server().start()
    scene = Scene(tmp_path, valkey, target, parameters.get("layouts", PAIRS[0]))
    with scene.proxies[0], scene.proxies[1], scene.here, scene.there:
        yield scene


SAME = pytest.mark.parametrize("same", [False, True], ids=["other server", "same server"])


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
    scene: Scene, layouts: tuple[LayoutName, LayoutName], seed: int
) -> None:
    chance = random.Random(f"{layouts} {seed}")
    scene.push(4000)
    for proxy in scene.proxies:
        proxy.rule = at_random(chance, 8)
    with scene.worker() as at_target, Consumer(scene.source, layouts[0], Q, pause=0.01) as at_source:
        done = scene.move("-b", "60")
        at_source.finish()
        at_target.finish()

    assert done.status == 0, done.stderr
    assert "reconnect" in done.stderr or "trying again" in done.stderr
    assert at_source.hollow == at_target.hollow == []
    assert Counter(at_source.done + at_target.done) == Counter(numbered(4000))
    assert at_target.done == sorted(at_target.done)
    assert done.report["migrated"] == len(at_target.done)
    assert (done.report["already"], done.report["missing"], done.report["held"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("verb", "lost"), [("copy", "everything"), ("copy", "its last seconds"), ("move", "everything")]
)
def test_a_target_that_loses_tasks_over_a_connection_that_stays_is_told(scene: Scene, verb: str, lost: str) -> None:
    inserts = 0
    scene.push(1000)

    def losing(link: Link, chunk: bytes) -> None:
        nonlocal inserts
        inserts += INSERT in chunk
        if inserts == 5 and INSERT in chunk:
            if lost == "everything":
                scene.there.flushall()
            else:  # as a replica would have it that is promoted behind a proxy
                (key,) = scene.there.keys("*:runqy-loader:j:migrated")
                scene.there.srem(key, *scene.there.spop(key, 50))
                scene.there.ltrim(pending_key(scene.layouts[1], R), 50, -1)

    scene.rule(losing)
    failed = scene.copy("-b", "100") if verb == "copy" else scene.move("-b", "100")
    scene.rule(None)

    assert failed.status == 1, failed.stderr
    assert "has lost data that it had acknowledged" in failed.stderr
    if verb == "copy":
        assert scene.copy().status in (0, 3)
        if lost == "everything":
            assert len(set(scene.placed())) == 1000


@pytest.mark.parametrize("verdict", [Verdict.CUT, Verdict.EXECUTE_AND_CUT])
@pytest.mark.parametrize("layouts", PAIRS)
def test_what_may_be_in_the_target_is_held_until_the_next_run_finds_out(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], verdict: Verdict
) -> None:
    inserts = 0

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal inserts
        inserts += INSERT in chunk
        return verdict if INSERT in chunk and inserts == 3 else None

    scene.proxies[1].rule = rule
    scene.push(400)

    failed = scene.move("-b", "50", "--retry-for", "0", "--quiet")

    assert failed.status == 1 and len(failed.stderr.splitlines()) == 1
    assert (failed.report["migrated"], failed.report["held"]) == (100, 50)
    assert len(scene.placed()) == (100 if verdict is Verdict.CUT else 150)
    assert scene.left() == [task_id for task_id, _ in numbered(250, first=150)]
    scene.rule(None)
    with scene.worker() as worker:
        done = scene.move("--quiet")
        worker.finish()

    assert done.status == 0, done.stderr
    assert worker.done == numbered(400) and worker.hollow == []


@SAME
@pytest.mark.parametrize("word", [INSERT, SETTLE], ids=["placing", "settling"])
@pytest.mark.parametrize("layouts", PAIRS + ALIKE)
def test_killed_just_before_or_after_a_step_each_task_runs_once(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], word: bytes, same: bool
) -> None:
    chance = random.Random(f"{layouts} {word!r} {same}")
    scene.push(1500)
    with scene.worker() as worker:
        for verdict in (Verdict.CUT, Verdict.EXECUTE_AND_CUT, Verdict.EXECUTE_AND_CUT):
            scene.move_killed_at(word, chance.randint(1, 4), verdict)
        done = scene.move()
        worker.finish()

    assert done.status == 0, done.stderr
    assert worker.done == numbered(1500) and worker.hollow == []
    assert (done.report["missing"], done.report["rejected"]) == (0, 0)


@SAME
@pytest.mark.parametrize("layouts", PAIRS + ALIKE)
def test_a_stop_right_after_a_killed_run_puts_nothing_back_that_the_target_has(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], same: bool
) -> None:
    scene.push(500)
    scene.move_killed_at(INSERT, 2, Verdict.EXECUTE_AND_CUT)
    source, target = scene.proxies
    migration = Migration(
        MigrateOptions(
            move=True, from_redis=source.url, to_redis=target.url, from_layout=layouts[0], to_layout=layouts[1],
            from_queue="q", to_queue="r", job="j",
        )
    )  # fmt: skip
    migration.stop()
    stopped = asyncio.run(migration.run())

    placed = scene.placed()
    assert stopped.status == "interrupted"
    assert len(placed) == 200  # 100, then 100 whose answer was lost
    assert placed + scene.left() == [task_id for task_id, _ in numbered(500)]
    assert (stopped.already, stopped.held) == (100, 0)


def test_a_killed_move_under_another_name_is_told_of_what_it_holds(scene: Scene) -> None:
    scene.push(500)
    scene.move_killed_at(INSERT, 1, Verdict.EXECUTE_AND_CUT)
    held = scene.here.llen("{asynq:q.default:pending}:runqy-loader:j:moving")

    other = scene.move("--no-progress", job="k")
    same = scene.move("--no-progress")

    assert held >= 100
    assert (other.status, other.report["migrated"]) == (0, 500 - held)
    assert f"job j holds {held} tasks of this queue" in other.stderr
    assert (same.status, same.report["migrated"] + same.report["already"]) == (0, held)
    assert "holds" not in same.stderr
    assert scene.here.keys("*runqy-loader:moves") == []


@SAME
@pytest.mark.parametrize("layouts", PAIRS)
@pytest.mark.parametrize(("first", "then"), [("", "auto"), ("auto", "")], ids=["given, then auto", "auto, then given"])
def test_a_killed_move_goes_on_whether_or_not_its_layout_is_given(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], first: str, then: str, same: bool
) -> None:
    scene.push(500)
    scene.move_killed_at(INSERT, 2, Verdict.EXECUTE_AND_CUT, job="", from_layout=first)

    done = scene.move("--no-progress", job="", from_layout=then)

    assert done.status == 0, done.stderr
    assert done.report["resumed"] is True and "holds" not in done.stderr
    assert done.report["source"].startswith(f"q.default ({layouts[0]}) on ")
    assert (scene.placed(), scene.left()) == ([task_id for task_id, _ in numbered(500)], [])
    assert scene.here.keys("*runqy-loader*:moving") == []


def test_an_insert_that_arrives_late_places_nothing_again(scene: Scene) -> None:
    held = 0

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal held
        if INSERT in chunk and not held:
            held = 1
            return Verdict.HOLD
        return None

    scene.proxies[1].rule = rule
    scene.push(300)
    with scene.worker() as worker:
        done = scene.move("--timeout", "1")
        worker.finish()
    scene.proxies[1].release()

    assert (done.status, held) == (0, 1), done.stderr
    assert worker.done == numbered(300)
    assert scene.there.llen(pending_key("asynq", R)) == 0
    assert scene.there.exists(*(task_key("asynq", R, task_id) for task_id, _ in numbered(300))) == 0


@pytest.mark.parametrize("layouts", PAIRS)
def test_a_user_with_the_documented_rights_can_move(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], tmp_path: Path
) -> None:
    loads = (  # docs/reference.md
        "~asynq:* ~{*}:runqy-loader:* ~runqy-loader:* +ping +select +hsetnx +hset +hget +eval +get +set +hincrby "
        "+hgetall +llen +lpush +exists +del +sadd +setrange +client|setname +client|list +client|kill +restore "
    )
    source = "+lrange +hstrlen +ttl +rpoplpush +lrem +rpush +lpop +lindex +hlen +type +smembers +srem"
    target = "+sadd +srem +sismember +type +hexists"
    urls: list[Any] = []
    ends = ((scene.source, scene.here, source), (scene.target, scene.there, target))
    for server, client, rights in ends:
        client.execute_command("ACL", "SETUSER", "mover", "reset", "on", ">secret", *(loads + rights).split())
        urls.append(server.url.replace("//", "//mover:secret@"))
    scene.push(100)

    done = run(
        "migrate", "--move", "--from-redis", urls[0], "--to-redis", urls[1], "--from-layout", layouts[0],
        "--to-layout", layouts[1], "--from-queue", "q", "--to-queue", "r", "--report", "-", cwd=tmp_path,
    )  # fmt: skip

    for _, client, _ in ends:
        client.execute_command("ACL", "DELUSER", "mover")
    assert done.status == 0, done.stderr
    assert done.report["migrated"] == 100
    assert "secret" not in done.stderr + done.stdout


@SAME
@pytest.mark.parametrize("layouts", PAIRS)
def test_a_right_to_forget_ids_that_is_missing_leaves_no_task_in_both_queues(
    scene: Scene, layouts: tuple[LayoutName, LayoutName], tmp_path: Path, same: bool
) -> None:
    scene.push(500)
    scene.there.execute_command("ACL", "SETUSER", "mover", "reset", "on", ">secret", "~*", "&*", "+@all", "-srem")
    arguments = (
        "migrate", "--move", "--from-redis", scene.source.url, "--from-layout", layouts[0], "--to-layout", layouts[1],
        "--from-queue", "q", "--to-queue", "r", "-b", "100", "--report", "-", "--job", "j",
    )  # fmt: skip

    failed = run(*arguments, "--to-redis", scene.target.url.replace("//", "//mover:secret@"), cwd=tmp_path)
    scene.there.execute_command("ACL", "DELUSER", "mover")
    done = run(*arguments, "--to-redis", scene.target.url, cwd=tmp_path)

    assert failed.status == 1 and "this user may not run a command that is needed" in failed.stderr
    assert done.status == 0, done.stderr
    assert (scene.placed(), scene.left()) == ([task_id for task_id, _ in numbered(500)], [])
