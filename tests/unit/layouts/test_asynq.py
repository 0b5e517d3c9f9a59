"""Layout ``asynq``: plain tasks are the HSETs that asynq's client would send, whatever their size and options."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.jobs.ledger import QueueLedger
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.task_message import decode
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.options import LIFECYCLE, TaskOptions
from tests.unit import task_message_oracle as oracle
from tests.unit.raw import Raw, commands
from tests.unit.strategies import NAMES

PAYLOADS = st.lists(st.binary(min_size=1, max_size=300) | st.sampled_from([b"{}", b"x" * 12345]), min_size=1)
TYPES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
OPTIONS = st.builds(
    TaskOptions,
    type=TYPES,
    max_retry=st.integers(0, 2**31 - 1),
    timeout=st.integers(0, 2**40),
    retention=st.integers(0, 2**40),
    headers=st.sampled_from([(), (("trace", "1"),), (("a", "b"), ("c", "é"))]),
    ttl_completed=st.none() | st.integers(0, 99),
    active_timeout=st.none() | st.integers(0, 99),
)
PREFIX = id_prefix("job", 0, "digest")


def message(queue: str, task_id: bytes, payload: bytes, options: TaskOptions, unique_key: str = "") -> bytes:
    return oracle.encode(
        type=options.type or queue,
        payload=payload,
        id=task_id.decode(),
        queue=queue,
        retry=options.max_retry,
        timeout=options.timeout,
        retention=options.retention,
        headers=dict(options.headers),
        unique_key=unique_key,
    )


@given(NAMES, st.integers(0, 2**48 - 1000), PAYLOADS)
def test_look_ups_in_other_slots_are_the_same_one_by_one_and_together(
    queue: str, first: int, payloads: list[bytes]
) -> None:
    suffixes = id_suffixes(first, len(payloads))
    encoder = AsynqEncoder(queue, TaskOptions(type="t", max_retry=3), reverse_lookup=True, cluster=True)

    together = encoder.write_elsewhere(PREFIX, suffixes, payloads)

    singly = encoder.other_slot_commands([PREFIX + suffix for suffix in suffixes], payloads)
    assert commands(together) == [
        [b"HSETNX", encoder.elsewhere + PREFIX + suffix, b"queue", queue.encode()] for suffix in suffixes
    ]
    assert together == b"".join(one for _, one in singly)


@given(NAMES, OPTIONS, st.booleans(), st.integers(0, 2**48 - 1000), PAYLOADS)
def test_each_plain_task_is_the_hash_that_asynq_writes(
    queue: str, options: TaskOptions, reverse_lookup: bool, first: int, payloads: list[bytes]
) -> None:
    suffixes = id_suffixes(first, len(payloads))
    encoder = AsynqEncoder(queue, options, reverse_lookup=reverse_lookup)
    before = time.time_ns()

    found = commands(encoder.write_tasks(PREFIX, suffixes, payloads))

    assert len(found) == len(payloads) * encoder.commands_a_task
    for position, (suffix, payload) in enumerate(zip(suffixes, payloads, strict=True)):
        task_id = PREFIX + suffix
        name, key, *fields = found[position * encoder.commands_a_task]
        assert (name, key) == (b"HSET", f"asynq:{{{queue}}}:t:".encode() + task_id)
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        assert before <= int(values.pop(b"pending_since")) <= time.time_ns()
        assert {key.decode(): int(value) for key, value in values.items() if key.decode() in LIFECYCLE} == dict(
            options.lifecycle
        )
        assert (values[b"msg"], values[b"state"]) == (message(queue, task_id, payload, options), b"pending")
        assert fields[::2][:3] == [b"msg", b"state", b"pending_since"]
        if reverse_lookup:
            second = found[position * 2 + 1]
            assert second == [b"HSET", b"asynq:t:" + task_id, b"queue", queue.encode()]


@given(st.lists(PAYLOADS, min_size=2, max_size=4))
def test_an_encoder_keeps_nothing_of_the_batches_before(batches: list[list[bytes]]) -> None:
    used = AsynqEncoder("a.b", TaskOptions(), reverse_lookup=True)
    for payloads in batches:
        suffixes = id_suffixes(0, len(payloads))
        again, fresh = (
            [command[:4] for command in commands(encoder.write_tasks(PREFIX, suffixes, payloads))]
            for encoder in (used, AsynqEncoder("a.b", TaskOptions(), reverse_lookup=True))
        )
        assert again == fresh


@given(NAMES, OPTIONS, st.lists(OPTIONS, min_size=1, max_size=3), st.data())
def test_the_scripts_arguments_are_each_tasks_own_whatever_is_around_it(
    queue: str, default: TaskOptions, kinds: list[TaskOptions], data: st.DataObject
) -> None:
    payloads = data.draw(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
    ids = [b"%d-%b" % (number, b"x" * data.draw(st.integers(0, 200))) for number in range(len(payloads))]
    locked = replace(data.draw(st.sampled_from(kinds)), unique_ttl=60)
    options = data.draw(st.lists(st.sampled_from([*kinds, locked]), min_size=len(ids), max_size=len(ids)) | st.none())
    encoder = AsynqEncoder(queue, default, reverse_lookup=False)

    found = encoder.insert_arguments(ids, payloads, options)

    expected: list[bytes] = []
    for position, (task_id, payload) in enumerate(zip(ids, payloads, strict=True)):
        own = default if options is None else options[position]
        lock = b""
        if own.unique_ttl:
            digest = hashlib.md5(payload, usedforsecurity=False).hexdigest() if payload else ""
            lock = f"asynq:{{{queue}}}:unique:{own.type or queue}:{digest}".encode()
        parts = [part for name, value in own.lifecycle for part in (name, str(value))]
        further = "".join(f"{len(part)}:{part}" for part in parts).encode()
        expected += (task_id, message(queue, task_id, payload, own, lock.decode()), b"", lock)
        expected += (b"60" if lock else b"", further)
    assert found == expected


def test_all_keys_of_a_queue_share_one_cluster_slot() -> None:
    encoder = AsynqEncoder("inference.default", TaskOptions(), reverse_lookup=False)
    ledger = QueueLedger("job", encoder)
    keys = (encoder.pending_key, encoder.task_key(b"1"), ledger.batches_key, ledger.checksums_key, ledger.skipped_key)
    assert {key.split(b"{")[1].split(b"}")[0] for key in keys} == {b"inference.default"}


@pytest.mark.parametrize(
    ("options", "needed"),
    [({}, False), ({"unique_ttl": 1}, True), ({"process_at": 1}, True), ({"process_in": 1}, True)],
)
def test_only_plain_tasks_go_without_a_script(options: dict[str, int], needed: bool) -> None:
    assert AsynqEncoder("q", TaskOptions(**options), reverse_lookup=False).needs_script is needed  # type: ignore[arg-type]


# --- inserted by the script ----------------------------------------------------------------------------------------


def insert(
    send: Raw,
    ids: Sequence[bytes],
    payloads: Sequence[bytes],
    options: Sequence[TaskOptions],
    *,
    batch: int = 0,
    reverse_lookup: bool = False,
) -> Any:
    encoder = AsynqEncoder("q", TaskOptions(), reverse_lookup=reverse_lookup)
    return send(QueueLedger("job", encoder).insert(batch, 9, ids, payloads, options))


def test_a_task_with_options_of_its_own_is_written_whole(send: Raw, client: Any) -> None:
    own = TaskOptions(type="mail", max_retry=7, timeout=9, headers=(("h", "1"),), ttl_archived=5)

    assert insert(send, [b"a"], [b"\xff\0"], [own], reverse_lookup=True) == b""

    stored = client.hgetall("asynq:{q}:t:a")
    assert stored.pop(b"pending_since").isdigit()
    assert stored == {b"msg": message("q", b"a", b"\xff\0", own), b"state": b"pending", b"ttl_archived": b"5"}
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    assert client.hgetall("asynq:t:a") == {b"queue": b"q"}


def test_a_task_that_starts_later_waits_in_the_scheduled_set(send: Raw, client: Any) -> None:
    start = int(time.time()) + 1000

    assert insert(send, [b"a", b"b"], [b"1", b"2"], [TaskOptions(process_at=start), TaskOptions(process_at=1)]) == b""

    assert client.zrange("asynq:{q}:scheduled", 0, -1, withscores=True) == [(b"a", start)]
    assert client.hgetall("asynq:{q}:t:a").keys() == {b"msg", b"state"}
    assert client.hget("asynq:{q}:t:a", "state") == b"scheduled"
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"b"], "a time that has passed is now"


def test_a_second_task_of_the_same_type_and_payload_is_not_let_in(send: Raw, client: Any) -> None:
    unique = TaskOptions(type="mail", unique_ttl=100)
    other = TaskOptions(type="post", unique_ttl=100)

    assert insert(send, [b"a", b"b", b"c", b"d"], [b"1", b"1", b"2", b"1"], [unique, unique, unique, other]) == b"1u"

    lock = f"asynq:{{q}}:unique:mail:{hashlib.md5(b'1', usedforsecurity=False).hexdigest()}"
    assert client.get(lock) == b"a" and 0 < client.ttl(lock) <= 100
    assert client.hget("asynq:{q}:t:a", "unique_key") == lock.encode()
    assert client.hget("asynq:{q}:t:a", "msg") == message("q", b"a", b"1", unique, lock)
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"d", b"c", b"a"]
    assert not client.exists("asynq:{q}:t:b")


def test_the_lock_of_a_task_that_starts_later_lasts_from_its_start(send: Raw, client: Any) -> None:
    insert(send, [b"a"], [b"1"], [TaskOptions(process_in=1000, unique_ttl=50)])
    (lock,) = client.keys("asynq:{q}:unique:*")
    assert 1000 < client.ttl(lock) <= 1050


def test_an_id_that_is_taken_takes_no_lock(send: Raw, client: Any) -> None:
    client.hset("asynq:{q}:t:a", "state", "active")
    assert insert(send, [b"a"], [b"1"], [TaskOptions(unique_ttl=50)]) == b"0"
    assert not client.keys("asynq:{q}:unique:*")


@pytest.mark.parametrize("reverse_lookup", [False, True])
def test_a_script_that_fails_takes_everything_back(send: Raw, client: Any, reverse_lookup: bool) -> None:
    client.set("asynq:{q}:scheduled", "not a sorted set")
    options = [TaskOptions(), TaskOptions(unique_ttl=9), TaskOptions(process_in=99)]
    before = client.keys("*")

    reply = insert(send, [b"a", b"b", b"c"], [b"1", b"2", b"3"], options, reverse_lookup=reverse_lookup)

    assert isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" in str(reply)
    assert client.keys("*") == before
    client.delete("asynq:{q}:scheduled")
    assert insert(send, [b"a", b"b", b"c"], [b"1", b"2", b"3"], options, reverse_lookup=reverse_lookup) == b""
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"b", b"a"]


def test_inserting_a_batch_again_names_what_was_skipped_and_why(send: Raw) -> None:
    unique = TaskOptions(unique_ttl=100)
    case: tuple[list[bytes], list[bytes], list[TaskOptions]] = ([b"a", b"a", b"b"], [b"1", b"2", b"1"], [unique] * 3)
    assert [insert(send, *case), insert(send, *case)] == [b"1,2u", b"1,2u"]


def test_a_task_of_a_group_waits_in_it(send: Raw, client: Any) -> None:
    own = TaskOptions(type="mail", group="g:\n é", waits_in_group=True, ttl_archived=0, fields=((b"x\xff", b"\0"),))
    before = int(time.time())

    assert insert(send, [b"a"], [b"1"], [own], reverse_lookup=True) == b""

    stored = client.hgetall("asynq:{q}:t:a")
    assert decode(stored.pop(b"msg")).group_key == "g:\n é"
    group = "g:\n é".encode()
    assert stored == {b"state": b"aggregating", b"group": group, b"ttl_archived": b"0", b"x\xff": b"\0"}
    ((task_id, score),) = client.zrange(b"asynq:{q}:g:" + group, 0, -1, withscores=True)
    assert task_id == b"a" and before <= score <= time.time()
    assert client.smembers("asynq:{q}:groups") == {group}
    assert not client.exists("asynq:{q}:pending", "asynq:{q}:scheduled")


def test_a_pending_task_of_a_group_is_pushed(send: Raw, client: Any) -> None:
    insert(send, [b"a"], [b"1"], [TaskOptions(group="g")])
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    assert decode(client.hget("asynq:{q}:t:a", "msg")).group_key == "g"
    assert not client.exists("asynq:{q}:groups")


@pytest.mark.parametrize("known", [False, True], ids=["a new group", "a group that is there"])
def test_a_script_that_fails_takes_a_task_out_of_its_group(send: Raw, client: Any, known: bool) -> None:
    client.set("asynq:{q}:scheduled", "not a sorted set")
    if known:
        client.sadd("asynq:{q}:groups", "g")
        client.zadd("asynq:{q}:g:g", {"there": 1})
    before = {key: client.dump(key) for key in client.keys("*")}

    reply = insert(
        send, [b"a", b"b"], [b"1", b"2"], [TaskOptions(group="g", waits_in_group=True), TaskOptions(process_in=99)]
    )

    assert isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" in str(reply)
    assert {key: client.dump(key) for key in client.keys("*")} == before


def test_zero_of_the_lifecycle_is_written_and_absent_is_not(send: Raw, client: Any) -> None:
    insert(send, [b"a"], [b"1"], [TaskOptions(ttl_completed=0, ttl_archived=0, pending_timeout=0, active_timeout=0)])
    assert client.hmget("asynq:{q}:t:a", *LIFECYCLE) == [b"0"] * 4
    encoder = AsynqEncoder("q", TaskOptions(ttl_completed=0), reverse_lookup=False)
    (found,) = commands(encoder.write_tasks(PREFIX, id_suffixes(0, 1), [b"1"]))
    assert found[-2:] == [b"ttl_completed", b"0"] and b"ttl_archived" not in found


def test_lifecycle_fields_are_text(send: Raw, client: Any) -> None:
    insert(send, [b"a"], [b"1"], [TaskOptions(pending_timeout=3, active_timeout=4)])
    assert client.hmget("asynq:{q}:t:a", "pending_timeout", "active_timeout") == [b"3", b"4"]
