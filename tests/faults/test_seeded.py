"""Rounds that a seed draws: a load is killed, or its server is, again and again; then everything is in once.

A round draws its layout, where ids come from, compact tasks or not, bad records or none, and whether a consumer works
while the loader is killed. Each fourth round loads with two processes.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.cli import Outcome
from tests.conftest import RedisServer, Server
from tests.faults.assassin import Assassin
from tests.faults.helpers import Load, assert_adds_up, assert_no_lease, payload, rejected_lines, write_lines
from tests.faults.proxy import COMMIT, Link, Verdict
from tests.faults.scene import QUEUE, OwnScene, Scene
from tests.integration.stored import Consumer, payload_of, stored, task_key

KILLS, CRASHES = 6, 7
"""Of a loader, and of a server, in a round."""

SMALL, LARGE = (2500, 60), (14_000, 2500)
"""Records, and the bytes of text in each. The large input has three shards, for several processes."""


@dataclass(slots=True)
class Round:
    """What a seed has drawn.

    Attributes:
        chance: Draws what is not drawn yet.
        bad: Source and line of each bad record.
    """

    chance: random.Random
    processes: int
    layout: str = field(init=False)
    own_ids: bool = field(init=False)
    compact: str = field(init=False)
    consumed: bool = field(init=False)
    rejects: bool = field(init=False)
    good: list[bytes] = field(init=False)
    bad: list[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.layout = self.chance.choice(("documented", "asynq"))
        self.own_ids = self.chance.random() < 0.5
        self.compact = self.chance.choice(("always", "never"))
        self.consumed = self.chance.random() < 0.5
        self.rejects = self.chance.random() < 0.5

    def prepare(self, scene: Scene) -> None:
        """Writes the input of the scene's loads."""
        count, width = SMALL if self.processes == 1 else LARGE
        every = self.chance.randint(2, 40) if self.rejects else count + 1
        lines = [payload(n, width) if n % every else b'{"n": %d,' % n for n in range(1, count + 1)]
        write_lines(scene.folder / "in.jsonl", lines)
        self.bad = [("in.jsonl", n) for n in range(every, count + 1, every)]
        self.good = [line for line in lines if line.endswith(b"}")]
        scene.input_of(
            self.good, "in.jsonl", "-b", "10" if self.processes == 1 else "100", "-p", str(self.processes), "--layout",
            self.layout, "--compact", self.compact, "--job", "j", "--rejects", "rejects.jsonl", "--max-errors", "none",
            *(("--id-field", "n") if self.own_ids else ()),
        )  # fmt: skip

    def check(self, scene: Scene, done: Outcome, consumer: Consumer | None) -> None:
        """Each good record is a task once, or was consumed once; each bad one was rejected once; no key is left."""
        assert done.status == (3 if self.bad else 0), done.stderr
        assert_adds_up(done, loaded_in_all=len(self.good), rejected=len(self.bad))
        waiting = stored(scene.client, self.layout, QUEUE)
        assert [task_id for task_id, fields in waiting if not fields] == []
        found = [payload_of(fields) for _, fields in waiting]
        if consumer is not None:
            assert consumer.hollow == []
            found += [data for _, data in consumer.done]
        missing, twice = Counter(self.good) - Counter(found), Counter(found) - Counter(self.good)
        assert (missing.total(), twice.total()) == (0, 0), f"missing {[*missing][:3]}, too many {[*twice][:3]}"
        keys = {task_key(self.layout, QUEUE, task_id).encode() for task_id, _ in waiting}
        pattern = task_key(self.layout, QUEUE, "*").replace("{", "\\{")
        assert set(scene.client.scan_iter(match=pattern, count=1000)) == keys, "a hash is in no list"
        rejects = scene.folder / "rejects.jsonl"
        assert sorted(rejected_lines(rejects) if self.bad else []) == self.bad
        assert_no_lease(scene.client)


def drawn(seed: int, words: str) -> Round:
    return Round(random.Random(f"{words} {seed}"), 2 if seed % 4 == 3 else 1)


def consumer_of(stack: ExitStack, round_: Round, server: Server) -> Consumer | None:
    return stack.enter_context(Consumer(server, round_.layout, QUEUE)) if round_.consumed else None


@pytest.mark.parametrize("scene", ["_valkey", "_redis"], ids=["valkey", "redis"], indirect=True)
@pytest.mark.parametrize("seed", range(15))
def test_a_loader_killed_again_and_again_loads_each_record_once(scene: Scene, seed: int) -> None:
    round_ = drawn(seed, scene.server.kind)
    round_.prepare(scene)

    with ExitStack() as stack:
        consumer = consumer_of(stack, round_, scene.server)
        done = Assassin(scene, f"{scene.server.kind} {seed}", KILLS).run()
        if consumer is not None:
            consumer.finish()

    round_.check(scene, done, consumer)


class Crashes:
    """Kills a server when the load sends its n-th commit, or piece of a batch, from here on; n is drawn.

    Attributes:
        happened: Whether it was killed.
    """

    def __init__(self, scene: Scene, server: RedisServer, chance: random.Random) -> None:
        self.happened = threading.Event()
        self._server = server
        self._left = chance.randint(1, 20)
        self._commits_only = chance.random() < 0.5
        self._verdict = chance.choice((Verdict.PASS, Verdict.EXECUTE_AND_CUT))
        scene.proxy.rule = self._rule

    def _rule(self, link: Link, chunk: bytes) -> Verdict | None:
        if not link.is_worker or (self._commits_only and COMMIT not in chunk) or self.happened.is_set():
            return None
        self._left -= 1
        if self._left:
            return None
        self._server.kill()
        self.happened.set()
        return self._verdict


def crash_again_and_again(scene: Scene, server: RedisServer, chance: random.Random, running: Load) -> None:
    for _ in range(CRASHES):
        crash = Crashes(scene, server, chance)
        running.until(crash.happened.is_set, "the server is killed")
        server.start()
    scene.proxy.go_on()


@pytest.mark.parametrize("seed", range(8))
def test_a_server_killed_again_and_again_that_appends_always_loses_nothing(own_scene: OwnScene, seed: int) -> None:
    """Valkey: of a script that a crash has torn, Redis runs a part at the second restart (findings/)."""
    scene, server = own_scene("--appendonly", "yes", "--appendfsync", "always", kind="valkey")
    round_ = drawn(seed, "crash")
    round_.prepare(scene)
    scene.proxy.latency = 0.002

    with scene.beside() as running:
        crash_again_and_again(scene, server, round_.chance, running)
        done = running.wait()

    round_.check(scene, done, None)
