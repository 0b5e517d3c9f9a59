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
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli import Outcome
from tests.conftest import Server
from tests.faults.helpers import (
    Consumer,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_tidy,
    load,
    numbered,
    payload,
    rejected_lines,
    task_keys,
    tasks,
    write_lines,
)
from tests.faults.proxy import Link, Proxy, Verdict

KILLS = 4
"""A test; with 5 tests on 2 servers, 40 in all."""


class Assassin:
    """Kills loads at moments drawn from a seed."""

    def __init__(self, proxy: Proxy, seed: int) -> None:
        self._proxy = proxy
        self._random = random.Random(seed)
        proxy.latency = 0.01

    def run(self, *arguments: str | Path, cwd: Path) -> Outcome:
        """Starts the load and kills it ``KILLS`` times, then lets it end; the last outcome."""
        for number in range(KILLS):
            moment = self._random.choice((self._by_time, self._at_chunk, self._at_chunk, self._at_commit))
            if number == KILLS - 1 and self._random.random() < 0.5:
                moment = self._at_the_end
            with Load(*arguments, cwd=cwd) as running:
                sleep = moment(running)
                if sleep is not None:
                    time.sleep(sleep)
                    running.process.kill()
                outcome = running.wait()
                assert outcome.status == -9, f"not killed, {moment.__name__}: {outcome}"
                assert_tidy(outcome)
            self._proxy.rule = None
        return load(*arguments, cwd=cwd)

    def _by_time(self, running: Load) -> float | None:
        return self._random.uniform(0, 0.5)

    def _at_chunk(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 25), lambda link, chunk: link.is_worker)

    def _at_commit(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 12), lambda link, chunk: link.is_worker and b"'LPUSH'" in chunk)

    def _at_the_end(self, running: Load) -> None:
        self._on_nth(running, 1, lambda link, chunk: b"finished" in chunk)

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


@pytest.fixture
def reference(server: Server) -> Iterator[Any]:
    """A client of another database, where the same job runs undisturbed."""
    with redis.Redis(port=server.port, db=1) as client:
        yield client


def _beside(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}/1"


def _as_sets(found: dict[str, list[tuple[str, dict[bytes, bytes]]]]) -> dict[str, dict[str, dict[bytes, bytes]]]:
    return {queue: dict(column) for queue, column in found.items()}


def test_several_files_with_bad_records(
    server: Server, client: Any, reference: Any, proxy: Proxy, tmp_path: Path
) -> None:
    def records(first: int, count: int) -> Iterator[bytes]:
        for n in range(first, first + count):
            yield payload(n) if n % 97 else b'{"n": %d,' % n if n % 2 else b'"\xff %d"' % n

    plain = write_lines(tmp_path / "a.jsonl", records(0, 1500))
    zipped = list(records(1500, 900))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(zipped)))
    (tmp_path / "c").mkdir()
    documents = list(records(2400, 400))
    for n, document in enumerate(documents):
        (tmp_path / "c" / f"{n:04}.json").write_bytes(document)
    sources = {"a.jsonl": plain, "b.jsonl.gz": zipped} | {f"c/{n:04}.json": [d] for n, d in enumerate(documents)}
    bad = sorted(
        (name, n) for name, lines in sources.items() for n, line in enumerate(lines, 1) if b'"text"' not in line
    )
    good = [line for lines in sources.values() for line in lines if b'"text"' in line]
    command = ("a.jsonl", "b.jsonl.gz", "c", "-q", "inference", "-b", "10", "--job", "kill", "--report", "-")
    undisturbed = load(*command, "--redis", _beside(server), "--rejects", "undisturbed.jsonl", cwd=tmp_path)

    done = Assassin(proxy, 1).run(*command, "--redis", proxy.url, "--rejects", "rejects.jsonl", cwd=tmp_path)

    assert (undisturbed.status, done.status) == (3, 3), done.stderr
    assert_adds_up(done, loaded_in_all=len(good), rejected=len(bad))
    assert_each_once(client, good)
    assert _as_sets(tasks(client)) == _as_sets(tasks(reference))
    assert sorted(rejected_lines(tmp_path / "rejects.jsonl")) == bad
    assert sorted(rejected_lines(tmp_path / "undisturbed.jsonl")) == bad


def test_queues_from_the_records(server: Server, client: Any, reference: Any, proxy: Proxy, tmp_path: Path) -> None:
    queues = (b'"fast"', b'"slow.high"', b'"slow"', b'"no.such.queue"', b"7")
    weights = (5, 5, 5, 1, 1)
    draw = random.Random(0)
    lines = write_lines(
        tmp_path / "in.jsonl",
        (
            b'{"n":%d,"to":%b}' % (n, draw.choices(queues, weights)[0]) if n % 10 else b'{"n":%d}' % n
            for n in range(3000)
        ),
    )
    bad = [("in.jsonl", n) for n, line in enumerate(lines, 1) if line.endswith((b':"no.such.queue"}', b'"to":7}'))]
    good = [line for line in lines if not line.endswith((b':"no.such.queue"}', b'"to":7}'))]
    command = ("in.jsonl", "-q", "rest", "--queue-field", "to", "-b", "20", "--job", "kill", "--report", "-")
    undisturbed = load(*command, "--redis", _beside(server), "--rejects", "undisturbed.jsonl", cwd=tmp_path)

    done = Assassin(proxy, 2).run(*command, "--redis", proxy.url, "--rejects", "rejects.jsonl", cwd=tmp_path)

    assert (undisturbed.status, done.status) == (3, 3), done.stderr
    assert_adds_up(done, loaded_in_all=len(good), rejected=len(bad))
    assert_each_once(client, good)
    assert set(tasks(client)) == {"fast.default", "slow.high", "slow.default", "rest.default"}
    assert _as_sets(tasks(client)) == _as_sets(tasks(reference))
    assert sorted(rejected_lines(tmp_path / "rejects.jsonl")) == bad


def test_ids_from_the_records_some_of_them_taken(
    server: Server, client: Any, reference: Any, proxy: Proxy, tmp_path: Path
) -> None:
    taken = {b"asynq:t:id-%d" % n for n in range(0, 3000, 211)}
    for database in (client, reference):
        for key in taken:
            database.hset(key, "payload", "of another producer")

    def record(n: int) -> bytes:
        if n % 101 == 100:
            return b'{"id":"id-%d","n":%d}' % (n - 37, n)  # the id of an earlier record
        return b'{"id":"id-%d","n":%d}' % (n, n) if n % 103 else b'{"n":%d}' % n

    lines = write_lines(tmp_path / "in.jsonl", map(record, range(3000)))
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
    command = ("in.jsonl", "-q", "q", "--id-field", "id", "-b", "10", "-w", "1", "--job", "kill", "--report", "-")
    undisturbed = load(*command, "--redis", _beside(server), "--rejects", "undisturbed.jsonl", cwd=tmp_path)

    done = Assassin(proxy, 3).run(*command, "--redis", proxy.url, "--rejects", "rejects.jsonl", cwd=tmp_path)

    assert (undisturbed.status, done.status) == (3, 3), done.stderr
    assert_adds_up(done, loaded_in_all=len(good), rejected=len(bad))
    (found,) = tasks(client).values()
    assert Counter(fields[b"payload"] for _, fields in found) == Counter(good)
    assert _as_sets(tasks(client)) == _as_sets(tasks(reference))
    assert task_keys(client) == taken | {f"asynq:t:{i}".encode() for i, _ in found}
    assert {client.hget(key, "payload") for key in taken} == {b"of another producer"}
    assert sorted(rejected_lines(tmp_path / "rejects.jsonl")) == bad
    assert sorted(rejected_lines(tmp_path / "undisturbed.jsonl")) == bad
    assert_no_lease(client)


@pytest.mark.parametrize("ids", ["generated", "from the record"])
def test_a_consumer_that_works_meanwhile_gets_each_payload_once(
    server: Server, client: Any, proxy: Proxy, tmp_path: Path, ids: str
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)
    extra = ("--id-field", "n") if ids == "from the record" else ()

    with Consumer(server.port, ["q.default"]) as consumer:
        done = Assassin(proxy, 4 + len(extra)).run(
            "in.jsonl", "-q", "q", "-b", "10", "--redis", proxy.url, "--report", "-", *extra, cwd=tmp_path
        )

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=3000)
    consumer.assert_each_once(client, lines)
    assert_no_lease(client)
