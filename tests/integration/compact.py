"""Loads of compact tasks for the tests that prove that nobody can tell them from others, but by their encoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.task_message import decode
from tests.cli import Outcome, run
from tests.integration.stored import task_key

QUEUE = "inference.default"

LOADS = {
    "documented": ("--layout", "documented", "--queue", QUEUE),
    "runqy": ("--layout", "asynq", "--profile", "runqy", "--queue", QUEUE),
    "asynq": ("--layout", "asynq", "--profile", "asynq", "--type", "mail:send", "--queue", QUEUE),
}
"""The options of each kind of load."""

EACH_LOAD = pytest.mark.parametrize("kind", LOADS)
EACH_WAY = pytest.mark.parametrize("compact", ["always", "never"])


def _text(length: int, number: int) -> bytes:
    """A JSON string of so many bytes."""
    return b'"%s"' % str(number).rjust(length - 2, "x").encode()


def records(count: int = 2000) -> list[bytes]:
    """Distinct payloads; most are short, some are what a server keeps as an integer, some are long.

    63 and 64 bytes: beyond 64, an HSET makes a hash table. 4096 bytes: from there on, a string has another form.
    """
    odd = [b"{}", b"[]", b'""', b"null", b" ", b"0", b"-1", b"007", b"127", b"128", b"-4096", b"65536", b"2147483648"]
    odd += [b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-0", b"1e3", b'"\xc3\xa9"']
    made = [payload for payload in odd if payload.strip() and payload != b"007"]
    for number in range(count - len(made)):
        if number % 300 == 0:
            made.append(_text(20_000, number))
        elif number % 100 == 0:
            made += (_text(length, number) for length in (4094, 4096))
        elif number % 10 == 0:
            made += (_text(length, number) for length in (63, 64, 65))
        elif number % 3 == 0:
            made.append(b"%d" % (7**number % 10**18))
        else:
            made.append(b'{"n": %d, "prompt": "Generate image"}' % number)
    return made[:count]


RECORDS = records()


def load(
    url: str,
    folder: Path,
    kind: str,
    *more: str | Path,
    compact: str = "always",
    lines: Sequence[bytes] = RECORDS,
    name: str = "in.jsonl",
) -> Outcome:
    """Loads records, and checks that all are in, and that the report has them compact, or not."""
    (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))
    shared = ("--redis", url, "--compact", compact, "--report", "-", "--quiet")
    done = run("load", name, *LOADS[kind], *shared, *more, cwd=folder)
    assert (done.status, done.stderr) == (0, "")
    assert done.report["loaded"] == len(lines)
    assert done.report["compact"] == (0 if compact == "never" else len(lines))
    return done


@dataclass(frozen=True, slots=True)
class Key:
    """All that readers see of a key."""

    type: bytes
    ttl: int
    digest: bytes
    fields: dict[bytes, bytes] | None


def seen(db: Any, *, digests: bool = True) -> dict[bytes, Key]:
    """All keys but the loader's own.

    Args:
        digests: Ask for digests; the server must have ``enable-debug-command``.
    """
    keys = sorted(key for key in db.scan_iter(count=1000) if b"runqy-loader" not in key)
    pipe = db.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
        pipe.pttl(key)
    found = pipe.execute()
    for key, kind in zip(keys, found[::2], strict=True):
        pipe.execute_command(*(("DEBUG", "DIGEST-VALUE", key) if digests else ("PING",)))
        pipe.execute_command(*(("HGETALL", key) if kind == b"hash" else ("PING",)))
    more = pipe.execute()
    return {
        key: Key(kind, ttl, digest[0] if digests else b"", fields if kind == b"hash" else None)
        for key, kind, ttl, digest, fields in zip(keys, found[::2], found[1::2], more[::2], more[1::2], strict=True)
    }


def task_keys(db: Any) -> list[bytes]:
    """The keys of tasks, without runqy's look-up keys."""
    return [key for key, fields in hashes(db).items() if b"payload" in fields or b"msg" in fields]


def hashes(db: Any) -> dict[bytes, dict[bytes, bytes]]:
    keys = [key for key in db.scan_iter(match="asynq:*", count=1000, _type="hash") if b"runqy-loader" not in key]
    pipe = db.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    return dict(zip(keys, pipe.execute(), strict=True))


def encodings(db: Any, keys: Iterable[bytes] | None = None) -> set[bytes]:
    """How the server keeps the tasks."""
    pipe = db.pipeline(transaction=False)
    for key in task_keys(db) if keys is None else keys:
        pipe.object("encoding", key)
    return set(pipe.execute())


def assert_compact(db: Any, count: int = len(RECORDS), *, form: bytes = b"listpack") -> None:
    """So many tasks are there, and all are kept as one block, also those that HSET would make a hash table of."""
    assert len(task_keys(db)) == count
    assert encodings(db) == {form}


def payloads(db: Any, kind: str, queue: str = QUEUE) -> list[bytes]:
    """The payloads of the pending tasks, the next one to be taken first."""
    layout = "documented" if kind == "documented" else "asynq"
    pending = f"asynq:{queue}:pending" if layout == "documented" else f"asynq:{{{queue}}}:pending"
    pipe = db.pipeline(transaction=False)
    for task_id in reversed(db.lrange(pending, 0, -1)):
        pipe.hget(task_key(layout, queue, task_id.decode()), "payload" if layout == "documented" else "msg")
    found = pipe.execute()
    return found if layout == "documented" else [decode(message).payload for message in found]
