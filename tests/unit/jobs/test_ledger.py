"""The ledger: pushing a batch's ids and marking it are one step, done once."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.jobs.ledger import LedgerState, QueueLedger, format_skipped, parse_skipped
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.lua import as_sent
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.resp import command
from tests.unit.raw import Raw

PREFIX = id_prefix("job", 0, "digest")
ENCODER = DocumentedEncoder("inference.default", "task", 3)
LEDGER = QueueLedger("job", ENCODER)
TAKEN, WRONG, UNIQUE = (
    Reason(ReasonCode.ID_TAKEN, "its task id is a task already"),
    Reason(ReasonCode.WRONG_TYPE, "its task key holds another type"),
    Reason(ReasonCode.DUPLICATE_UNIQUE, "a unique task of this type and payload is there already"),
)
STORED = {TAKEN: "", WRONG: "t", UNIQUE: "u"}
"""What the first version of the loader wrote, and jobs in Redis hold."""

PENDING = "asynq:inference.default:pending"
TAG = b"{asynq:inference.default:pending}"

CRCS = st.integers(0, 2**32 - 1)
POSITIONS = st.dictionaries(st.integers(0, 5000), st.sampled_from(list(STORED)), max_size=5)


def parse(commands: bytes) -> list[bytes]:
    """The arguments of the one command in these bytes."""
    reader = hiredis.Reader()
    reader.feed(commands)
    arguments: list[bytes] = reader.gets()
    assert reader.gets() is False, "more than one command"
    return arguments


def ids(first: int, count: int) -> list[bytes]:
    return [PREFIX + suffix for suffix in id_suffixes(first, count)]


def popped(client: Any) -> list[bytes]:
    """All pending ids in the order in which a worker takes them."""
    return list(client.rpop(PENDING, 100_000) or [])


def state_on(client: Any) -> LedgerState:
    return LedgerState(client.get(LEDGER.batches_key) or b"", client.get(LEDGER.checksums_key) or b"")


# --- bytes ---------------------------------------------------------------------------------------------------------


def is_in(send: Raw, ledger: QueueLedger, batch: int) -> Any:
    """The bit of a batch of which no position was skipped."""
    bit = send(ledger.is_loaded(batch))
    assert send.reply() is None
    return bit


@given(st.integers(0, 10**6), CRCS, st.integers(0, 2**40), st.integers(0, 50), POSITIONS)
def test_commit_is_one_eval_of_the_ledgers_keys_and_the_batch(
    batch: int, crc: int, first: int, count: int, skipped: dict[int, Reason]
) -> None:
    arguments = parse(LEDGER.commit(batch, crc, PREFIX, id_suffixes(first, count), skipped))

    name, script, number_of_keys, *rest = arguments
    keys, values = rest[: int(number_of_keys)], rest[int(number_of_keys) :]
    hashes = [ENCODER.task_key(own) for own in (ids(first, count)[0], ids(first, count)[-1])] if count else [b"", b""]
    assert name == b"EVAL" and b"LPUSH" in script
    ledger = [LEDGER.batches_key, LEDGER.checksums_key, LEDGER.skipped_key, LEDGER.records_key]
    assert keys == [PENDING.encode(), *ledger]
    assert values[0] == str(batch).encode()
    assert int.from_bytes(values[1], "big") == crc and len(values[1]) == 4
    assert values[2] == b",".join(f"{position}{STORED[why]}".encode() for position, why in skipped.items())
    assert parse_skipped(values[2]) == skipped
    assert values[3:5] == hashes
    assert values[5:] == ids(first, count)


@given(
    st.integers(0, 10**6),
    CRCS,
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=99)), min_size=1),
)
def test_insert_is_one_eval_of_the_ledgers_keys_and_the_tasks(
    batch: int, crc: int, tasks: list[tuple[bytes, bytes]]
) -> None:
    arguments = parse(LEDGER.insert(batch, crc, [task for task, _ in tasks], [payload for _, payload in tasks]))

    name, script, number_of_keys, *rest = arguments
    assert name == b"EVAL" and as_sent(ENCODER.insert_script) in script
    assert (number_of_keys, rest[:5]) == (
        b"5",
        [PENDING.encode(), LEDGER.batches_key, LEDGER.checksums_key, LEDGER.skipped_key, LEDGER.records_key],
    )
    assert rest[5:7] == [str(batch).encode(), crc.to_bytes(4, "big")]
    assert rest[7].isdigit()
    assert rest[8] == b"0"
    assert rest[9:] == [part for task in tasks for part in (*task, b"task", b"3")]


PLACED = st.sampled_from([*STORED, Reason.of(ReasonCode.ALREADY_MIGRATED)])


@given(st.dictionaries(st.integers(0, 10**6), PLACED, max_size=50))
def test_what_is_written_of_skipped_tasks_is_read_back(skipped: dict[int, Reason]) -> None:
    assert parse_skipped(format_skipped(skipped)) == skipped


@given(st.dictionaries(st.integers(0, 10**6), st.sampled_from(["", "t", "u", "a"]), max_size=50))
def test_what_is_read_of_skipped_tasks_is_written_the_same(letters: dict[int, str]) -> None:
    stored = ",".join(f"{position}{letter}" for position, letter in letters.items()).encode()
    assert format_skipped(parse_skipped(stored)) == stored


def test_what_earlier_versions_have_stored_keeps_its_meaning() -> None:
    read = parse_skipped(b"3,7t,12u,500a")
    assert {position: why.code for position, why in read.items()} == {
        3: "id_taken",
        7: "wrong_type",
        12: "duplicate_unique",
        500: "already_migrated",
    }
    assert [why.text for why in read.values()][:3] == [TAKEN.text, WRONG.text, UNIQUE.text]


def test_a_letter_that_only_a_later_version_knows_still_names_its_position() -> None:
    (why,) = parse_skipped(b"5x").values()
    assert why.code == "unknown" and "'x'" in why.text


@pytest.mark.parametrize("code", sorted(set(ReasonCode) - {why.code for why in STORED} - {"already_migrated"}))
def test_the_ledger_stores_no_reason_that_it_has_no_letter_for(code: ReasonCode) -> None:
    with pytest.raises(KeyError):
        format_skipped({1: Reason.of(code)})


def test_all_keys_of_the_ledger_share_the_pending_keys_cluster_slot() -> None:
    for key in (LEDGER.batches_key, LEDGER.checksums_key, LEDGER.skipped_key):
        assert key.startswith(TAG + b":runqy-loader:job:")


# --- commit on the server ------------------------------------------------------------------------------------------


def commit(
    send: Raw,
    batch: int,
    crc: int,
    prefix: bytes,
    suffixes: list[bytes],
    skipped: dict[int, Reason] | None = None,
    ledger: QueueLedger = LEDGER,
) -> Any:
    """Commits a batch whose hashes are there."""
    for suffix in (suffixes or [])[:1] + (suffixes or [])[-1:]:
        assert send(command(b"HSET", ENCODER.task_key(prefix + suffix), b"type", b"task")) in (0, 1)
    return send(ledger.commit(batch, crc, prefix, suffixes, skipped))


def test_commit_pushes_the_ids_so_that_a_worker_takes_the_first_one_first(send: Raw, client: Any) -> None:
    assert commit(send, 0, 1, PREFIX, id_suffixes(0, 100)) == b""
    assert commit(send, 1, 1, PREFIX, id_suffixes(100, 100)) == b""

    assert popped(client) == ids(0, 200)


def test_commit_marks_its_batch_and_no_other(send: Raw, client: Any) -> None:
    commit(send, 13, 0xDEADBEEF, PREFIX, id_suffixes(0, 2), {4: TAKEN, 7: WRONG})

    assert [n for n in range(64) if client.getbit(LEDGER.batches_key, n)] == [13]
    assert client.getrange(LEDGER.checksums_key, 13 * 4, 13 * 4 + 3) == b"\xde\xad\xbe\xef"
    assert client.hgetall(LEDGER.skipped_key) == {b"13": b"4,7t"}
    assert (send(LEDGER.is_loaded(13)), send.reply()) == (1, b"4,7t")
    assert is_in(send, LEDGER, 12) == is_in(send, LEDGER, 10_000) == 0


def test_a_batch_without_skipped_tasks_leaves_no_trace_of_them(send: Raw, client: Any) -> None:
    commit(send, 0, 1, PREFIX, id_suffixes(0, 2))
    assert not client.exists(LEDGER.skipped_key)


def test_committing_a_batch_again_changes_nothing(send: Raw, client: Any) -> None:
    assert commit(send, 5, 1, PREFIX, id_suffixes(0, 10), {3: TAKEN}) == b"3"

    assert commit(send, 5, 2, PREFIX, id_suffixes(50, 10), {4: TAKEN}) == b"3"

    assert popped(client) == ids(0, 10)
    assert state_on(client).checksum(5) == 1
    assert client.hgetall(LEDGER.skipped_key) == {b"5": b"3"}


def test_a_batch_of_which_every_task_was_skipped_is_still_marked(send: Raw, client: Any) -> None:
    assert commit(send, 0, 1, PREFIX, [], {0: TAKEN, 1: UNIQUE}) == b"0,1u"
    assert not client.exists(PENDING)
    assert state_on(client).is_loaded(0)


@pytest.mark.parametrize("count", [1, 3999, 4000, 4001, 5000, 5001, 8001, 25_000])
def test_batches_of_any_size_are_pushed_whole_and_in_order(send: Raw, client: Any, count: int) -> None:
    assert commit(send, 0, 1, PREFIX, id_suffixes(0, count)) == b""
    assert popped(client) == ids(0, count)


@pytest.mark.parametrize("lost", [0, -1], ids=["the first", "the last"])
@pytest.mark.parametrize("count", [1, 100])
def test_ids_whose_hashes_are_lost_are_not_pushed(send: Raw, client: Any, count: int, lost: int) -> None:
    suffixes = id_suffixes(0, count)
    client.hset(ENCODER.task_key(PREFIX + suffixes[0]), "type", "task")
    client.hset(ENCODER.task_key(PREFIX + suffixes[-1]), "type", "task")
    client.delete(ENCODER.task_key(PREFIX + suffixes[lost]))

    reply = send(LEDGER.commit(0, 1, PREFIX, suffixes))

    assert isinstance(reply, hiredis.ReplyError) and str(reply).startswith("LOST ")
    assert not client.exists(PENDING, LEDGER.batches_key, LEDGER.checksums_key, LEDGER.skipped_key)


def test_a_batch_that_is_in_needs_no_hashes_any_more(send: Raw, client: Any) -> None:
    assert commit(send, 0, 1, PREFIX, id_suffixes(0, 2)) == b""
    client.delete(*client.keys("asynq:t:*"))

    assert send(LEDGER.commit(0, 1, PREFIX, id_suffixes(0, 2))) == b""
    assert popped(client) == ids(0, 2)


def test_a_key_of_another_type_in_the_lists_place_leaves_the_batch_unmarked(send: Raw, client: Any) -> None:
    client.set(PENDING, "not a list")

    reply = commit(send, 0, 1, PREFIX, id_suffixes(0, 3))

    assert isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" in str(reply)
    assert not client.exists(LEDGER.batches_key, LEDGER.checksums_key, LEDGER.skipped_key)
    client.delete(PENDING)
    assert commit(send, 0, 1, PREFIX, id_suffixes(0, 3)) == b""
    assert popped(client) == ids(0, 3)


def test_jobs_queues_and_shards_have_ledgers_of_their_own(send: Raw) -> None:
    other_job = QueueLedger("job2", ENCODER)
    other_queue = QueueLedger("job", DocumentedEncoder("inference.high", "task", 3))
    commit(send, 0, 1, PREFIX, id_suffixes(0, 1))
    other_shard = QueueLedger("job", ENCODER, shard=1)
    assert [is_in(send, ledger, 0) for ledger in (LEDGER, other_job, other_queue, other_shard)] == [1, 0, 0, 0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.dictionaries(st.integers(0, 300), CRCS, max_size=12))
def test_the_state_read_back_agrees_with_the_server(send: Raw, client: Any, batches: dict[int, int]) -> None:
    client.flushall()
    for batch, crc in batches.items():
        commit(send, batch, crc, PREFIX, id_suffixes(batch, 1))

    state = state_on(client)

    for batch in range(320):
        assert state.is_loaded(batch) == bool(client.getbit(LEDGER.batches_key, batch)) == (batch in batches)
    assert {batch: state.checksum(batch) for batch in batches} == batches


def test_a_job_that_has_loaded_nothing_has_an_empty_state() -> None:
    assert not any(LedgerState().is_loaded(batch) for batch in range(20))


# --- insert on the server ------------------------------------------------------------------------------------------


def test_insert_writes_and_pushes_tasks_in_order(send: Raw, client: Any) -> None:
    assert send(LEDGER.insert(0, 9, [b"a", "é".encode(), b"c"], [b"1", b"\xff\0\r\n", b"3"])) == b""

    assert popped(client) == [b"a", "é".encode(), b"c"]
    assert client.hgetall("asynq:t:é") == {
        b"type": b"task",
        b"payload": b"\xff\0\r\n",
        b"retry": b"0",
        b"max_retry": b"3",
        b"queue": b"inference.default",
    }
    assert state_on(client).is_loaded(0) and state_on(client).checksum(0) == 9


def test_insert_leaves_ids_that_are_taken_alone(send: Raw, client: Any) -> None:
    client.hset("asynq:t:b", mapping={"payload": "old", "state": "running"})
    client.set("asynq:t:d", "another type")

    assert send(LEDGER.insert(0, 9, [b"a", b"b", b"c", b"d"], [b"1", b"2", b"3", b"4"])) == b"1,3"

    assert popped(client) == [b"a", b"c"]
    assert client.hgetall("asynq:t:b") == {b"payload": b"old", b"state": b"running"}
    assert client.get("asynq:t:d") == b"another type"
    assert client.hgetall(LEDGER.skipped_key) == {b"0": b"1,3"}


def test_insert_replaces_what_an_earlier_run_has_left_under_an_id_of_its_own(send: Raw, client: Any) -> None:
    client.hset("asynq:t:b", mapping={"payload": "old", "more": "x"})
    client.set("asynq:t:c", "another type")

    assert send(LEDGER.insert(0, 9, [b"a", b"b", b"c"], [b"1", b"2", b"3"], made=True)) == b"2t"

    assert popped(client) == [b"a", b"b"]
    assert client.hget("asynq:t:b", "payload") == b"2" and not client.hexists("asynq:t:b", "more")
    assert client.get("asynq:t:c") == b"another type"


def test_insert_takes_the_first_of_equal_ids_in_a_batch(send: Raw, client: Any) -> None:
    assert send(LEDGER.insert(0, 9, [b"a", b"b", b"a", b"a"], [b"1", b"2", b"3", b"4"])) == b"2,3"
    assert popped(client) == [b"a", b"b"]
    assert client.hget("asynq:t:a", "payload") == b"1"


def test_inserting_a_batch_again_changes_nothing_and_names_what_was_skipped(send: Raw, client: Any) -> None:
    first = LEDGER.insert(0, 9, [b"a", b"b", b"a"], [b"1", b"2", b"3"])
    assert send(first) == b"2"
    client.hset("asynq:t:a", "payload", "changed by its worker")
    client.delete("asynq:t:b")

    assert send(first) == b"2"

    assert popped(client) == [b"a", b"b"]
    assert client.hget("asynq:t:a", "payload") == b"changed by its worker"
    assert not client.exists("asynq:t:b")


def test_inserting_a_batch_again_that_skipped_nothing_names_nothing(send: Raw) -> None:
    commands = LEDGER.insert(0, 9, [b"a"], [b"1"])
    assert [send(commands), send(commands)] == [b"", b""]


def test_insert_of_ids_that_are_all_taken_marks_the_batch(send: Raw, client: Any) -> None:
    send(LEDGER.insert(0, 9, [b"a"], [b"1"]))
    assert send(LEDGER.insert(1, 9, [b"a"], [b"1"])) == b"0"
    assert client.llen(PENDING) == 1
    assert state_on(client).is_loaded(1)


def test_insert_into_a_key_of_another_type_writes_nothing_at_all(send: Raw, client: Any) -> None:
    client.set(PENDING, "not a list")

    reply = send(LEDGER.insert(0, 9, [b"a"], [b"1"]))

    assert isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" in str(reply)
    assert client.keys("*") == [PENDING.encode()]


def test_insert_takes_more_tasks_than_lua_can_unpack(send: Raw, client: Any) -> None:
    names = [b"id-%d" % n for n in range(9000)]
    assert send(LEDGER.insert(0, 9, names, [b"{}"] * 9000)) == b""
    assert popped(client) == names
    assert client.exists(*(b"asynq:t:" + name for name in names)) == 9000
