"""What runqy's server of March 2026 answers, field by field, and what the gateway answers in its place.

``runqy_server.json`` has its answers, as its source makes them (``app/models/api.go``, ``app/api/task_api.go``,
``app/api/task_batch_api.go``, ``app/cmd/serve.go``; times of tasks: asynq's ``inspector.go``). Ids, times and payloads
are made up.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway, asynq, documented
from tests.unit.task_message_oracle import decode, encode

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("runqy_server.json").read_text())
ZERO = "0001-01-01T00:00:00Z"


def shape(value: Any) -> Any:
    """A value with the kind of each leaf in its place."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        try:
            return "zero time" if value == ZERO else datetime.fromisoformat(value) and "time"
        except ValueError:
            return "text"
    return type(value).__name__


@pytest.fixture(params=["documented", "asynq"])
def served(request: pytest.FixtureRequest, valkey: Server, start: Start) -> Gateway:
    return start(valkey.url, "--layout", request.param)


def test_an_enqueued_task_is_echoed_as_there(served: Gateway) -> None:
    payload = {"prompt": "Hello"}
    answer = served.post("/queue/add", {"queue": "simple", "data": payload}).json
    assert shape(answer) == shape(RECORDED["add"])
    assert list(answer["info"]) == list(RECORDED["add"]["info"])
    assert json.loads(base64.b64decode(answer["info"]["payload"])) == answer["data"] == payload
    flat = served.post("/queue/add", {"queue": "simple", "timeout": 3, **payload}).json
    assert flat["data"] == payload


def test_a_batch_is_answered_as_there(served: Gateway) -> None:
    answer = served.post("/queue/add-batch", {"queue": "simple", "jobs": [{"data": 1}, {"data": 2}]}).json
    assert shape(answer) == shape(RECORDED["add-batch"])


def test_a_pending_task_is_shown_as_there(served: Gateway) -> None:
    task_id = served.add("simple", {"prompt": "Hello"})
    found = served.get(f"/queue/{task_id}").json
    assert shape(found["Info"]) == shape(RECORDED["get pending"]["Info"])
    assert list(found["Info"]) == list(RECORDED["get pending"]["Info"])
    assert found["info"]["id"] == found["Info"]["id"] == task_id


def test_tasks_in_other_states_are_shown_as_there(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--layout", "asynq")
    task_id = gateway.add("simple", {"prompt": "Hello"})
    key = f"asynq:{{simple.default}}:t:{task_id}"
    usual = {"type": "simple.default", "id": task_id, "queue": "simple.default", "retry": 3, "payload": b'{"a":1}'}
    failed = {**usual, "retried": 1, "error_msg": "boom", "last_failed_at": 1_700_000_000}
    with valkey.client() as client:
        client.zadd("asynq:{simple.default}:retry", {task_id: 1_800_000_000})
        for name, state, message, more in (
            ("get completed", "completed", {**usual, "completed_at": 1_700_000_000}, {"result": '{"answer":42}'}),
            ("get retry", "retry", failed, {}),
            ("get archived", "archived", failed, {}),
        ):
            client.delete(key)
            client.hset(key, mapping={"state": state, "msg": encode(**message), **more})
            found = gateway.get(f"/queue/{task_id}").json["Info"]
            assert shape(found) == shape(RECORDED[name]["Info"]), name
            assert found["state"] == state
        assert found["LastErr"] == "boom"
        client.hset(key, mapping={"state": "retry", "msg": encode(**{**failed, "deadline": 1_800_000_001})})
        found = gateway.get(f"/queue/{task_id}").json["Info"]
        assert (found["Deadline"], found["NextProcessAt"]) == ("2027-01-15T08:00:01Z", "2027-01-15T08:00:00Z")
        for score in ("inf", "-inf", "1e300"):  # no date, but no fault of the gateway
            client.zadd("asynq:{simple.default}:retry", {task_id: score})
            reply = gateway.get(f"/queue/{task_id}")
            assert (reply.status, reply.json["Info"]["NextProcessAt"]) == (200, "0001-01-01T00:00:00Z"), score


def test_errors_have_its_form_and_texts(served: Gateway) -> None:
    asked = {
        "unknown task": served.get("/queue/00000000-0000-4000-8000-000000000000"),
        "unknown queue": served.post("/queue/add", {"queue": "nope", "data": 1}),
        "no key": served.post("/queue/add", {"queue": "simple", "data": 1}, key=None),
        "no jobs": served.post("/queue/add-batch", {"queue": "simple", "jobs": []}),
    }
    assert {name: {"status": reply.status, "body": reply.json} for name, reply in asked.items()} == RECORDED["errors"]


def test_health_is_told_as_there(served: Gateway) -> None:
    for path in ("health", "healthz"):
        reply = served.get(f"/{path}", key=None)
        assert (reply.status, shape(reply.json)) == (200, shape(RECORDED[path]))
        assert reply.json["status"] == "ok"


def test_x_api_key_is_a_key_as_well(served: Gateway) -> None:
    for headers, status in (
        ({"X-API-Key": KEY}, 200),
        ({"X-API-Key": "wrong"}, 401),
        ({"X-API-Key": f"Bearer {KEY}"}, 401),
        ({"X-API-Key": KEY, "Authorization": "Bearer wrong"}, 200),
    ):
        assert served.post("/queue/add", {"queue": "simple", "data": 1}, key=None, headers=headers).status == status


def test_a_single_task_may_run_for_half_an_hour_and_one_of_a_batch_30_seconds(valkey: Server, start: Start) -> None:
    for options, expected in (((), [1800, 30, 77]), (("--task-timeout", "5m"), [300, 300, 77])):
        gateway = start(valkey.url, "--layout", "asynq", *options)
        gateway.add("simple", 1)
        gateway.add_batch("simple", [2])
        gateway.add("simple", 3, timeout=77)
        with valkey.client() as client:
            found = [
                (decode(fields[b"msg"])["timeout"], b"active_timeout" in fields)
                for _, fields in asynq(client, "simple.default")
            ]
            client.flushall()
        assert [timeout for timeout, _ in found] == expected
        assert [limited for _, limited in found] == [bool(options), bool(options), True]


def test_jobs_of_a_batch_are_stored_whole_if_asked_for(valkey: Server, start: Start) -> None:
    jobs = b'[{"data": {"n": 1.0}, "timeout": 5}, {"prompt":  "x"}]'
    with valkey.client() as client:
        for options, expected in (
            ((), [b'{"n": 1.0}', b'{"prompt":"x"}']),
            (("--wrap-jobs",), [b'{"data": {"n": 1.0}, "timeout": 5}', b'{"prompt":  "x"}']),
        ):
            gateway = start(valkey.url, *options)
            assert gateway.ask("POST", "/queue/add-batch", b'{"queue":"simple","jobs":%b}' % jobs).status == 200
            gateway.add("simple", 3)
            payloads = [fields[b"payload"] for _, fields in documented(client, "simple.default")]
            assert payloads == [*expected, b"3"]
            client.flushall()


def test_web_pages_of_allowed_origins_may_use_it(valkey: Server, start: Start) -> None:
    page, other = "https://page.example", "https://other.example"
    gateway = start(valkey.url, "--cors-origin", page)

    def preflight(origin: str) -> tuple[int, str | None]:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-api-key"}
        reply = gateway.ask("OPTIONS", "/queue/add", key=None, headers={"Origin": origin, **asked})
        return reply.status, reply.headers.get("access-control-allow-origin")

    assert preflight(page) == (200, page)
    assert preflight(other) == (400, None)
    reply = gateway.post("/queue/add", {"queue": "simple", "data": 1}, headers={"Origin": page})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, page)
    assert "idempotency-replayed" in reply.headers["access-control-expose-headers"].lower()
    everybody = start(valkey.url, "--cors-origin", "*").get("/health", key=None, headers={"Origin": other})
    assert everybody.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in start(valkey.url).get("/health", headers={"Origin": page}).headers
