"""What is sent to runqy's HTTP API, and what its answers are taken for."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import LoaderError, SinkError, TransientError, UnknownQueueError, UsageError
from loader.sinks.http_api import (
    RefusedError,
    Requests,
    UnsureError,
    base_url,
    match_stored,
    named_refusals,
    raise_for_status,
    read_batch,
    read_single,
    retry_after,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abdt"), inner),
    max_leaves=8,
)


@given(st.lists(JSON, min_size=1, max_size=5), st.integers(0, 10**6))
def test_a_batch_holds_every_payload_as_it_stands(values: list[Any], timeout: int) -> None:
    payloads = [json.dumps(value, indent=1).encode() for value in values]

    body = Requests('q"ä.x', timeout).batch(payloads)

    sent = json.loads(body)
    assert sent.pop("timeout", 0) == timeout
    assert sent == {"queue": 'q"ä.x', "jobs": [{"data": value} for value in values]}
    assert all(payload in body for payload in payloads)
    assert json.loads(Requests("q.x", 0).single(payloads[0])) == {"queue": "q.x", "data": values[0]}


@given(st.lists(JSON, min_size=1, max_size=8), st.data())
def test_tasks_are_told_apart_by_what_the_server_has_of_them(values: list[Any], data: st.DataObject) -> None:
    accepted = [n for n in range(len(values)) if data.draw(st.booleans())]
    whole = data.draw(st.booleans())
    stored = {b"%d" % n: {"timeout": 3, "data": values[n]} if whole else values[n] for n in accepted}
    payloads = [orjson.dumps(value) for value in values]

    answer = match_stored(payloads, stored, ["no"])

    assert sorted([*answer.ids, *answer.refused]) == list(range(len(values)))
    if whole:
        assert sorted(answer.ids.values()) == sorted(stored)
    for position, task_id in answer.ids.items():
        other = values[int(task_id)]
        assert values[position] == other or values[position] in (
            {"data": other},
            other.get("data", 0) if isinstance(other, dict) else 0,
        )


@pytest.mark.parametrize(
    ("errors", "count", "failed", "found"),
    [
        (["a", "b"], 2, 2, {0: "a", 1: "b"}),
        (["a"], 2, 2, {0: "a", 1: "no reason given"}),
        (["a"], 2, 1, None),
        ([{"index": 1, "error": "a"}], 2, 1, {1: "a"}),
        ([{"index": 0, "message": "a"}, {"index": 1, "x": 1}], 2, 2, {0: "a", 1: '{"index":1,"x":1}'}),
        ([{"index": 7, "error": "a"}], 2, 1, None),
    ],
)
def test_refusals_are_named_where_the_answer_tells_them(
    errors: list[Any], count: int, failed: int, found: dict[int, str] | None
) -> None:
    assert named_refusals(errors, count, failed) == found


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"errors":["bad"]}', RefusedError),
        (413, b"", RefusedError),
        (401, b"{}", SinkError),
        (404, b'{"errors":["queue not found: q"]}', UnknownQueueError),
        (404, b"404 page not found", SinkError),
        (301, b"", SinkError),
        (429, b"", TransientError),
        (408, b"", TransientError),
        (500, b"\xff", UnsureError),
        (503, b'"x"', UnsureError),
    ],
)
def test_each_status_has_its_meaning(status: int, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        raise_for_status(status, {}, body, "q", "host")

    assert type(caught.value) is error
    if isinstance(caught.value, LoaderError):
        assert "host" in str(caught.value)


def test_a_success_raises_nothing() -> None:
    raise_for_status(202, {}, b"", "q", "host")


def test_retry_after_is_seconds_or_a_date_and_anything_else_is_none() -> None:
    assert retry_after("120") == 120
    assert 0 < retry_after(formatdate(time.time() + 3600, usegmt=True)) <= 3600
    assert retry_after(formatdate(90_060, usegmt=True), formatdate(90_000, usegmt=True)) == 60  # by the server's clock
    assert [retry_after(value) for value in ("", "-1", "soon", formatdate(0, usegmt=True), "²")] == [0.0] * 5


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"enqueued":1}', b'{"enqueued":1,"task_ids":["a"],"failed":0}', b'{"enqueued":"2"}']
)
def test_an_answer_that_does_not_account_for_all_tasks_is_refused(body: bytes) -> None:
    with pytest.raises(SinkError):
        read_batch(body, 2, "host")


@pytest.mark.parametrize("body", [b"", b"1", b"{}", b'{"info":[]}', b'{"info":{"id":1}}'])
def test_an_answer_without_an_id_is_refused(body: bytes) -> None:
    with pytest.raises(SinkError):
        read_single(body, "host")


def test_answers_are_read() -> None:
    assert read_batch(b'{"enqueued":1,"failed":1,"task_ids":["a"],"errors":["x"]}', 2, "host") == ([b"a"], ["x"])
    assert read_single(b'{"info":{"id":"a"}}', "host") == b"a"


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://host", "http://", "http://h:99999", "http://h:x", "http://u@h", "http://h?a", "http://[::1"],
)
def test_a_url_that_names_no_server_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError):
        base_url(url)


def test_a_url_may_have_a_path() -> None:
    assert base_url("https://host/runqy/") == "https://host/runqy"
