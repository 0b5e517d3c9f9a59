"""SIGKILL at random moments, several times in a row, then a resume: everything is in once.

The moments are drawn from a seed: some are times from the start on, most are counted in what the loader has sent, so
that they fall into loading on any machine: before or after a piece of a batch or a commit reached the server, with its
other connections still delivering or cut, and just before the job is noted as done.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.cli import Outcome
from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_no_lease,
    assert_tidy,
    payload,
    rejected_lines,
    tasks,
    write_lines,
)
from tests.faults.proxy import COMMIT, Link, Verdict
from tests.faults.scene import EACH_SERVER, Scene

KILLS = 4
"""A test; with 7 tests on 2 servers, 56 in all."""

FINISHED = b"finished"
"""A word of the step that notes the job as done, the last one of a load."""


class Assassin:
    """Kills loads at moments drawn from a seed."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._proxy = scene.proxy
        self._random = random.Random(seed)
        self._proxy.latency = 0.01

    def run(self, *more: str) -> Outcome:
        """Starts the load and kills it ``KILLS`` times, then lets it end; the last outcome."""
        for number in range(KILLS):
            moment = self._random.choice((self._by_time, self._at_chunk, self._at_chunk, self._at_commit))
            if number == KILLS - 1 and self._random.random() < 0.5:
                moment = self._at_the_end
            with self._scene.beside(*more) as running:
                sleep = moment(running)
                if sleep is not None:
                    time.sleep(sleep)
                    running.process.kill()
                outcome = running.wait()
                assert outcome.status == -9, f"not killed, {moment.__name__}: {outcome}"
                assert_tidy(outcome)
            self._proxy.go_on()
        return self._scene.load(*more)

    def _by_time(self, running: Load) -> float | None:
        # However late the kill comes, the load is not over before.
        self._proxy.rule = lambda link, chunk: Verdict.WAIT if FINISHED in chunk else None
        return self._random.uniform(0, 0.5)

    def _at_chunk(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 25), lambda link, chunk: link.is_worker)

    def _at_commit(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 12), lambda link, chunk: link.is_worker and COMMIT in chunk)

    def _at_the_end(self, running: Load) -> None:
        self._on_nth(running, 1, lambda link, chunk: FINISHED in chunk)

    def _on_nth(self, running: Load, count: int, counts: Callable[[Link, bytes], bool]) -> None:
        verdict = self._random.choice((Verdict.PASS, Verdict.CUT, Verdict.EXECUTE_AND_CUT))
        everything = self._random.random() < 0.5
        left = count

        def rule(link: Link, chunk: bytes) -> Verdict | None:
            nonlocal left
            if not running.running or left <= 0 or not counts(link, chunk):
                return None
            left -= 1
            if left:
                return None
            running.process.kill()
            if everything:  # as if the whole host had died: what is under way on other connections is lost as well
                self._proxy.cut()
            return verdict

        self._proxy.rule = rule


class Undisturbed:
    """The same job, loaded without disturbance into another database of the server."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.client: Any = redis.Redis(port=scene.server.port, db=1)

    def load(self, bad: list[tuple[str, int]]) -> None:
        """Loads the scene's input, which has these bad records."""
        done = self._scene.load("--rejects", "undisturbed.jsonl", direct=True, database=1)
        assert done.status == 3, done.stderr
        assert sorted(rejected_lines(self._scene.folder / "undisturbed.jsonl")) == bad


@pytest.fixture
def undisturbed(scene: Scene) -> Iterator[Undisturbed]:
    reference = Undisturbed(scene)
    yield reference
    reference.client.close()


def _as_sets(found: dict[str, list[tuple[str, dict[bytes, bytes]]]]) -> dict[str, dict[str, dict[bytes, bytes]]]:
    return {queue: dict(column) for queue, column in found.items()}


def _assert_as_undisturbed(
    scene: Scene, undisturbed: Undisturbed, done: Outcome, bad: list[tuple[str, int]], *, in_all: int
) -> None:
    """The killed and resumed loads left the same tasks and the same rejects as one that was not disturbed."""
    assert done.status == 3, done.stderr
    assert_adds_up(done, loaded_in_all=in_all, rejected=len(bad))
    assert _as_sets(tasks(scene.client)) == _as_sets(tasks(undisturbed.client))
    assert sorted(rejected_lines(scene.folder / "rejects.jsonl")) == bad


@EACH_SERVER
def test_several_files_with_bad_records(scene: Scene, undisturbed: Undisturbed) -> None:
    def records(first: int, count: int) -> Iterator[bytes]:
        for n in range(first, first + count):
            yield payload(n) if n % 97 else b'{"n": %d,' % n if n % 2 else b'"\xff %d"' % n

    plain = write_lines(scene.folder / "a.jsonl", records(0, 1500))
    zipped = list(records(1500, 900))
    (scene.folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(zipped)))
    (scene.folder / "c").mkdir()
    documents = list(records(2400, 400))
    for n, document in enumerate(documents):
        (scene.folder / "c" / f"{n:04}.json").write_bytes(document)
    sources = {"a.jsonl": plain, "b.jsonl.gz": zipped} | {f"c/{n:04}.json": [d] for n, d in enumerate(documents)}
    bad = sorted(
        (name, n) for name, lines in sources.items() for n, line in enumerate(lines, 1) if b'"text"' not in line
    )
    good = [line for lines in sources.values() for line in lines if b'"text"' in line]
    scene.input_of(good, "a.jsonl", "b.jsonl.gz", "c", "-b", "10", "--job", "kill")
    undisturbed.load(bad)

    done = Assassin(scene, 1).run("--rejects", "rejects.jsonl")

    _assert_as_undisturbed(scene, undisturbed, done, bad, in_all=len(good))
    scene.assert_all_in(done, rejected=len(bad))


@EACH_SERVER
def test_queues_from_the_records(scene: Scene, undisturbed: Undisturbed) -> None:
    queues = (b'"fast"', b'"slow.high"', b'"slow"', b'"no.such.queue"', b"7")
    weights = (5, 5, 5, 1, 1)
    draw = random.Random(0)
    lines = write_lines(
        scene.folder / "in.jsonl",
        (
            b'{"n":%d,"to":%b}' % (n, draw.choices(queues, weights)[0]) if n % 10 else b'{"n":%d}' % n
            for n in range(3000)
        ),
    )
    bad = [("in.jsonl", n) for n, line in enumerate(lines, 1) if line.endswith((b':"no.such.queue"}', b'"to":7}'))]
    good = [line for line in lines if not line.endswith((b':"no.such.queue"}', b'"to":7}'))]
    scene.input_of(good, "in.jsonl", "--queue-field", "to", "-b", "20", "--job", "kill")
    undisturbed.load(bad)

    done = Assassin(scene, 2).run("--rejects", "rejects.jsonl")

    _assert_as_undisturbed(scene, undisturbed, done, bad, in_all=len(good))
    scene.assert_all_in(done, rejected=len(bad))
    assert set(tasks(scene.client)) == {"fast.default", "slow.high", "slow.default", "q.default"}


@EACH_SERVER
def test_ids_from_the_records_some_of_them_taken(scene: Scene, undisturbed: Undisturbed) -> None:
    taken = {b"asynq:t:id-%d" % n for n in range(0, 3000, 211)}
    for database in (scene.client, undisturbed.client):
        for key in taken:
            database.hset(key, "payload", "of another producer")

    def record(n: int) -> bytes:
        if n % 101 == 100:
            return b'{"id":"id-%d","n":%d}' % (n - 37, n)  # the id of an earlier record
        return b'{"id":"id-%d","n":%d}' % (n, n) if n % 103 else b'{"n":%d}' % n

    lines = write_lines(scene.folder / "in.jsonl", map(record, range(3000)))
    met = {key.removeprefix(b"asynq:t:") for key in taken}
    bad: list[tuple[str, int]] = []
    good: list[bytes] = []
    for number, line in enumerate(lines, 1):
        task_id = json.loads(line).get("id", "").encode()
        if not task_id or task_id in met:
            bad.append(("in.jsonl", number))
        else:
            good.append(line)
        met.add(task_id)
    scene.input_of(good, "in.jsonl", "--id-field", "id", "-b", "10", "-w", "1", "--job", "kill")
    undisturbed.load(bad)

    done = Assassin(scene, 3).run("--rejects", "rejects.jsonl")

    _assert_as_undisturbed(scene, undisturbed, done, bad, in_all=len(good))
    (found,) = tasks(scene.client).values()
    assert Counter(fields[b"payload"] for _, fields in found) == Counter(good)
    assert scene.hashes == taken | {f"asynq:t:{i}".encode() for i, _ in found}
    assert {scene.client.hget(key, "payload") for key in taken} == {b"of another producer"}
    assert_no_lease(scene.client)


@EACH_SERVER
@pytest.mark.parametrize("ids", ["generated", "from the record"])
def test_a_consumer_that_works_meanwhile_gets_each_payload_once(scene: Scene, ids: str) -> None:
    extra = ("--id-field", "n") if ids == "from the record" else ()
    scene.input(3000, "-b", "10", *extra)

    with scene.consumed():
        done = Assassin(scene, 4 + len(extra)).run()

    scene.assert_all_in(done)
    assert_no_lease(scene.client)


@EACH_SERVER
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_with_bad_rows(scene: Scene, undisturbed: Undisturbed, form: str) -> None:
    count = 3000
    if form == "csv":
        rows = [b'%d,"x\n%d"' % (n, n) if n % 97 else b"%d" % n for n in range(count)]
        (scene.folder / "in.csv").write_bytes(b"n,text\n" + b"\n".join(rows) + b"\n")
        lines = [sum(row.count(b"\n") + 1 for row in rows[:n]) + 2 for n in range(0, count, 97)]
        good = [b'{"n":"%d","text":"x\\n%d"}' % (n, n) for n in range(count) if n % 97]
    else:
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        values = [n + 0.5 if n % 97 else float("nan") for n in range(count)]
        parquet.write_table(pa.table({"n": range(count), "x": values}), scene.folder / "in.parquet", row_group_size=400)
        lines = [n + 1 for n in range(0, count, 97)]
        good = [b'{"n":%d,"x":%d.5}' % (n, n) for n in range(count) if n % 97]
    bad = [(f"in.{form}", line) for line in lines]
    more = ("--nan", "reject") if form == "parquet" else ()
    scene.input_of(good, f"in.{form}", "-b", "20", "--job", "kill", *more)
    undisturbed.load(bad)

    done = Assassin(scene, 5).run("--rejects", "rejects.jsonl")

    _assert_as_undisturbed(scene, undisturbed, done, bad, in_all=len(good))
    scene.assert_all_in(done, rejected=len(bad))
