"""SIGKILL at random moments, several times in a row, then a resume: the same is in as without a kill."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import redis

from tests.cli import Outcome
from tests.faults.assassin import Assassin
from tests.faults.helpers import (
    assert_adds_up,
    assert_no_lease,
    payload,
    rejected_lines,
    tasks,
    write_lines,
)
from tests.faults.scene import EACH_SERVER, Scene
from tests.unit.sources.archives.test_tar_reader import tar
from tests.unit.sources.codecs.made import MADE, SKIPPED


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
def test_compressed_files_and_archives(scene: Scene, undisturbed: Undisturbed) -> None:
    numbers = iter(range(10_000))

    def records(count: int) -> list[bytes]:
        return [payload(n) if n % 97 else b'{"n": %d,' % n for n in islice(numbers, count)]

    def packed(lines: list[bytes]) -> bytes:
        """A frame of zstd, and others before it and after it, as pzstd writes them."""
        half = len(lines) // 2
        compress = MADE["zstd"].compress
        return SKIPPED + compress(b"\n".join(lines[:half]) + b"\n") + compress(b"") + compress(b"\n".join(lines[half:]))

    sources = {"a.jsonl.zst": records(900)}
    members = {f"{n:03}.json": records(1) for n in range(300)} | {"x.jsonl": records(600), "y.jsonl.zst": records(200)}
    files = [(name, packed(lines) if name.endswith("zst") else b"\n".join(lines)) for name, lines in members.items()]
    others = {"l.jsonl": records(500), "m.jsonl": records(50)}
    (scene.folder / "a.jsonl.zst").write_bytes(packed(sources["a.jsonl.zst"]))
    (scene.folder / "b.tar.zst").write_bytes(MADE["zstd"].compress(tar(files)))
    with ZipFile(scene.folder / "c.zip", "w", ZIP_DEFLATED) as archive:
        for name, lines in others.items():
            archive.writestr(name, b"\n".join(lines))
    sources |= {f"b.tar.zst:{name}": lines for name, lines in members.items()}
    sources |= {f"c.zip:{name}": lines for name, lines in others.items()}
    bad = sorted(
        (name, n) for name, lines in sources.items() for n, line in enumerate(lines, 1) if b'"text"' not in line
    )
    good = [line for lines in sources.values() for line in lines if b'"text"' in line]
    scene.input_of(good, "a.jsonl.zst", "b.tar.zst", "c.zip", "-b", "10", "--job", "kill")
    undisturbed.load(bad)

    done = Assassin(scene, 4).run("--rejects", "rejects.jsonl")

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
