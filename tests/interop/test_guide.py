"""What the loader stores is what the enqueueing guide's own ways leave behind: Python, Node, Go and redis-cli."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli import COMPACT, run
from tests.conftest import Server
from tests.interop.conftest import Peer, Task

GUIDE_FIELDS = [b"type", b"payload", b"retry", b"max_retry", b"queue"]

_VALUES: list[dict[str, Any]] = [
    {},
    {"input": "hello world"},
    {"prompt": "Generate image 1"},
    {"empty": "", "none": None, "yes": True, "no": False},
    {"numbers": [0, -1, 7, 9007199254740991, -9007199254740991, 0.5, -2.25, 1234.5678]},
    {"nested": {"list": [[], [[]], {}, {"deep": {"deeper": ["x", {"y": None}]}}]}},
    {"quotes": "a 'single' and a \"double\" one", "slashes": "\\ / \\' \\\" \\\\"},
    {"control": "\x00\x01\x08\t\n\x0b\x0c\r\x1b\x1f\x7f"},
    {"latin": "Zürich, garçon, Ærø", "greek": "αβγ", "cjk": "日本語", "right to left": "שלום"},
    {"astral": "😀𝔘𐍈", "joined": "👩\u200d🚀", "combining": "e\u0301"},
    {"separators": "\u2028\u2029\u0085\u00a0", "top": "\uffff\ufffd"},
    {"html": "<a href='?x=1&y=2'>&amp;</a>", "dollar": "$100 {braces} %s %d \r\n*3\r\n$3\r\nDEL"},
    {"ключ": "значение", "z": 1, "a": 2, "m": {"z": 1, "a": 2}},
    {"short": "x" * 30},  # every field within hash-max-listpack-value, 64 bytes
    {"long": "x" * 100},  # and beyond it
    {"longer": "é" * 20_000},
    *({"n": number, "prompt": f"Generate image {number}"} for number in range(40)),
]
PAYLOADS = [{"id": f"task-{number:03}", **value} for number, value in enumerate(_VALUES)]
"""Objects whose values every language's JSON library reads and writes alike; only the spelling is each one's own."""


@dataclass(frozen=True, slots=True)
class Key:
    """All that can be seen of a key, but for its serialised form."""

    type: bytes
    encoding: bytes
    ttl: int
    content: list[Any]

    @property
    def payload(self) -> bytes:
        found: bytes = dict(self.content)[b"payload"]
        return found


def is_ledger(key: bytes) -> bool:
    return b"runqy-loader:" in key


def stored(client: Any, *, ordered: bool = True) -> dict[bytes, Key]:
    """All keys but the loader's own.

    Args:
        ordered: Keep the order of hash fields where it is the one of writing, which a compact encoding promises.
    """
    found: dict[bytes, Key] = {}
    for key in client.scan_iter(count=1000):
        if is_ledger(key):
            continue
        kind, encoding = client.type(key), client.object("encoding", key)
        if kind == b"hash":
            content = list(client.hgetall(key).items())
            if encoding == b"hashtable" or not ordered:
                content.sort()
        else:
            content = client.lrange(key, 0, -1)
        found[key] = Key(kind, encoding, client.ttl(key), content)
    return found


@pytest.fixture
def other(server: Server) -> Iterator[Any]:
    """A client of another database of ``server``, where peers enqueue."""
    with redis.Redis(port=server.port, db=1) as client:
        yield client


def load(server: Server, folder: Path, lines: list[str], *options: str) -> None:
    """Loads payloads; checks that some tasks are compact unless a test says 'never', and all if it says 'always'."""
    (folder / "in.jsonl").write_text("".join(f"{line}\n" for line in lines), newline="")
    shared = ("--redis", server.url, "--workers", "1", "-b", "16", "--report", "-", "--no-progress")
    done = run("load", "in.jsonl", *shared, *options, cwd=folder)
    assert done.status == 0, done.stderr
    compact, mode = done.report["compact"], os.environ.get(COMPACT)
    assert compact == {"never": 0, "always": len(lines)}.get(mode or "", compact)
    assert compact > 0 or mode == "never"


def tasks_in_order(client: Any, queue: str, lines: list[str]) -> list[Task]:
    """Each line with the id that the loader gave it, the first to be consumed first."""
    ids = [task_id.decode() for task_id in reversed(client.lrange(f"asynq:{queue}:pending", 0, -1))]
    return list(zip(ids, lines, strict=True))


@pytest.mark.parametrize("ids", [(), ("--id-field", "id")], ids=["generated ids", "own ids"])
def test_keys_fields_and_bytes_are_those_of_the_guides_own_way(
    server: Server, client: Any, other: Any, peer: Peer, tmp_path: Path, ids: tuple[str, ...], way: str
) -> None:
    lines = [peer.spell(payload) for payload in PAYLOADS]
    load(server, tmp_path, lines, "--queue", "inference", *ids)
    tasks = tasks_in_order(client, "inference.default", lines)
    if ids:
        assert [task_id for task_id, _ in tasks] == [payload["id"] for payload in PAYLOADS]

    peer.enqueue(f"redis://127.0.0.1:{server.port}/1", "inference.default", 3, tasks)

    ours, theirs = stored(client, ordered=peer.ordered), stored(other, ordered=peer.ordered)
    task_keys = {f"asynq:t:{task_id}".encode() for task_id, _ in tasks}
    assert ours.keys() == theirs.keys() == task_keys | {b"asynq:inference.default:pending"}
    for key, value in theirs.items():
        own = ours[key]
        if way == "always" and value.encoding == b"hashtable":  # the order of its fields is any
            own = replace(own, encoding=b"hashtable", content=sorted(own.content))
        assert own == value, key
    forms = {b"listpack"} if way == "always" else {b"listpack", b"hashtable"}
    assert {ours[key].encoding for key in task_keys} == forms


def test_a_payload_in_another_spelling_differs_in_its_spelling_only(
    server: Server, client: Any, other: Any, peer: Peer, tmp_path: Path, way: str
) -> None:
    lines = [json.dumps(payload, separators=(",  ", " :")) for payload in PAYLOADS]
    load(server, tmp_path, lines, "--queue", "inference.high", "--max-retry", "7")
    tasks = tasks_in_order(client, "inference.high", lines)

    peer.enqueue(f"redis://127.0.0.1:{server.port}/1", "inference.high", 7, tasks)

    ours, theirs = stored(client, ordered=False), stored(other, ordered=False)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if value.type == b"hash":
            assert json.loads(ours[key].payload) == json.loads(value.payload)
            same = [(field, text) for field, text in ours[key].content if field != b"payload"]
            same += [(b"payload", value.payload)]
            assert replace(value, encoding=b"", content=sorted(same)) == replace(value, encoding=b"")
            assert ours[key].ttl == value.ttl == -1
        else:
            assert ours[key] == value


def test_fields_are_five_strings_in_the_guides_order(server: Server, client: Any, tmp_path: Path, way: str) -> None:
    payload = '{"input": "hello world"}'
    load(server, tmp_path, [payload], "--queue", "inference.default")

    (task_id,) = client.lrange("asynq:inference.default:pending", 0, -1)

    fields = client.hgetall(b"asynq:t:" + task_id)
    assert list(fields) == GUIDE_FIELDS
    assert list(fields.values()) == [b"task", payload.encode(), b"0", b"3", b"inference.default"]


@pytest.mark.parametrize("ids", [(), ("--id-field", "id")], ids=["generated ids", "own ids"])
def test_nothing_else_is_left_but_the_loaders_own_keys_which_no_asynq_pattern_matches(
    server: Server, client: Any, tmp_path: Path, ids: tuple[str, ...]
) -> None:
    lines = [json.dumps(payload) for payload in PAYLOADS]
    load(server, tmp_path, lines, "--queue", "inference", "--job", "j", *ids)

    ledger = [key.decode() for key in client.keys("*runqy-loader:*")]
    pattern = (
        r"runqy-loader:jobs|runqy-loader:\{j\}:job|runqy-loader:\{inference\.default\}:source:[0-9a-f]{32}|"
        r"\{asynq:inference\.default:pending\}:runqy-loader:j:0:(batches|checksums|records)"
    )
    assert len(ledger) == 6
    assert all(re.fullmatch(pattern, key) for key in ledger), ledger
    assert len(client.keys("asynq:t:*")) == len(PAYLOADS)
    assert client.keys("asynq:*:pending") == [b"asynq:inference.default:pending"]
    assert len(client.keys("asynq:*")) == len(PAYLOADS) + 1


def test_a_consumer_pops_ids_from_the_right_and_reads_each_task(
    server: Server, client: Any, tmp_path: Path, way: str
) -> None:
    load(server, tmp_path, [json.dumps(payload) for payload in PAYLOADS], "--queue", "inference")

    consumed = []
    while (task_id := client.rpop("asynq:inference.default:pending")) is not None:
        task = client.hgetall(b"asynq:t:" + task_id)
        assert (task[b"type"], task[b"retry"], task[b"max_retry"]) == (b"task", b"0", b"3")
        assert task[b"queue"] == b"inference.default"
        consumed.append(json.loads(task[b"payload"]))
    assert consumed == PAYLOADS


def test_loader_and_peer_share_a_queue_first_in_first_out(
    server: Server, client: Any, peer: Peer, tmp_path: Path
) -> None:
    load(server, tmp_path, ["1", "2"], "--queue", "q")
    peer.enqueue(server.url, "q.default", 3, [("from-peer", '{"n":3}')])
    (tmp_path / "later.jsonl").write_text("4\n")
    assert run("load", "later.jsonl", "--queue", "q", "--redis", server.url, cwd=tmp_path).status == 0

    ids = [client.rpop("asynq:q.default:pending").decode() for _ in range(4)]

    assert ids[2] == "from-peer"
    assert [json.loads(client.hget(f"asynq:t:{task_id}", "payload")) for task_id in ids] == [1, 2, {"n": 3}, 4]
