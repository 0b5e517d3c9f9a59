"""Whether tasks are written compact: what real servers do with the scratch task, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import hiredis
import pytest

from loader.layouts import ziplist
from loader.layouts.compact import Dumps
from loader.layouts.dump import crc64, hash_dump
from loader.layouts.pays import dumps_that_pay
from loader.preflight.ask import Question, ask_node
from loader.preflight.checks import Finding
from loader.preflight.compact import SCRATCH, Scratch, compact_finding, scratch_task
from loader.settings import LoadOptions
from loader.settings.shared import CompactMode
from loader.tasks.profiles import LayoutName
from loader.wire.address import parse_address
from loader.wire.client import Client
from tests.conftest import RedisServer, Server
from tests.unit.dump_reader import read

KEY = b"runqy-loader:scratch:1"
BUSY = hiredis.ReplyError("BUSYKEY Target key name already exists.")
GOOD = Scratch(b"OK", BUSY, 1, dict(SCRATCH), SCRATCH[-1][1], hash_dump(SCRATCH), 1)


def asked(port: int, question: Question[Scratch], login: str = "") -> Scratch:
    async def ask() -> Scratch:
        node = Client(parse_address(f"redis://{login}localhost:{port}"), 10)
        try:
            return (await ask_node(node, question))[question]
        finally:
            await node.aclose()

    return asyncio.run(ask())


def choice(
    mode: CompactMode, *scratches: Scratch, layout: LayoutName = "documented", kind: str = "redis"
) -> tuple[bool, Finding]:
    infos = [{"server_name": kind} if kind == "valkey" else {}] * max(1, len(scratches))
    options = LoadOptions(queue="q", layout=layout, compact=mode)
    dumps, finding = compact_finding(options, scratches, infos, "localhost")
    return dumps is not None, finding


def auto(*scratches: Scratch) -> tuple[bool, str]:
    compact, finding = choice("auto", *scratches)
    assert finding.level == "ok"
    return compact, str(finding)


@pytest.fixture
def user(server: Server, client: Any) -> Iterator[str]:
    """A user of the server who may do everything but RESTORE."""
    client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", "~*", "+@all", "-restore")
    yield "loader:secret@"
    client.acl_deluser("loader")


def test_the_scratch_task_holds_every_kind_of_entry() -> None:
    listpack = read(hash_dump(SCRATCH))
    values = [value for _, value in listpack.fields]
    widths = {len(hash_dump([(b"n", b"%d" % value)])) for value in values if isinstance(value, int)}
    lengths = [len(value) for value in values if isinstance(value, bytes)]
    assert len(widths) == 6
    assert min(lengths) == 0 and max(lengths) > 4096


def test_a_server_that_takes_dumps_is_written_compact(server: Server, client: Any) -> None:
    scratch = asked(server.port, scratch_task(KEY))
    assert auto(scratch) == (
        True,
        "tasks are written compact, which takes less memory; by HSET where payloads are over 1,500 bytes",
    )
    assert choice("always", scratch)[0]
    assert client.keys() == []


def test_redis_62_is_written_compact_in_the_older_form(redis_62: Server) -> None:
    scratch = asked(redis_62.port, scratch_task(KEY))
    assert "version or checksum" in str(scratch.restored)
    assert auto(scratch) == (
        True,
        "tasks are written compact (as ziplists, since the server is older than Redis 7.0), which takes less memory; "
        "by HSET where payloads are over 1,500 bytes",
    )
    options = LoadOptions(queue="q", layout="documented", compact="always")
    assert compact_finding(options, [scratch], [{}], "localhost")[0] == Dumps(form="ziplist")
    options = LoadOptions(queue="q", layout="asynq")
    assert compact_finding(options, [scratch], [{}], "localhost")[0] == Dumps(700, "ziplist")
    with redis_62.client() as client:
        assert client.keys() == []


def test_redis_62_that_refuses_all_writes_is_known_by_its_version(redis_server: Callable[..., RedisServer]) -> None:
    port = redis_server("--maxmemory", "1", kind="redis-6.2").start().port
    scratch = asked(port, scratch_task(KEY))
    info: Any = asked(port, Question((("INFO", "server"),), lambda replies: replies[0]))
    assert str(scratch.restored).startswith("OOM ")
    options = LoadOptions(queue="q", layout="documented", compact="always")
    assert compact_finding(options, [scratch], [info], "localhost")[0] == Dumps(form="ziplist")


def test_primaries_that_take_different_forms_get_hsets() -> None:
    old = replace(
        GOOD,
        restored=hiredis.ReplyError("ERR DUMP payload version or checksum are wrong"),
        restored_old=b"OK",
        dump=hash_dump(SCRATCH, ziplist),
    )
    assert auto(old, old)[0]
    assert auto(GOOD, old) == (
        False,
        "tasks are written by HSET: some of the servers are older than Redis 7.0, and take other dumps",
    )


def test_a_user_who_may_not_restore(server: Server, user: str) -> None:
    scratch = asked(server.port, scratch_task(KEY), user)
    why = "this user may not run RESTORE. Add +restore to the user (ACL SETUSER)"
    assert auto(scratch) == (False, f"tasks are written by HSET: {why}")
    compact, finding = choice("always", scratch, layout="asynq")
    assert (compact, finding.level, str(finding)) == (False, "error", f"--compact always cannot be: {why}")


@pytest.mark.parametrize("right", ["-dump", "-hget", "-hgetall", "-del", "-exists"])
def test_rights_that_compact_tasks_need_besides(server: Server, client: Any, right: str) -> None:
    client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", "~*", "+@all", *right.split())
    scratch = asked(server.port, scratch_task(KEY), "loader:secret@")
    client.acl_deluser("loader")
    client.delete(KEY)
    assert auto(scratch)[0] == (right == "-dump"), auto(scratch)


def test_a_server_that_keeps_few_fields_in_a_listpack(server: Server, client: Any) -> None:
    before = client.config_get("hash-max-listpack-entries")
    client.config_set("hash-max-listpack-entries", 4)
    scratch = asked(server.port, scratch_task(KEY))
    client.config_set("hash-max-listpack-entries", before["hash-max-listpack-entries"])
    compact, text = auto(scratch)
    assert not compact
    assert "hash table" in text and "hash-max-listpack-entries" in text


def test_a_server_without_the_command(redis_server: Callable[..., RedisServer]) -> None:
    port = redis_server("--rename-command", "RESTORE", "").start().port
    compact, text = auto(asked(port, scratch_task(KEY)))
    assert not compact
    assert "no command RESTORE" in text


def test_a_server_of_an_older_rdb_version(server: Server) -> None:
    """No older server is at hand, so a dump of a version to come meets servers that are too old for it."""
    question = scratch_task(KEY)
    newer = hash_dump(SCRATCH)[:-10] + (11_000).to_bytes(2, "little")
    newer += crc64(newer, 0).to_bytes(8, "little")
    restore, _, *others = question.commands
    scratch = asked(server.port, replace(question, commands=((*restore[:3], newer), (*restore[:3], newer), *others)))
    compact, text = auto(scratch)
    assert not compact
    assert "takes dumps neither of RDB version 10 nor of 9" in text


def test_a_full_server_is_not_known_to_refuse_dumps(redis_server: Callable[..., RedisServer]) -> None:
    port = redis_server("--maxmemory", "1").start().port
    scratch = asked(port, scratch_task(KEY))
    assert str(scratch.restored).startswith("OOM ")
    assert auto(scratch)[0]


def test_a_key_that_exists_is_not_replaced_and_is_told(server: Server, client: Any) -> None:
    client.set(KEY, "x")
    question = scratch_task(KEY)
    scratch = asked(server.port, replace(question, commands=(*question.commands[:-1], ("EXISTS", KEY))))
    assert client.get(KEY) == b"x"
    assert "BUSYKEY" in auto(scratch)[1]


@pytest.mark.parametrize(
    "scratch",
    [
        replace(GOOD, fields=hiredis.ReplyError("WRONGTYPE Operation against a key holding a string")),
        replace(GOOD, fields=dict(SCRATCH[:-1])),
        replace(GOOD, fields={**dict(SCRATCH), b"retry": b"1"}),
        replace(GOOD, last=None),
        replace(GOOD, last=hiredis.ReplyError("ERR no")),
    ],
    ids=["a string, as miniredis makes", "a field less", "another value", "no value", "an error"],
)
def test_a_hash_that_does_not_read_back_is_not_trusted(scratch: Scratch) -> None:
    compact, text = auto(scratch)
    assert not compact
    assert "answers OK to RESTORE, but" in text
    assert choice("always", scratch)[1].level == "error"


@pytest.mark.parametrize(
    ("layout", "kind", "longest"),
    [("documented", "redis", 1500), ("asynq", "redis", 500), ("documented", "valkey", 400), ("asynq", "valkey", 400)],
)
def test_up_to_which_length_a_dump_pays(layout: LayoutName, kind: str, longest: int) -> None:
    assert f"payloads are over {longest:,} bytes" in choice("auto", GOOD, layout=layout, kind=kind)[1].text
    options = LoadOptions(queue="q", layout=layout, compact="always")
    assert compact_finding(options, [GOOD], [{}], "localhost")[0] == Dumps()


def test_a_real_server_tells_its_kind(server: Server, client: Any) -> None:
    options = LoadOptions(queue="q", layout="documented")
    kind = "valkey" if "valkey_version" in client.info("server") else "redis"
    info: Any = asked(server.port, Question((("INFO",),), lambda replies: replies[0]))
    assert dumps_that_pay(options, info) == Dumps({"redis": 1500, "valkey": 400}[kind])
    assert dumps_that_pay(options, hiredis.ReplyError("NOPERM")) == Dumps(1500)


def test_the_least_of_all_primaries_counts() -> None:
    options = LoadOptions(queue="q", layout="documented")
    assert compact_finding(options, [GOOD, GOOD], [{}, {"server_name": "valkey"}], "localhost")[0] == Dumps(400)


def test_one_primary_of_a_cluster_that_cannot_decides() -> None:
    wrong = hiredis.ReplyError("ERR DUMP payload version or checksum are wrong")
    bad = replace(GOOD, restored=wrong, restored_old=wrong)
    assert auto(GOOD, GOOD)[0]
    assert not auto(GOOD, bad)[0]


def test_never_needs_no_question() -> None:
    assert choice("never") == (False, Finding("compact", "ok", "tasks are written by HSET, as --compact never says"))
