"""``POST /queue/add`` and ``/queue/add-batch``: what is in Redis afterwards, and what is answered."""

from __future__ import annotations

import json
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway, asynq, documented
from tests.unit.task_message_oracle import decode

ADD, BATCH = "/queue/add", "/queue/add-batch"


def test_a_task_is_stored_as_the_guide_says(gateway: Gateway, client: Any) -> None:
    reply = gateway.ask("POST", ADD, b'{"queue": "inference.premium", "timeout": 300, "data": {"prompt": "Hello"}}')

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    info = reply.json["info"]
    assert {name: info[name] for name in ("queue", "state")} == {"queue": "inference.premium", "state": "pending"}
    assert str(uuid.UUID(info["id"])) == info["id"]
    ((task_id, fields),) = documented(client, "inference.premium")
    assert task_id == info["id"]
    assert list(fields.items()) == [
        (b"type", b"task"),
        (b"payload", b'{"prompt": "Hello"}'),
        (b"retry", b"0"),
        (b"max_retry", b"3"),
        (b"queue", b"inference.premium"),
    ]


def test_a_batch_is_stored_in_its_order(gateway: Gateway, client: Any) -> None:
    reply = gateway.post(BATCH, {"queue": "inference", "jobs": [{"data": {"n": n}} for n in range(3000)]})

    assert reply.status == 200
    assert {k: v for k, v in reply.json.items() if k != "task_ids"} == {"enqueued": 3000, "failed": 0}
    tasks = documented(client, "inference.default")
    assert [task_id for task_id, _ in tasks] == reply.json["task_ids"]
    assert [json.loads(fields[b"payload"]) for _, fields in tasks] == [{"n": n} for n in range(3000)]
    assert len(set(reply.json["task_ids"])) == 3000


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a": 1.0,  "b":[1e2, 123456789012345678901234567890]}',
        '{"text": "é\\u00e9 \U0001f600"}'.encode(),
        b'{"dup": 1, "dup": 2}',
        b"null",
        b"[]",
        b'"text"',
        b"-0.0",
        b'{"data": {"queue": "x"}, "timeout": 3}',
    ],
)
def test_payloads_are_kept_byte_for_byte(server: Server, start: Start, payload: bytes) -> None:
    gateway = start(server.url)
    assert gateway.ask("POST", ADD, b'{"data" :  %b , "queue":"simple"}' % payload).status == 200
    assert gateway.ask("POST", BATCH, b'{"queue":"simple","jobs":[{"data":\n%b\n},{"data":1}]}' % payload).status == 200
    with server.client() as client:
        found = [fields[b"payload"] for _, fields in documented(client, "simple.default")]
    assert found == [payload, payload, b"1"]


def test_a_task_without_data_is_its_other_fields(gateway: Gateway, client: Any) -> None:
    gateway.ask("POST", ADD, b'{"queue": "simple", "prompt": "hi", "timeout": 3, "w": 1.50}')
    gateway.ask("POST", BATCH, b'{"queue": "simple", "jobs": [{"p": 1.0}, {"data": 2}, {"q": [ ], "timeout": 5}]}')
    found = [fields[b"payload"] for _, fields in documented(client, "simple.default")]
    assert found == [b'{"prompt":"hi","w":1.50}', b'{"p":1.0}', b"2", b'{"q":[ ]}']


def test_concurrent_requests_share_writes(gateway: Gateway, client: Any) -> None:
    client.client_pause(60_000, all=False)  # so that all of them arrive while the first is on its way
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(gateway.add, "simple", n) for n in range(40)]
        until_metric(gateway, "http_requests_in_progress 40.0")
        client.client_unpause()
        ids = {answer.result(60) for answer in answers}
    assert ids == {task_id for task_id, _ in documented(client, "simple.default")}
    until_metric(gateway, "write_tasks_sum 40.0")
    (writes,) = re.findall(r"runqy_loader_write_tasks_count (\d+)", gateway.get("/metrics").body.decode())
    assert int(writes) <= 4


def until_metric(gateway: Gateway, line: str) -> None:
    deadline = time.monotonic() + 60
    while f"runqy_loader_{line}" not in gateway.get("/metrics").body.decode():
        assert time.monotonic() < deadline, line
        time.sleep(0.02)


# --- the asynq layout -----------------------------------------------------------------------------------------------


def test_tasks_are_stored_as_the_runqy_server_does(asynq_gateway: Gateway, client: Any) -> None:
    before = time.time_ns()
    task_id = asynq_gateway.add("inference", {"a": 1}, timeout=77)

    ((stored_id, fields),) = asynq(client, "inference.default")
    assert stored_id == task_id
    assert set(fields) == {b"msg", b"state", b"pending_since", b"active_timeout"}
    assert (fields[b"state"], fields[b"active_timeout"]) == (b"pending", b"77")
    assert before <= int(fields[b"pending_since"]) <= time.time_ns()
    message = decode(fields[b"msg"])
    assert message == {
        "type": "inference.default",
        "payload": b'{"a": 1}',
        "id": task_id,
        "queue": "inference.default",
        "retry": 3,
        "timeout": 77,
        "retention": 86_400,
    }
    assert client.hgetall(f"asynq:t:{task_id}") == {b"queue": b"inference.default"}
    assert client.smembers("asynq:queues") == {b"inference.default"}


def test_each_job_may_have_a_timeout(asynq_gateway: Gateway, client: Any) -> None:
    jobs = [{"data": 0}, {"data": 1, "timeout": 5}, {"data": 2, "timeout": 300}, {"data": 3, "timeout": 5}]
    assert asynq_gateway.post(BATCH, {"queue": "simple", "timeout": 300, "jobs": jobs}).status == 200
    assert asynq_gateway.post(BATCH, {"queue": "simple", "jobs": [{"data": 4}]}).status == 200
    own = [{"data": 5, "timeout": 0}, {"data": 6, "timeout": None}]
    assert asynq_gateway.post(BATCH, {"queue": "simple", "timeout": 300, "jobs": own}).status == 200
    messages = [decode(fields[b"msg"]) for _, fields in asynq(client, "simple.default")]
    assert [(m["payload"], m["timeout"]) for m in messages] == [
        (b"0", 300),
        (b"1", 5),
        (b"2", 300),
        (b"3", 5),
        (b"4", 30),
        (b"5", 30),
        (b"6", 300),
    ]


def test_options_of_tasks_hold_for_all(server: Server, start: Start, client: Any) -> None:
    gateway = start(server.url, "--layout", "asynq", "--type", "mail", "--max-retry", "7", "--retention", "1h")
    gateway.add("simple", 1)
    ((_, fields),) = asynq(client, "simple.default")
    message = decode(fields[b"msg"])
    assert (message["type"], message["retry"], message["retention"]) == ("mail", 7, 3600)
    assert fields[b"ttl_completed"] == b"3600" and b"active_timeout" not in fields


def test_zero_turns_off_the_limits_of_runqys_workers(server: Server, start: Start, client: Any) -> None:
    gateway = start(server.url, "--layout", "asynq", "--task-timeout", "0", "--retention", "0")
    gateway.add("simple", 1)
    gateway.add("simple", 2, timeout=5)
    found = [fields for _, fields in asynq(client, "simple.default")]
    assert [(own[b"active_timeout"], own[b"ttl_completed"]) for own in found] == [(b"0", b"0"), (b"5", b"0")]


def test_workers_of_asynq_need_no_fields_of_runqys(server: Server, start: Start, client: Any) -> None:
    client.sadd("asynq:queues", "mails")
    plain = ("--layout", "asynq", "--profile", "asynq", "--type", "mail", "--task-timeout", "9")
    gateway = start(server.url, *plain, "--queue-check", "redis")
    gateway.add("mails", 1, timeout=5)
    ((_, fields),) = asynq(client, "mails")
    assert set(fields) == {b"msg", b"state", b"pending_since"} and decode(fields[b"msg"])["timeout"] == 5


def test_plain_asynq_has_no_sub_queues(server: Server, start: Start, client: Any) -> None:
    client.sadd("asynq:queues", "mails")
    gateway = start(
        *(server.url, "--layout", "asynq", "--profile", "asynq", "--type", "mail"), "--queue-check", "redis"
    )
    task_id = gateway.add("mails", 1)
    assert [found for found, _ in asynq(client, "mails")] == [task_id]
    for each in (gateway, start(*(server.url, "--layout", "asynq", "--profile", "asynq"), "--type", "mail")):
        assert each.get(f"/queue/{task_id}").json["info"]["queue"] == "mails"
    assert gateway.post(ADD, {"queue": "others", "data": 1}).errors == ["queue not found: others"]


# --- queues ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("inference", "inference.default"),
        ("simple", "simple.default"),
        ("inference.premium", "inference.premium"),
        ("simple.default", "simple.default"),
    ],
)
def test_a_queue_without_sub_queue_is_its_default(
    server: Server, start: Start, client: Any, given: str, full: str
) -> None:
    gateway = start(server.url)
    assert gateway.post(ADD, {"queue": given, "data": 1}).json["info"]["queue"] == full
    gateway.add_batch(given, [2])
    assert client.llen(f"asynq:{full}:pending") == 2


def test_an_unknown_queue_is_404_and_leaves_nothing(gateway: Gateway, client: Any) -> None:
    for name, full in (("nope", "nope.default"), ("inference.nope", "inference.nope"), ("simple.x", "simple.x")):
        for path, more in ((ADD, {"data": 1}), (BATCH, {"jobs": [{"data": 1}]})):
            reply = gateway.post(path, {"queue": name, **more})
            assert (reply.status, reply.errors) == (404, [f"queue not found: {full}"])
    assert client.keys("*") == []


def test_a_queue_that_appears_on_the_server_is_found(server: Server, start: Start, client: Any) -> None:
    gateway = start(server.url, "--queue-check", "redis")
    assert gateway.post(ADD, {"queue": "late", "data": 1}).status == 404
    client.sadd("asynq:queues", "late.default")
    deadline = time.monotonic() + 30
    while gateway.post(ADD, {"queue": "late", "data": 1}).status == 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.llen("asynq:late.default:pending") == 1


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ADD, BATCH, "/queue/some-id"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY},another"]
)
def test_without_a_right_key_is_401(valkey: Server, start: Start, path: str, header: str | None) -> None:
    gateway = start(valkey.url)
    method = "POST" if path != "/queue/some-id" else "GET"
    sent = {} if header is None else {"Authorization": header}
    reply = gateway.ask(method, path, b'{"queue":"simple","data":1}', key=None, headers=sent)
    assert (reply.status, reply.errors) == (401, ["access unauthorized"])
    assert reply.headers["www-authenticate"] == "Bearer"


def test_each_of_several_keys_is_right(gateway: Gateway) -> None:
    for key in (KEY, "another"):
        assert gateway.post(ADD, {"queue": "simple", "data": 1}, key=key).status == 200


BAD_BODIES = [
    b"",
    b"{",
    b"nonsense",
    b"[]",
    b'"text"',
    b"null",
    b'{"queue": "simple", "jobs": [{"data": 1}], "data": 1',
    b'{"queue": "simple", "data": "\xff", "jobs": [{"data": "\xff"}]}',
    b'{"queue": "simple", "data": "\\ud800", "jobs": [{"data": "\\ud800"}]}',
    b'{"queue": "simple", "data": 01, "jobs": [{"data": 01}]}',
    b'{"queue": "simple", "data": NaN, "jobs": [{"data": NaN}]}',
    b'{"queue": "simple", "data": 1, "jobs": [{"data": 1}]} {}',
    b'{"data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": null, "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": 7, "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "", "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "a.b.c", "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "a{b}", "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "simple", "timeout": -1, "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "simple", "timeout": "5m", "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "simple", "timeout": 99999999999, "data": 1, "jobs": [{"data": 1}]}',
    b'{"queue": "simple", "data": %b1%b, "jobs": [{"data": %b1%b}]}' % ((b"[" * 5000, b"]" * 5000) * 2),
]


@pytest.mark.parametrize("path", [ADD, BATCH])
def test_a_bad_body_is_400_and_leaves_nothing(valkey: Server, start: Start, path: str) -> None:
    gateway = start(valkey.url)
    for body in BAD_BODIES:
        reply = gateway.ask("POST", path, body)
        assert reply.status == 400, (body[:80], reply)
        assert len(reply.errors) == 1
    with valkey.client() as client:
        assert client.keys("*") == []


@pytest.mark.parametrize(
    "jobs", ["[]", "null", "{}", "[1]", '["a"]', "[null]", '[{"data": 1}, []]', '[{"timeout": -1}]']
)
def test_bad_jobs_are_400(valkey: Server, start: Start, jobs: str) -> None:
    reply = start(valkey.url).ask("POST", BATCH, b'{"queue": "simple", "jobs": %b}' % jobs.encode())
    assert reply.status == 400
    if jobs == "[]":
        assert reply.errors == ["jobs array cannot be empty"]


def test_a_body_over_the_limit_is_413(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-body-bytes", "1000")
    body = b'{"queue":"simple","data":"%b"}'
    assert gateway.ask("POST", ADD, body % (b"x" * (1000 - len(body) + 2))).status == 200
    kept = gateway.connect()
    for size in (999, 3000, 100_000):
        reply = gateway.ask("POST", ADD, body % (b"x" * size), over=kept)
        assert (reply.status, reply.errors) == (413, ["the body is too long: at most 1000 bytes"])
    assert gateway.ask("POST", ADD, body % b"x", over=kept).status == 200  # over the same, or a new connection
    kept.close()


def test_a_chunked_body_over_the_limit_is_413(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-body-bytes", "1000")
    connection = gateway.connect()
    connection.request("POST", ADD, iter([b"x" * 600] * 2), {"Authorization": f"Bearer {KEY}"}, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()


def test_more_jobs_than_the_limit_are_413(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-jobs", "3")
    assert gateway.post(BATCH, {"queue": "simple", "jobs": [{"data": 1}] * 3}).status == 200
    reply = gateway.post(BATCH, {"queue": "simple", "jobs": [{"data": 1}] * 4})
    assert (reply.status, reply.errors) == (413, ["the jobs are too many: at most 3 a request"])


def test_other_paths_and_methods(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    for path in ("/", "/queue", "/queue/", "/queues/add", "/healthz/x"):
        assert (gateway.get(path).status, gateway.get(path).errors) == (404, ["not found"])
    for method, path, allowed in (
        ("GET", ADD, "POST"),
        ("PUT", BATCH, "POST"),
        ("POST", "/queue/some-id", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ):
        reply = gateway.ask(method, path)
        assert (reply.status, reply.headers["allow"]) == (405, allowed)
        assert reply.errors == ["method not allowed"]
    head = gateway.ask("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")
