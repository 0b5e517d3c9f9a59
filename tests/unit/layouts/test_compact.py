"""Compact tasks: each dump holds the very fields that the layout's encoder of HSETs writes, in their order."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.jobs.ledger import QueueLedger
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import CompactDocumented
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.dump import MOST_LENGTHS, hash_dump
from loader.layouts.listpack import DisputedSizeError
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.options import LIFECYCLE, NEW, Past, TaskOptions
from loader.wire.lengths import ByLength
from tests.unit.dump_reader import read
from tests.unit.layouts.dumps import dumps
from tests.unit.layouts.test_asynq import OPTIONS
from tests.unit.layouts.test_documented import QUEUES, RETRIES, TYPES
from tests.unit.layouts.test_dump import VALUES
from tests.unit.raw import Raw, commands

PAYLOADS = st.lists(VALUES, min_size=1, max_size=20)
NO_DUMP = b"x" * 16378
"""A value that would be an entry of 16,383 bytes, on whose form servers disagree."""
PREFIX = id_prefix("job", 0, "digest")
NOW = 1_790_000_000_123_456_789
Fields = list[tuple[bytes, bytes]]


def fields_of(command: Sequence[bytes]) -> Fields:
    """The fields of an HSET or a RESTORE, in their order."""
    if command[0] == b"HSET":
        return list(zip(command[2::2], command[3::2], strict=True))
    assert command[0] == b"RESTORE"
    assert command[2] == b"0"
    assert len(command) == 4
    fields = list(read(command[3]).texts.items())
    assert command[3] == hash_dump(fields)
    return fields


@given(QUEUES, TYPES, RETRIES, st.integers(0, 2**48 - 1000), PAYLOADS)
def test_documented_tasks_are_those_that_hsets_write(
    queue: str, task_type: str, max_retry: int, first: int, payloads: list[bytes]
) -> None:
    suffixes = id_suffixes(first, len(payloads))
    hsets = commands(DocumentedEncoder(queue, task_type, max_retry).write_tasks(PREFIX, suffixes, payloads))

    written = commands(CompactDocumented(queue, task_type, max_retry).write_tasks(PREFIX, suffixes, payloads))

    assert [command[1] for command in written] == [command[1] for command in hsets]
    assert list(map(fields_of, written)) == list(map(fields_of, hsets))


@given(st.lists(VALUES | st.just(NO_DUMP), min_size=1, max_size=20))
def test_a_documented_task_that_cannot_be_dumped_is_an_hset(payloads: list[bytes]) -> None:
    suffixes = id_suffixes(0, len(payloads))
    encoder = CompactDocumented("a.b", "task", 3)
    hsets = commands(DocumentedEncoder("a.b", "task", 3).write_tasks(PREFIX, suffixes, payloads))

    written = commands(encoder.write_tasks(PREFIX, suffixes, payloads))
    made = dumps(encoder, [b"1"] * len(payloads), payloads, None, NOW)

    assert [command[0] for command in written] == [b"HSET" if each == NO_DUMP else b"RESTORE" for each in payloads]
    assert [command[1] for command in written] == [command[1] for command in hsets]
    assert list(map(fields_of, written)) == list(map(fields_of, hsets))
    assert [dump is None for dump in made] == [each == NO_DUMP for each in payloads]


def test_an_asynq_task_that_cannot_be_dumped_is_an_hset() -> None:
    payloads = [b"x" * length for length in range(16200, 16379)]
    ids = [PREFIX + suffix for suffix in id_suffixes(0, len(payloads))]
    encoder = CompactAsynq("a.b", TaskOptions(), reverse_lookup=True)

    written = commands(encoder.write_tasks(PREFIX, id_suffixes(0, len(payloads)), payloads))
    made = dumps(encoder, ids, payloads, None, NOW)

    messages = [dict(fields_of(command))[b"msg"] for command in written[::2]]
    disputed = [len(message) == 16378 for message in messages]
    assert sum(disputed) == 1
    assert [command[0] == b"HSET" for command in written[::2]] == disputed
    assert [dump is None for dump in made] == disputed
    assert all(payload in message for payload, message in zip(payloads, messages, strict=True))


def test_options_that_cannot_be_dumped() -> None:
    long_type = "x" * 16378
    with pytest.raises(DisputedSizeError):
        CompactDocumented("a.b", long_type, 3)
    options = [TaskOptions(), TaskOptions(type=long_type), TaskOptions(type="7")]
    documented = dumps(CompactDocumented("a.b", "task", 3), [b"1", b"2", b"3"], [b"{}"] * 3, options, NOW)
    assert [dump is None for dump in documented] == [False, True, False]
    # The name of a lock is 16,378 bytes long: asynq:{a.b}:unique:<type>:<32 digits>
    options = [TaskOptions(), TaskOptions(unique_ttl=5, type="x" * (16378 - 52)), TaskOptions(type="7")]
    encoder = CompactAsynq("a.b", TaskOptions(), reverse_lookup=True)
    assert (
        len(AsynqEncoder("a.b", TaskOptions(), reverse_lookup=True).unique_key(options[1].type or "", b"{}")) == 16378
    )
    assert [dump is None for dump in dumps(encoder, [b"1", b"2", b"3"], [b"{}"] * 3, options, NOW)] == [
        False,
        True,
        False,
    ]


@given(st.lists(PAYLOADS, min_size=2, max_size=4))
def test_an_encoder_keeps_nothing_of_the_batches_before(batches: list[list[bytes]]) -> None:
    used = CompactDocumented("a.b", "task", 3)
    for payloads in batches:
        suffixes = id_suffixes(0, len(payloads))
        fresh = CompactDocumented("a.b", "task", 3)
        assert used.write_tasks(PREFIX, suffixes, payloads) == fresh.write_tasks(PREFIX, suffixes, payloads)


@given(TYPES, RETRIES, PAYLOADS, st.data())
def test_documented_dumps_have_each_tasks_own_options(
    task_type: str, max_retry: int, payloads: list[bytes], data: st.DataObject
) -> None:
    kinds = [TaskOptions(type=type_, max_retry=5) for type_ in ("7", "", "x" * 70)] + [TaskOptions(type=None)]
    options = data.draw(st.lists(st.sampled_from(kinds), min_size=len(payloads), max_size=len(payloads)))
    encoder = CompactDocumented("a.b", task_type, max_retry)
    ids = [b"%d" % number for number in range(len(payloads))]

    plain = dumps(encoder, ids, payloads, None, NOW)
    own = dumps(encoder, ids, payloads, options, NOW)

    def dump(payload: bytes, of_type: str, retries: int) -> bytes:
        fields = [(b"type", of_type.encode()), (b"payload", payload), (b"retry", b"0")]
        return hash_dump([*fields, (b"max_retry", b"%d" % retries), (b"queue", b"a.b")])

    assert plain == [dump(payload, task_type, max_retry) for payload in payloads]
    assert own == [
        dump(payload, task_type if each.type is None else each.type, each.max_retry)
        for payload, each in zip(payloads, options, strict=True)
    ]


def without_time(fields: Fields, began: int) -> Fields:
    """Fields without the time in ``pending_since``, which must be a time of this test."""
    values = dict(fields)
    assert began <= int(values[b"pending_since"]) <= time.time_ns()
    return [(name, b"" if name == b"pending_since" else value) for name, value in fields]


@given(QUEUES, OPTIONS, PAYLOADS, st.booleans(), st.booleans())
def test_asynq_tasks_are_those_that_hsets_write(
    queue: str, options: TaskOptions, payloads: list[bytes], reverse_lookup: bool, cluster: bool
) -> None:
    began = time.time_ns()
    suffixes = id_suffixes(0, len(payloads))
    plain = AsynqEncoder(queue, options, reverse_lookup=reverse_lookup, cluster=cluster)
    compact = CompactAsynq(queue, options, reverse_lookup=reverse_lookup, cluster=cluster)
    hsets = commands(plain.write_tasks(PREFIX, suffixes, payloads))

    written = commands(compact.write_tasks(PREFIX, suffixes, payloads))

    assert [command[1] for command in written] == [command[1] for command in hsets]
    step = plain.commands_a_task
    for command, hset in zip(written[::step], hsets[::step], strict=True):
        assert command[0] == b"RESTORE"
        assert without_time(fields_of(command), began) == without_time(fields_of(hset), began)
    if step == 2:
        assert written[1::2] == hsets[1::2]


@pytest.mark.parametrize(
    "options",
    [
        TaskOptions(max_retry=1),
        TaskOptions(type="7", ttl_completed=5, active_timeout=300),
        TaskOptions(process_at=NOW // 10**9 + 100),
        TaskOptions(process_at=NOW // 10**9 - 100, ttl_archived=1),
        TaskOptions(process_in=60, pending_timeout=70_000),
        TaskOptions(unique_ttl=60),
        TaskOptions(unique_ttl=60, process_in=60, ttl_completed=5),
    ],
    ids=["plain", "lifecycle", "later", "past", "in a while", "unique", "unique and later"],
)
@pytest.mark.parametrize("own", [True, False], ids=["a task's own options", "the load's options"])
def test_asynq_dumps_hold_what_the_script_would_write(options: TaskOptions, own: bool) -> None:
    ids, payloads = [b"1", b"b" * 36, b"c" * 500, b"d"], [b"{}", b"x" * 5000, b"", b"123"]
    encoder = CompactAsynq("a.b", TaskOptions() if own else options, reverse_lookup=True)
    other = TaskOptions(type="other")
    given_options = [options, other, options, options] if own else None

    made = dumps(encoder, ids, payloads, given_options, NOW)

    hsets = AsynqEncoder("a.b", TaskOptions() if own else options, reverse_lookup=True)
    arguments = hsets.insert_arguments(ids, payloads, given_options)
    for at, dump in enumerate(made):
        assert dump is not None
        its = other if own and at == 1 else options
        later = its.starts_at(NOW / 1e9) > 0
        fields = [(b"msg", arguments[6 * at + 1]), (b"state", b"scheduled" if later else b"pending")]
        if not later:
            fields.append((b"pending_since", b"%d" % NOW))
        if lock := arguments[6 * at + 3]:
            fields.append((b"unique_key", lock))
        fields += [(name.encode(), b"%d" % value) for name, value in its.lifecycle]
        assert dump == hash_dump(fields)


PASTS = st.builds(
    Past,
    retried=st.integers(0, 3),
    last_error=st.text(max_size=5),
    last_failed_at=st.integers(0, 2**40),
    unknown=st.sampled_from([b"", b"\xa2\x06\x01x"]),
)
OFTEN_NONE = st.none() | st.integers(0, 99)
LOCKED = st.sampled_from([0, 0, 60])
ALL_OPTIONS = st.builds(
    TaskOptions,
    type=st.none() | st.sampled_from(["", "7", "a type"]),
    max_retry=RETRIES,
    timeout=st.integers(0, 2**40),
    deadline=st.integers(0, 2**40),
    retention=st.integers(0, 2**40),
    headers=st.sampled_from([(), (("a", "b"), ("c", "é"))]),
    unique_ttl=LOCKED,
    process_at=st.sampled_from([0, 0, 5, 2**40]),
    process_in=st.sampled_from([0, 0, 10**9]),
    ttl_completed=OFTEN_NONE,
    ttl_archived=OFTEN_NONE,
    pending_timeout=OFTEN_NONE,
    active_timeout=OFTEN_NONE,
    group=st.sampled_from(["", "a group"]),
    waits_in_group=st.booleans(),
    past=st.just(NEW) | PASTS,
    fields=st.just(()) | st.just(((b"x\xff", b"\0"), (b"7", b"7"))),
)


def test_all_options_are_drawn() -> None:
    drawn = {"type", "max_retry", "timeout", "deadline", "retention", "headers", "unique_ttl", "process_at"}
    drawn |= {"process_in", *LIFECYCLE, "group", "waits_in_group", "past", "fields"}
    assert {field.name for field in dataclasses.fields(TaskOptions)} == drawn


def stored_by_script(send: Raw, client: Any, encoder: QueueEncoder, own: TaskOptions, now_ns: int) -> Any:
    """The hash that the script of HSETs writes for one task, less the time at which it was written."""
    client.flushall()
    assert send(QueueLedger("job", encoder).insert(0, 9, [b"1"], [b"{}"], [own])) == b""
    fields = client.hgetall(encoder.task_key(b"1"))
    if b"pending_since" in fields:
        fields[b"pending_since"] = b"%d" % now_ns
    return fields


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ALL_OPTIONS)
def test_a_dump_has_the_fields_that_the_script_writes_whatever_the_options(
    send: Raw, client: Any, own: TaskOptions
) -> None:
    now = time.time_ns()
    queue, default = "a.b", TaskOptions(type="default")
    pairs: list[tuple[CompactDocumented | CompactAsynq, QueueEncoder]] = [
        (CompactDocumented(queue, "default", 3), DocumentedEncoder(queue, "default", 3, further_fields=True)),
        (CompactAsynq(queue, default, reverse_lookup=False), AsynqEncoder(queue, default, reverse_lookup=False)),
    ]
    for compact, hsets in pairs:
        (dump,) = dumps(compact, [b"1"], [b"{}"], [own], now)
        if dump is not None:
            assert read(dump).texts == stored_by_script(send, client, hsets, own, now)


def test_tasks_with_fields_that_few_have_are_written_by_hset() -> None:
    few = [TaskOptions(fields=((b"x", b"1"),)), TaskOptions(group="g", waits_in_group=True)]
    retried, lasting = TaskOptions(past=Past(retried=1)), TaskOptions(ttl_completed=0)
    options = [*few, retried, lasting, TaskOptions(group="g")]
    ids, payloads = [b"%d" % number for number in range(5)], [b"{}"] * 5
    asynq = dumps(CompactAsynq("a.b", TaskOptions(), reverse_lookup=False), ids, payloads, options, NOW)
    documented = dumps(CompactDocumented("a.b", "task", 3), ids, payloads, options, NOW)
    assert [dump is None for dump in asynq] == [True, True, False, False, False]
    assert [dump is None for dump in documented] == [True, False, True, True, False]


def test_a_clock_that_begins_in_1970_makes_shorter_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CompactAsynq("a.b", TaskOptions(), reverse_lookup=False)
    for now in (5, 70_000, NOW):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        (command,) = commands(encoder.write_tasks(PREFIX, id_suffixes(0, 1), [b"{}"]))
        assert dict(fields_of(command))[b"pending_since"] == b"%d" % now


def test_no_end_of_different_lengths_and_options_takes_no_end_of_memory() -> None:
    encoder = CompactDocumented("a.b", "task", 3)
    for length in range(2 * MOST_LENGTHS):
        payload = b"x" * length
        assert payload in encoder.write_tasks(PREFIX, id_suffixes(0, 1), [payload])
    kept = [each for each in vars(encoder).values() if isinstance(each, ByLength)]
    assert len(kept) == 4, "by length: three parts of a dump, and one of an HSET"
    assert all(len(each) <= MOST_LENGTHS for each in kept)


def test_more_kinds_of_options_than_are_kept() -> None:
    options = [TaskOptions(type=f"type {number}", ttl_completed=10**number) for number in range(3)]
    options += [TaskOptions(type=f"type {number}") for number in range(200)]
    ids, payloads = [b"%d" % number for number in range(len(options))], [b"{}"] * len(options)
    documented = CompactDocumented("a.b", "task", 3)
    asynq = CompactAsynq("a.b", TaskOptions(), reverse_lookup=False)
    for encoder in (documented, asynq):
        once = dumps(encoder, ids, payloads, options, NOW)
        again = [dumps(encoder, ids[at:], payloads[at:], options[at:], NOW)[0] for at in range(len(options))]
        assert once == again
        assert (once[:3] == [None] * 3) is (encoder is documented), "the lifecycle is written by HSET"
        assert len(set(once[3:])) == len(options) - 3
        assert len(set(once)) == (len(options) - 2 if encoder is documented else len(options))
