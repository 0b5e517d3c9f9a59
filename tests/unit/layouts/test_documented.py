"""Layout ``documented``: the bytes that are written are redis-py's own, for any task."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.layouts.documented import DocumentedEncoder
from loader.layouts.lua import FURTHER, further, lua_string
from loader.tasks.ids import id_prefix, id_suffixes
from tests.conftest import Server
from tests.unit.strategies import NAMES

PAYLOADS = st.lists(st.binary(max_size=300) | st.sampled_from([b"", b"\r\n", b"{}", b"x" * 12345]), min_size=1)
TYPES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
QUEUES = st.builds("{}.{}".format, NAMES, NAMES)
RETRIES = st.integers(0, 2**31 - 1)


def hset(task_id: bytes, payload: bytes, task_type: str, max_retry: int, queue: str) -> bytes:
    """The command of the enqueueing guide."""
    fields = {"type": task_type, "payload": payload, "retry": "0", "max_retry": str(max_retry), "queue": queue}
    arguments: Any = ("HSET", b"asynq:t:" + task_id, *(part for field in fields.items() for part in field))
    packed: bytes = hiredis.pack_command(arguments)
    return packed


@given(QUEUES, TYPES, RETRIES, st.integers(0, 2**48 - 1000), PAYLOADS)
def test_each_task_is_the_hset_that_redis_py_packs(
    queue: str, task_type: str, max_retry: int, first: int, payloads: list[bytes]
) -> None:
    prefix, suffixes = id_prefix("job", 0, "digest"), id_suffixes(first, len(payloads))
    encoder = DocumentedEncoder(queue, task_type, max_retry)

    written = encoder.write_tasks(prefix, suffixes, payloads)

    assert written == b"".join(
        hset(prefix + suffix, payload, task_type, max_retry, queue)
        for suffix, payload in zip(suffixes, payloads, strict=True)
    )


@given(st.lists(PAYLOADS, min_size=2, max_size=4))
def test_an_encoder_keeps_nothing_of_the_batches_before(batches: list[list[bytes]]) -> None:
    prefix = id_prefix("job", 0, "digest")
    used = DocumentedEncoder("a.b", "task", 3)
    for payloads in batches:
        suffixes = id_suffixes(0, len(payloads))
        fresh = DocumentedEncoder("a.b", "task", 3)
        assert used.write_tasks(prefix, suffixes, payloads) == fresh.write_tasks(prefix, suffixes, payloads)


def test_keys_are_those_of_the_enqueueing_guide() -> None:
    encoder = DocumentedEncoder("inference.default", "task", 3)
    assert encoder.pending_key == b"asynq:inference.default:pending"
    assert encoder.task_key(b"1234") == b"asynq:t:1234"


def test_the_slot_tag_hashes_like_the_pending_key() -> None:
    encoder = DocumentedEncoder("inférence.default", "task", 3)
    before, _, rest = encoder.slot_tag.partition(b"{")
    tag, _, after = rest.partition(b"}")
    assert (before, tag, after) == (b"", encoder.pending_key, b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200))
def test_a_lua_literal_is_evaluated_to_the_same_bytes(valkey: Server, text: bytes) -> None:
    with valkey.client() as client:
        assert client.eval(b"return " + lua_string(text), 0) == text


@pytest.mark.parametrize("text", [bytes(range(256)), b"'", b"\\", b"\\n", b"]]", b"\0001", b"' .. redis.call('PING')"])
def test_a_lua_literal_cannot_be_broken_out_of(valkey: Server, text: bytes) -> None:
    with valkey.client() as client:
        assert client.eval(b"return " + lua_string(text), 0) == text


FIELDS = st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=30)), unique_by=lambda field: field[0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(FIELDS)
def test_further_fields_are_written_whatever_their_bytes(valkey: Server, fields: list[tuple[bytes, bytes]]) -> None:
    script = FURTHER + b"write_further('h', ARGV[1])"
    with valkey.client() as client:
        client.delete("h")
        client.eval(script, 0, further(fields))
        assert client.hgetall("h") == dict(fields)
