"""Queues and ids of records: generated, or taken from their fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.engine.assign import Assigner
from loader.settings import LoadOptions
from loader.sinks.base import Delivery
from loader.sources.batch import RawBatch
from loader.sources.validate import Batch, validate
from loader.tasks.envelope import Envelope
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.reasons import Reason, ReasonCode
from tests.unit.strategies import json_texts

PREFIXES = [id_prefix("job", 0, "digest0"), id_prefix("job", 1, "digest1")]


def assign(
    lines: list[bytes],
    known: set[str] | None = None,
    first: int = 0,
    source: int = 0,
    forwarded: set[str] | None = None,
    **options: Any,
) -> tuple[dict[str, Delivery], Batch]:
    """Deliveries by queue, and the batch with its rejects."""
    options = {"layout": "documented", **options}
    assigner = Assigner(LoadOptions(**options), "job", [(0, "digest0"), (1, "digest1")], known, forwarded)
    batch = validate(RawBatch(first, 0, list(lines)), 0, source, parsed=assigner.needs_values)
    deliveries = assigner.assign(batch)
    assert len({delivery.queue for delivery in deliveries}) == len(deliveries), "one delivery a queue"
    return {delivery.queue: delivery for delivery in deliveries}, batch


def ids(delivery: Delivery) -> list[bytes]:
    return [delivery.id_prefix + suffix for suffix in delivery.ids]


def test_without_fields_all_records_go_to_the_queue_under_generated_ids() -> None:
    deliveries, _ = assign([b"1", b"2"], first=4095, source=1, queue="q")
    delivery = deliveries["q.default"]
    assert list(deliveries) == ["q.default"]
    assert delivery.payloads == [b"1", b"2"]
    assert ids(delivery) == [PREFIXES[1] + suffix for suffix in id_suffixes(4095, 2)]
    assert list(delivery.records) == [0, 1]


@pytest.mark.parametrize("options", [{}, {"queue_field": "queue"}])
def test_an_id_depends_on_the_records_number_not_on_bad_or_blank_ones_around_it(options: dict[str, Any]) -> None:
    deliveries, batch = assign([b"bad", b"1", b"", b"{}", b"[", b"5"], first=100, queue="q", **options)
    delivery = deliveries["q.default"]
    suffixes = id_suffixes(100, 6)
    assert ids(delivery) == [PREFIXES[0] + suffixes[n] for n in (1, 3, 5)]
    assert list(delivery.records) == [1, 3, 5]
    assert [index for index, _ in batch.rejected] == [0, 4]


@pytest.mark.parametrize("options", [{}, {"queue_field": "queue"}, {"id_field": "id"}])
def test_a_batch_without_valid_records_makes_no_delivery(options: dict[str, Any]) -> None:
    deliveries, batch = assign([b"bad", b""], queue="q", **options)
    assert deliveries == {}
    assert len(batch.rejected) == 1


def test_pieces_and_sources_take_turns_without_their_ids_mixing() -> None:
    assigner = Assigner(LoadOptions(queue="q"), "job", [(0, "digest0"), (1, "digest1")], None)
    pieces = [(0, 0), (0, 5000), (1, 0), (0, 0)]
    prefixes = [
        assigner.assign(validate(RawBatch(0, start, [b"1"], start=start), 0, source, parsed=False))[0].id_prefix
        for source, start in pieces
    ]
    assert prefixes == [id_prefix("job", source, f"digest{source}", start) for source, start in pieces]


def test_ids_are_taken_from_their_field() -> None:
    deliveries, batch = assign([b'{"id": "a"}', b'{"id": 7, "x": 1}', '{"id": "é"}'.encode()], queue="q", id_field="id")
    delivery = deliveries["q.default"]
    assert ids(delivery) == [b"a", b"7", "é".encode()]
    assert delivery.id_prefix == b""
    assert batch.rejected == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"{}", "the record has no field 'id'"),
        (b"7", "the record is not an object, so it has no field 'id'"),
        (b'["id"]', "the record is not an object, so it has no field 'id'"),
        (b'{"id": null}', "null"),
        (b'{"id": 1.5}', "a number with a fraction"),
        (b'{"id": ""}', "empty"),
        (b'{"id": "a\\u0000"}', "control character"),
    ],
)
def test_a_record_without_a_usable_id_is_rejected_and_the_others_are_not(record: bytes, reason: str) -> None:
    deliveries, batch = assign([b'{"id": "a"}', record, b'{"id": "c"}'], queue="q", id_field="id")
    ((index, why),) = batch.rejected
    assert (index, why.code) == (1, "bad_id") and reason in why.text
    assert ids(deliveries["q.default"]) == [b"a", b"c"]
    assert list(deliveries["q.default"].records) == [0, 2]


def test_queues_are_taken_from_their_field_each_with_its_records_in_order() -> None:
    lines = [b'{"to": "a"}', b'{"to": "b.high", "n": 1}', b'{"to": "a.default"}', b'{"to": "b.high", "n": 2}']
    deliveries, _ = assign(lines, queue_field="to")
    assert {queue: list(delivery.records) for queue, delivery in deliveries.items()} == {
        "a.default": [0, 2],
        "b.high": [1, 3],
    }
    assert deliveries["b.high"].payloads == [lines[1], lines[3]]
    suffixes = id_suffixes(0, 4)
    assert ids(deliveries["b.high"]) == [PREFIXES[0] + suffixes[1], PREFIXES[0] + suffixes[3]]


def test_records_without_the_queue_field_go_to_the_fallback_queue() -> None:
    deliveries, batch = assign([b'{"to": "a"}', b"{}", b"7", b'"to"'], queue="rest", queue_field="to")
    assert list(deliveries["rest.default"].records) == [1, 2, 3]
    assert batch.rejected == []


@pytest.mark.parametrize("record", [b"{}", b"7"])
def test_without_a_fallback_queue_they_are_rejected(record: bytes) -> None:
    deliveries, batch = assign([record], queue_field="to")
    assert deliveries == {}
    assert batch.rejected[0][1].code == "bad_queue" and "no field 'to'" in batch.rejected[0][1].text


@pytest.mark.parametrize("fallback", [None, "rest"])
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"to": null}', "field 'to' is not text"),
        (b'{"to": 7}', "field 'to' is not text"),
        (b'{"to": ""}', "empty part"),
        (b'{"to": "a.b.c"}', "more than one dot"),
        (b'{"to": "{a}"}', "brace"),
        (b'{"to": "a\\nb"}', "control character"),
    ],
)
def test_a_record_with_an_unusable_queue_is_rejected_even_with_a_fallback(
    fallback: str | None, record: bytes, reason: str
) -> None:
    deliveries, batch = assign([record], queue=fallback, queue_field="to")
    assert deliveries == {}
    assert batch.rejected[0][1].code == "bad_queue" and reason in batch.rejected[0][1].text


def test_a_record_whose_queue_does_not_exist_is_rejected_each_time() -> None:
    lines = [b'{"to": "a"}', b'{"to": "b"}', b'{"to": "b"}']
    deliveries, batch = assign(lines, known={"a.default"}, queue_field="to")
    assert list(deliveries) == ["a.default"]
    why = Reason(ReasonCode.UNKNOWN_QUEUE, "queue 'b.default' does not exist")
    assert batch.rejected == [(1, why), (2, why)]


def test_id_and_queue_may_both_come_from_the_record() -> None:
    deliveries, _ = assign([b'{"to": "a", "id": 1}', b'{"to": "b", "id": 1}'], queue_field="to", id_field="id")
    assert {queue: ids(delivery) for queue, delivery in deliveries.items()} == {
        "a.default": [b"1"],
        "b.default": [b"1"],
    }


def test_values_are_parsed_only_where_a_field_is_needed() -> None:
    def needs(**options: Any) -> bool:
        return Assigner(LoadOptions(**{"layout": "documented", **options}), "job", [], None).needs_values

    assert (needs(queue="q"), needs(queue="q", id_field="a"), needs(queue_field="a")) == (False, True, True)


# --- envelopes -----------------------------------------------------------------------------------------------------


def test_envelopes_without_ids_and_options_are_loaded_as_bare_payloads_are() -> None:
    lines = [b'{"payload":1}', b'{"payload":2,"queue":"other"}', b"{}", b'{"payload":3}']
    deliveries, batch = assign(lines, first=10, queue="q", envelope=True)
    suffixes = id_suffixes(10, 4)
    first, other = deliveries["q.default"], deliveries["other.default"]
    assert (first.payloads, ids(first)) == ([b"1", b"3"], [PREFIXES[0] + suffixes[0], PREFIXES[0] + suffixes[3]])
    assert (other.payloads, ids(other)) == ([b"2"], [PREFIXES[0] + suffixes[1]])
    assert first.options is None and first.id_prefix and other.options is None and other.id_prefix
    assert [index for index, _ in batch.rejected] == [2]


@given(st.lists(json_texts(), min_size=1, max_size=6), st.sets(st.integers(0, 5)))
def test_bare_envelopes_become_what_their_payloads_would(texts: list[bytes], blank: set[int]) -> None:
    texts = [b"" if number in blank else text for number, text in enumerate(texts)]
    envelopes, batch = assign([b'{"payload":%b}' % text if text else b"" for text in texts], queue="q", envelope=True)
    plain, _ = assign(texts, queue="q")
    assert batch.rejected == []
    for queue in envelopes.keys() | plain.keys():
        found, expected = envelopes[queue], plain[queue]
        assert (found.payloads, ids(found), list(found.records), found.id_prefix, found.options) == (
            *(expected.payloads, ids(expected), list(expected.records), expected.id_prefix),
            None,
        )


def test_bare_envelopes_are_rejected_where_each_must_bring_a_type_or_a_queue() -> None:
    _, batch = assign([b'{"payload":1}'], queue="q", envelope=True, layout="asynq", profile="asynq")
    assert batch.rejected[0][1].code == "bad_envelope" and "no field 'type'" in batch.rejected[0][1].text
    _, batch = assign([b'{"payload":1}'], envelope=True)
    assert batch.rejected[0][1].code == "bad_queue" and "names no queue" in batch.rejected[0][1].text


@pytest.mark.parametrize(("own", "task_id"), [(b'"id":"mine"', b"mine"), (b'"max_retry":9', None)])
def test_one_envelope_that_brings_more_makes_its_queue_go_through_the_script(own: bytes, task_id: bytes | None) -> None:
    lines = [b'{"payload":1}', b'{"payload":2,%b}' % own, b'{"payload":3,"queue":"other"}']
    deliveries, _ = assign(lines, queue="q", envelope=True)
    generated = [PREFIXES[0] + suffix for suffix in id_suffixes(0, 3)]
    first = deliveries["q.default"]
    assert first.id_prefix == b"" and first.options is not None
    assert list(first.ids) == [generated[0], task_id or generated[1]]
    assert [options.max_retry for options in first.options] == [3, 3 if task_id else 9]
    assert deliveries["other.default"].options is None
    assert ids(deliveries["other.default"]) == [generated[2]]


ODD = st.sampled_from(["", " ", "é", "\0", "9" * 400, "1e999", "-1s", "99999999d", "AA=", "1" * 5000, "a.b.c", "{a}"])
ODD_NUMBERS = st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, -(10**30), 1e300, -0.0])
FIELDS = st.dictionaries(
    st.sampled_from([*Envelope.__struct_fields__, "else"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | ODD
    | ODD_NUMBERS
    | st.dictionaries(ODD, ODD | ODD_NUMBERS, max_size=2),
    max_size=5,
)
"""What a record might hold, mostly not what it should."""

LOADS = st.sampled_from(
    [
        {"envelope": True, "queue": "q"},
        {"envelope": True, "layout": "asynq"},
        {"envelope": True, "queue": "q", "layout": "asynq", "profile": "asynq"},
        {"id_field": "id", "queue_field": "queue"},
        {"id_field": "id", "queue": "q"},
    ]
)


@given(st.lists(FIELDS, min_size=1, max_size=6), LOADS, st.none() | st.just({"q.default"}))
def test_whatever_records_hold_each_is_taken_or_set_aside(
    records: list[dict[str, Any]], options: dict[str, Any], known: set[str] | None
) -> None:
    deliveries, batch = assign([json.dumps(record).encode() for record in records], known, **options)

    taken = [index for delivery in deliveries.values() for index in delivery.records]
    assert sorted([*taken, *(index for index, _ in batch.rejected)]) == list(range(len(records)))
    assert all(why.text for _, why in batch.rejected)


FAR = "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("start", "forwarded", "taken"),
    [
        (f'"process_at":"{FAR}"', set(), False),
        ('"process_in":"1h"', {"other.default"}, False),
        ('"process_in":"1h"', {"q.default"}, True),
        ('"process_in":"1h"', None, True),
        ('"process_at":"2000-01-01T00:00:00Z"', set(), True),  # it is due
        ('"process_in":0', set(), True),
        ('"retention":"1h"', set(), True),
    ],
)
def test_an_envelope_whose_start_time_would_never_come_is_rejected(
    start: str, forwarded: set[str] | None, taken: bool
) -> None:
    lines = [f'{{"payload":1,{start}}}'.encode(), b'{"payload":2,"max_retry":1}']
    deliveries, batch = assign(lines, queue="q", envelope=True, layout="asynq", forwarded=forwarded)
    assert list(deliveries["q.default"].records) == ([0, 1] if taken else [1])
    assert [index for index, _ in batch.rejected] == ([] if taken else [0])
    if not taken:
        ((_, reason),) = batch.rejected
        assert reason.code is ReasonCode.BAD_ENVELOPE
        assert "queue q.default" in reason.text and "--force-schedule" in reason.text
