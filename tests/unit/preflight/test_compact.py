"""Whether tasks are written compact: what real servers do with the scratch task, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import hiredis
import pytest

from loader.layouts.dump import crc64, hash_dump
from loader.preflight.ask import Question, ask_node
from loader.preflight.compact import PAYS_UP_TO, SCRATCH, Choice, Scratch, choose, obstacle_of, scratch_task
from loader.wire.address import parse_address
from loader.wire.client import Client
from tests.conftest import RedisServer, Server
from tests.unit.dump_reader import read

KEY = "runqy-loader:scratch:1"
GOOD = Scratch(b"OK", dict(SCRATCH), [value for _, value in reversed(SCRATCH)], hash_dump(SCRATCH))


def asked(port: int, question: Question[Scratch], login: str = "") -> Scratch:
    async def ask() -> Scratch:
        node = Client(parse_address(f"redis://{login}localhost:{port}"), 10)
        try:
            return (await ask_node(node, question))[question]
        finally:
            await node.aclose()

    return asyncio.run(ask())


def auto(scratch: Scratch, mean_payload: float | None = 100) -> Choice:
    return choose("auto", [scratch], "documented", mean_payload)


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
    assert obstacle_of(scratch) is None
    assert auto(scratch).compact
    assert client.keys() == []


def test_a_user_who_may_not_restore(server: Server, user: str) -> None:
    scratch = asked(server.port, scratch_task(KEY), user)
    choice = auto(scratch)
    assert not choice.compact and not choice.refused
    assert str(choice) == (
        "tasks are written by HSET: this user may not run RESTORE. Add +restore to the user (ACL SETUSER)"
    )
    assert str(choose("always", [scratch], "asynq", 100)) == (
        "--compact always cannot be: this user may not run RESTORE. Add +restore to the user (ACL SETUSER)"
    )


def test_a_user_who_may_not_dump_can_still_write_compact(server: Server, client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", "~*", "+@all", "-dump")
    scratch = asked(server.port, scratch_task(KEY), "loader:secret@")
    client.acl_deluser("loader")
    assert auto(scratch).compact


def test_a_server_that_keeps_few_fields_in_a_listpack(server: Server, client: Any) -> None:
    before = client.config_get("hash-max-listpack-entries")
    client.config_set("hash-max-listpack-entries", 4)
    scratch = asked(server.port, scratch_task(KEY))
    client.config_set("hash-max-listpack-entries", before["hash-max-listpack-entries"])
    choice = auto(scratch)
    assert not choice.compact
    assert "hash table" in choice.why and "hash-max-listpack-entries" in choice.hint


def test_a_server_without_the_command(redis_server: Callable[..., RedisServer]) -> None:
    port = redis_server("--rename-command", "RESTORE", "").start().port
    choice = auto(asked(port, scratch_task(KEY)))
    assert not choice.compact
    assert "no command RESTORE" in choice.why


def test_a_server_of_an_older_rdb_version(server: Server) -> None:
    """No older server is at hand, so a dump of a version to come meets servers that are too old for it."""
    question = scratch_task(KEY)
    newer = hash_dump(SCRATCH)[:-10] + (11_000).to_bytes(2, "little")
    newer += crc64(newer, 0).to_bytes(8, "little")
    restore, *others = question.commands
    scratch = asked(server.port, replace(question, commands=((*restore[:3], newer), *others)))
    choice = auto(scratch)
    assert not choice.compact
    assert "does not take dumps of RDB version 10" in choice.why


def test_a_key_that_exists_is_not_replaced_and_is_told(server: Server, client: Any) -> None:
    client.set(KEY, "x")
    scratch = asked(server.port, Question(scratch_task(KEY).commands[:-1], scratch_task(KEY).read))
    assert client.get(KEY) == b"x"
    assert "BUSYKEY" in auto(scratch).why


@pytest.mark.parametrize(
    "scratch",
    [
        replace(GOOD, fields=hiredis.ReplyError("WRONGTYPE Operation against a key holding a string")),
        replace(GOOD, fields=dict(SCRATCH[:-1])),
        replace(GOOD, fields={**dict(SCRATCH), b"retry": b"1"}),
        replace(GOOD, values=[None] * len(SCRATCH)),
        replace(GOOD, values=hiredis.ReplyError("ERR no")),
    ],
    ids=["a string, as miniredis makes", "a field less", "another value", "no values", "an error"],
)
def test_a_hash_that_does_not_read_back_is_not_trusted(scratch: Scratch) -> None:
    assert not auto(scratch).compact
    assert "answers OK to RESTORE, but" in auto(scratch).why
    assert choose("always", [scratch], "documented", None).refused


def test_one_primary_of_a_cluster_that_cannot_decides() -> None:
    bad = replace(GOOD, restored=hiredis.ReplyError("NOPERM no"))
    assert choose("auto", [GOOD, GOOD], "documented", 100).compact
    assert not choose("auto", [GOOD, bad], "documented", 100).compact


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_large_payloads_are_written_by_hset_unless_asked_otherwise(layout: Any) -> None:
    limit = PAYS_UP_TO[layout]
    assert choose("auto", [GOOD], layout, limit).compact
    assert not choose("auto", [GOOD], layout, limit + 1).compact
    assert choose("auto", [GOOD], layout, None).compact
    assert choose("always", [GOOD], layout, 10 * limit).compact


def test_never_needs_no_question() -> None:
    assert choose("never", [], "documented", 1) == Choice(False, "tasks are written by HSET, as --compact never says")
