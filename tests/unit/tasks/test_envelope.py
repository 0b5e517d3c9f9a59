"""Envelopes: a task's options around its payload."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.tasks.envelope import EnvelopeReader
from loader.tasks.options import LIFECYCLE, Past, TaskOptions
from loader.tasks.reasons import ReasonCode, UnusableRecordError
from tests.unit.strategies import json_texts

DEFAULTS = TaskOptions(type="mail", max_retry=3, timeout=30, retention=60)
READER = EnvelopeReader(DEFAULTS, timeout=30, asynq=True)


def read(**fields: Any) -> TaskOptions:
    return READER.read(json.dumps({"payload": 1, **fields}).encode())[1]


@given(json_texts())
def test_a_payload_is_kept_byte_for_byte(text: bytes) -> None:
    envelope, options = READER.read(b'{"id":"a", "payload" : %b , "queue": "q"}' % text)
    assert envelope.payload_bytes() == text.strip(b" \t\r\n")
    assert options is DEFAULTS
    assert (envelope.id, envelope.queue) == ("a", "q")


@given(st.binary(max_size=50))
def test_a_payload_may_be_any_bytes_as_base64(payload: bytes) -> None:
    record = json.dumps({"payload_base64": base64.b64encode(payload).decode()}).encode()
    assert READER.read(record)[0].payload_bytes() == payload


UNUSUAL = [b"[" * 100_000 + b"]" * 100_000, rb'"\ud800"', rb'{"a": "\udc00x"}', b"1e400", b"-" + b"1" * 400]


@pytest.mark.parametrize("payload", UNUSUAL, ids=lambda payload: payload[:10].decode())
@pytest.mark.parametrize("name", [b"payload", rb"pay\u006coad"])
def test_a_payload_that_msgspec_does_not_read_is_kept_byte_for_byte(payload: bytes, name: bytes) -> None:
    envelope, _ = READER.read(b'{"id":"a","%b" : %b ,"queue":"q"}' % (name, payload))

    assert envelope.payload_bytes() == payload
    assert (envelope.id, envelope.queue) == ("a", "q")


@pytest.mark.parametrize("payload", UNUSUAL, ids=lambda payload: payload[:10].decode())
@pytest.mark.parametrize(("first", "second"), [(rb"pay\u006coad", b"payload"), (b"payload", rb"\u0070ayload")])
def test_of_two_payloads_the_last_one_counts_however_its_name_is_written(
    payload: bytes, first: bytes, second: bytes
) -> None:
    envelope, _ = READER.read(b'{"%b":1,"id":"a","%b":%b}' % (first, second, payload))

    assert (envelope.payload_bytes(), envelope.id) == (payload, "a")


@pytest.mark.parametrize(
    "field", [rb'"id":"\ud800"', rb'"queue":"\udc00x"', rb'"headers":{"a":"\ud800"}', rb'"x\ud800":1']
)
def test_a_lone_surrogate_besides_the_payload_is_no_envelope(field: bytes) -> None:
    with pytest.raises(UnusableRecordError, match=r"lone surrogate|unknown field") as caught:
        READER.read(b'{"payload":1,%b}' % field)

    assert caught.value.reason.code == ReasonCode.BAD_ENVELOPE


def test_every_option_may_be_given() -> None:
    options = read(
        type="post",
        max_retry=9,
        timeout="5m",
        deadline="2026-12-24T18:00:00Z",
        retention=7,
        headers={"b": "2", "a": "1"},
        unique_ttl="1h",
        process_at=1_800_000_000.5,
        ttl_completed=1,
        ttl_archived=2,
        pending_timeout=3,
        active_timeout="4s",
    )
    assert options == TaskOptions(
        type="post",
        max_retry=9,
        timeout=300,
        deadline=1_798_135_200,
        retention=7,
        headers=(("a", "1"), ("b", "2")),
        unique_ttl=3600,
        process_at=1_800_000_000,
        ttl_completed=1,
        ttl_archived=2,
        pending_timeout=3,
        active_timeout=4,
    )


SAID: list[dict[str, Any]] = [
    {},
    {"headers": {}},
    {"headers": {"a": "1", "b": "2"}},
    {"headers": {"b": "2", "a": "1"}},
    {"headers": {"a": "1"}},
    {"timeout": 60},
    {"timeout": "1m"},
    {"timeout": 0},
    {"type": "1", "max_retry": 1},
    {"process_at": 1.0},
    {"process_at": 1},
    {"process_at": "1"},
    {"process_in": 1},
    {"retention": 0, "deadline": 5},
]


@given(st.lists(st.sampled_from(SAID), max_size=30))
def test_what_records_before_have_said_makes_no_difference(said: list[dict[str, Any]]) -> None:
    used = EnvelopeReader(DEFAULTS, timeout=30, asynq=True)
    for fields in said:
        record = json.dumps({"payload": 1, **fields}).encode()
        assert used.read(record)[1] == EnvelopeReader(DEFAULTS, timeout=30, asynq=True).read(record)[1]


@pytest.mark.parametrize("said", [{}, {"type": "mail"}, {"max_retry": 3, "timeout": "30s", "retention": 60}])
def test_what_is_the_same_as_for_all_is_nothing_of_its_own(said: dict[str, Any]) -> None:
    assert read(**said) is DEFAULTS


def test_no_end_of_different_options_takes_no_end_of_memory() -> None:
    reader = EnvelopeReader(DEFAULTS, timeout=30, asynq=True)
    for number in range(25_000):
        assert reader.read(b'{"payload":1,"timeout":%d}' % number)[1].timeout == number
    assert len(reader._known) <= 10_000


def test_null_is_as_good_as_left_out() -> None:
    assert read(type=None, retention=None, headers=None) == DEFAULTS


def test_a_deadline_takes_the_place_of_the_profiles_timeout() -> None:
    assert (read(deadline=9).timeout, read(deadline=9, timeout=5).timeout) == (0, 5)


def test_a_timeout_that_the_user_gave_for_all_stays_beside_a_deadline() -> None:
    reader = EnvelopeReader(TaskOptions(timeout=77), timeout=None, asynq=True)
    assert reader.read(b'{"payload":1,"deadline":9}')[1].timeout == 77


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"payload":1,"retires":2}', "unknown field `retires`"),
        (b'{"id":"a"}', "needs one of the fields 'payload' and 'payload_base64'"),
        (b'{"payload":1,"payload_base64":""}', "needs one of the fields"),
        (b'{"payload_base64":"?"}', "not base64"),
        ('{"payload_base64":"é"}'.encode(), "'payload_base64' is not base64"),
        (b"[1]", "not an envelope: Expected `object`"),
        (b'{"payload":1,"max_retry":"3"}', r"Expected `int \| null`, got `str` - at `\$.max_retry`"),
        (b'{"payload":1,"max_retry":-1}', "'max_retry' must be between"),
        (b'{"payload":1,"max_retry":2147483648}', "'max_retry' must be between"),
        (b'{"payload":1,"timeout":"soon"}', "field 'timeout': 'soon' is no duration"),
        (b'{"payload":1,"retention":1.5}', r"got `float` - at `\$.retention`"),
        (b'{"payload":1,"process_at":"noon"}', "field 'process_at': 'noon' is no time"),
        (b'{"payload":1,"headers":{"a":1}}', "Expected `str`, got `int`"),
        (b'{"payload":1,"type":""}', "field 'type' is empty"),
        (b'{"payload":1,"id":1.5}', "got `float`"),
    ],
)
def test_a_record_that_is_no_envelope_is_told_by_field(record: bytes, reason: str) -> None:
    with pytest.raises(UnusableRecordError, match=reason) as caught:
        READER.read(record)[0].payload_bytes()
    assert caught.value.reason.code == "bad_envelope"


@pytest.mark.parametrize("field", ["timeout", "deadline", "retention", "unique_ttl", "process_in", "ttl_archived"])
def test_the_documented_layout_has_no_place_for_most_options(field: str) -> None:
    reader = EnvelopeReader(TaskOptions(), timeout=0, asynq=False)
    with pytest.raises(ValueError, match=f"field '{field}' needs --layout asynq"):
        reader.read(json.dumps({"payload": 1, field: 1}).encode())
    assert reader.read(b'{"payload":1,"type":"x","max_retry":1}')[1] == TaskOptions(type="x", max_retry=1)


def test_a_timeout_that_the_user_gave_stays_beside_a_deadline_also_where_it_is_the_profiles() -> None:
    reader = EnvelopeReader(TaskOptions(timeout=30), timeout=None, asynq=True)
    assert reader.read(b'{"payload":1,"deadline":9}')[1].timeout == 30


@pytest.mark.parametrize(("own", "kept"), [({"process_at": 5}, (5, 0)), ({"process_in": 7}, (0, 7)), ({}, (0, 3600))])
def test_a_start_of_its_own_takes_the_place_of_the_loads(own: dict[str, int], kept: tuple[int, int]) -> None:
    reader = EnvelopeReader(TaskOptions(process_in=3600), timeout=30, asynq=True)
    options = reader.read(json.dumps({"payload": 1, **own}).encode())[1]
    assert (options.process_at, options.process_in) == kept


def test_a_record_must_bring_a_type_where_nothing_else_gives_one() -> None:
    reader = EnvelopeReader(TaskOptions(type=None), timeout=30, asynq=True, needs_type=True)
    assert reader.read(b'{"payload":1,"type":"mail"}')[1].type == "mail"
    with pytest.raises(ValueError, match="no field 'type', and --type gives none"):
        reader.read(b'{"payload":1}')


def test_what_is_no_json_is_told_as_such() -> None:
    with pytest.raises(UnusableRecordError, match="not valid JSON") as caught:
        READER.read(b'{"payload":')
    assert caught.value.reason.code == "invalid_json"


@pytest.mark.parametrize("name", LIFECYCLE)
def test_zero_of_the_lifecycle_is_a_value_and_absent_is_none(name: str) -> None:
    assert getattr(read(**{name: 0}), name) == 0
    assert getattr(read(**{name: "0"}), name) == 0
    assert getattr(read(), name) is None
    loads = EnvelopeReader(TaskOptions(**{name: 60}), timeout=30, asynq=True)  # type: ignore[arg-type]
    assert getattr(loads.read(json.dumps({"payload": 1, name: 0}).encode())[1], name) == 0
    assert getattr(loads.read(b'{"payload":1}')[1], name) == 60


@pytest.mark.parametrize("name", ["timeout", "retention", "unique_ttl", "max_retry", "process_in", "process_at"])
def test_zero_takes_the_place_of_the_loads_value(name: str) -> None:
    loads = EnvelopeReader(TaskOptions(**{name: 60}), timeout=None, asynq=True)  # type: ignore[arg-type]
    assert getattr(loads.read(json.dumps({"payload": 1, name: 0}).encode())[1], name) == 0


def test_a_deadline_of_zero_is_none_so_that_the_profiles_timeout_applies() -> None:
    loads = EnvelopeReader(TaskOptions(deadline=9, timeout=0), timeout=30, asynq=True)
    own = loads.read(b'{"payload":1,"deadline":0}')[1]
    assert (own.deadline, own.timeout) == (0, 30)
    assert read(deadline=0) is DEFAULTS


GROUPS = EnvelopeReader(DEFAULTS, timeout=30, asynq=True, groups=True)


def in_groups(**fields: Any) -> TaskOptions:
    return GROUPS.read(json.dumps({"payload": 1, **fields}).encode())[1]


def test_a_task_of_a_group_waits_in_it_unless_it_is_pending() -> None:
    assert (in_groups(group="g").group, in_groups(group="g").waits_in_group) == ("g", True)
    assert in_groups(group="g", state="aggregating") == in_groups(group="g")
    pending = in_groups(group="g", state="pending")
    assert (pending.group, pending.waits_in_group) == ("g", False)
    assert in_groups(state="pending") == DEFAULTS
    assert read(group="g", state="pending") == pending


def test_what_has_happened_to_a_task_is_kept() -> None:
    own = in_groups(retried=2, last_error="oops", last_failed_at="2026-12-24T18:00:00Z", v=2)
    assert own == replace(DEFAULTS, past=Past(retried=2, last_error="oops", last_failed_at=1_798_135_200))


NAMES = st.binary(max_size=9).filter(lambda name: name not in (b"msg", b"state"))
UTF_8 = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(
    st.dictionaries(UTF_8.filter(lambda name: name not in ("msg", "state")), UTF_8), st.dictionaries(NAMES, st.binary())
)
def test_further_fields_of_the_hash_may_be_any_bytes(text: dict[str, str], raw: dict[bytes, bytes]) -> None:
    encoded = {base64.b64encode(name).decode(): base64.b64encode(value).decode() for name, value in raw.items()}
    own = in_groups(fields=text, fields_base64=encoded)
    assert dict(own.fields) == {name.encode(): value.encode() for name, value in text.items()} | raw


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": 3}, "an envelope of version 3, and this loader reads 1 to 2"),
        ({"v": 0}, "an envelope of version 0"),
        ({"group": " "}, "'group' is empty"),
        ({"state": "aggregating"}, "there is no field 'group'"),
        ({"state": "archived"}, "Invalid enum value 'archived'"),
        ({"group": "g", "process_in": 5}, "a group and a start time"),
        ({"retried": -1}, "'retried' must be between 0"),
        ({"last_failed_at": "noon"}, "field 'last_failed_at': 'noon' is no time"),
        ({"fields": {"msg": "x"}}, "may not hold 'msg'"),
        ({"fields_base64": {"c3RhdGU=": ""}}, "may not hold 'state'"),
        ({"fields": {"group": "h"}, "group": "g"}, "may not hold 'group'"),
        ({"fields_base64": {"?": ""}}, "'fields_base64' is not base64"),
        ({"fields": {"a": 1}}, "Expected `str`, got `int`"),
    ],
)
def test_a_state_that_cannot_be_is_told(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableRecordError, match=reason):
        in_groups(**fields)


def test_runqys_workers_take_nothing_from_groups() -> None:
    with pytest.raises(UnusableRecordError, match="needs --profile asynq"):
        read(group="g")


@pytest.mark.parametrize("fields", [{"group": "g"}, {"state": "pending"}, {"last_error": "x"}, {"last_failed_at": 0}])
def test_the_documented_layout_has_no_groups_and_no_past(fields: dict[str, Any]) -> None:
    reader = EnvelopeReader(TaskOptions(), timeout=0, asynq=False)
    with pytest.raises(UnusableRecordError, match="needs --layout asynq"):
        reader.read(json.dumps({"payload": 1, **fields}).encode())


def test_the_documented_layout_keeps_retries_and_further_fields() -> None:
    reader = EnvelopeReader(TaskOptions(), timeout=0, asynq=False)
    own = reader.read(b'{"payload":1,"retried":4,"fields":{"tenant":"a"}}')[1]
    assert (own.past.retried, own.fields) == (4, ((b"tenant", b"a"),))
    with pytest.raises(UnusableRecordError, match="may not hold 'retry'"):
        reader.read(b'{"payload":1,"fields":{"retry":"4"}}')
