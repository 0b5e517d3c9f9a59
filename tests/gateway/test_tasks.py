"""``GET /queue/{id}``: a task's state and result, at once or once it has ended."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, KEY_ENV, Gateway
from tests.unit.task_message_oracle import encode


def info(gateway: Gateway, task_id: str, query: str = "") -> dict[str, Any]:
    reply = gateway.get(f"/queue/{task_id}{query}")
    assert reply.status == 200, reply
    found: dict[str, Any] = reply.json["info"]
    return found


def test_a_documented_task(gateway: Gateway, client: Any) -> None:
    task_id = gateway.add("inference.premium", {"n": 1})
    expected = {
        "id": task_id,
        "queue": "inference.premium",
        "state": "pending",
        "type": "task",
        "max_retry": 3,
        "retried": 0,
        "payload": '{"n": 1}',
    }
    assert info(gateway, task_id) == expected
    client.set(f"asynq:result:{task_id}", '{"answer": 42}')
    assert info(gateway, task_id) == {**expected, "state": "completed", "result": '{"answer": 42}'}
    client.delete(f"asynq:t:{task_id}")
    assert info(gateway, task_id) == {"id": task_id, "queue": "", "state": "completed", "result": '{"answer": 42}'}


def test_an_asynq_task(asynq_gateway: Gateway, client: Any) -> None:
    task_id = asynq_gateway.add("simple", {"n": 1})
    key = f"asynq:{{simple.default}}:t:{task_id}"
    expected = {
        "id": task_id,
        "queue": "simple.default",
        "state": "pending",
        "type": "simple.default",
        "max_retry": 3,
        "retried": 0,
        "payload": '{"n": 1}',
    }
    assert info(asynq_gateway, task_id) == expected
    client.hset(key, "state", "active")
    assert info(asynq_gateway, task_id) == {**expected, "state": "active"}
    message = encode(type="t", payload=b"\xff", id=task_id, retry=5, retried=2, error_msg="boom", last_failed_at=10)
    client.hset(key, mapping={"state": "retry", "msg": message})
    assert info(asynq_gateway, task_id) == {
        "id": task_id,
        "queue": "simple.default",
        "state": "retry",
        "type": "t",
        "max_retry": 5,
        "retried": 2,
        "payload_base64": base64.b64encode(b"\xff").decode(),
        "last_err": "boom",
        "last_failed_at": "1970-01-01T00:00:10Z",
    }
    client.hset(key, mapping={"state": "completed", "result": "[1]", "msg": encode(completed_at=20)})
    found = info(asynq_gateway, task_id)
    assert (found["state"], found["result"], found["completed_at"]) == ("completed", "[1]", "1970-01-01T00:00:20Z")


def test_fields_without_a_message_are_read_as_the_worker_does(asynq_gateway: Gateway, client: Any) -> None:
    client.hset("asynq:t:other", "queue", "simple.default")
    client.hset("asynq:{simple.default}:t:other", mapping={"type": "t", "payload": "1", "max_retry": "4"})
    expected = {"queue": "simple.default", "state": "pending", "type": "t", "max_retry": 4, "payload": "1"}
    assert info(asynq_gateway, "other") == {"id": "other", **expected}


def test_without_its_look_up_key_a_task_is_unknown_as_to_the_runqy_server(asynq_gateway: Gateway, client: Any) -> None:
    task_id = asynq_gateway.add("inference.premium", 1)
    client.delete(f"asynq:t:{task_id}")
    assert asynq_gateway.get(f"/queue/{task_id}").errors == ["task not found"]


def test_plain_asynq_has_no_look_up_so_a_bounded_number_of_queues_is_searched(valkey: Server, tmp_path: Path) -> None:
    options = ("--layout", "asynq", "--profile", "asynq", "--type", "t")
    with (
        Gateway("--redis", valkey.url, "--api-key-env", KEY_ENV, *options, cwd=tmp_path) as gateway,
        valkey.client() as client,
    ):
        client.sadd("asynq:queues", *(f"queue-{n}" for n in range(500)))
        client.hset("asynq:{queue-7}:t:known", mapping={"state": "pending", "type": "t", "payload": "1"})
        assert info(gateway, "known")["queue"] == "queue-7"
        assert gateway.get("/queue/unknown").errors == ["task not found"]
        client.sadd("asynq:queues", *(f"queue-{n}" for n in range(5000)))
        (error,) = gateway.get("/queue/unknown").errors
        assert error.startswith("task not found in 1,000 queues; there are more")
        client.config_resetstat()
        waiting = gateway.connect()
        waiting.request("GET", "/queue/known?wait=true", headers={"Authorization": f"Bearer {KEY}"})
        deadline = time.monotonic() + 60
        while client.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0) < 5:  # looked up five times
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client.hset("asynq:{queue-7}:t:known", "state", "completed")
        assert waiting.getresponse().status == 200
        waiting.close()
        assert client.info("commandstats")["cmdstat_hgetall"]["calls"] < 100  # in the queue where it was found before


def test_an_unknown_task_is_404(server: Server, start: Start, client: Any) -> None:
    client.set("asynq:t:text", "of another type")
    client.hset("asynq:t:lost", "queue", "simple.default")
    for layout, ids in (("documented", ("none", "text")), ("asynq", ("none", "text", "lost"))):
        gateway = start(server.url, "--layout", layout)
        for task_id in (*ids, "a%20b", "%00", "%ff", "%2e%2e"):
            for query in ("", "?wait=true", "?wait=false", "?other=1"):
                reply = gateway.get(f"/queue/{task_id}{query}")
                assert (reply.status, reply.errors) == (404, ["task not found"]), (layout, task_id, query)


def test_waiting_is_true_or_false(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    for query in ("?wait=", "?wait", "?wait=1", "?wait=TRUE", "?wait=true&wait=true"):
        assert gateway.get(f"/queue/x{query}").status == 400


def test_waiting_ends_with_the_result(gateway: Gateway, client: Any) -> None:
    ids = [gateway.add("simple", n) for n in range(20)]
    with ThreadPoolExecutor(60) as pool:
        # Some wait for the same task.
        waiting = [(i, pool.submit(info, gateway, i, "?wait=true")) for i in ids * 3]
        time.sleep(0.3)  # not needed for the outcome: most of them really wait then
        for number, task_id in enumerate(ids):
            client.set(f"asynq:result:{task_id}", json.dumps(number))
        for task_id, answer in waiting:
            found = answer.result(60)
            assert (found["id"], found["state"], found["result"]) == (task_id, "completed", str(ids.index(task_id)))
    assert info(gateway, ids[0], "?wait=true")["state"] == "completed"  # it has ended before


def test_waiting_ends_with_a_failure(asynq_gateway: Gateway, client: Any) -> None:
    task_id = asynq_gateway.add("simple", 1)
    key = f"asynq:{{simple.default}}:t:{task_id}"
    threading.Timer(0.3, lambda: client.hset(key, "state", "archived")).start()
    assert info(asynq_gateway, task_id, "?wait=true")["state"] == "archived"


def test_waiting_ends_where_the_task_goes(gateway: Gateway, client: Any) -> None:
    task_id = gateway.add("simple", 1)
    threading.Timer(0.3, lambda: client.delete(f"asynq:t:{task_id}")).start()
    assert gateway.get(f"/queue/{task_id}?wait=true").status == 404


def test_waiting_is_bounded(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--wait-timeout", "0.3")
    reply = gateway.get(f"/queue/{gateway.add('simple', 1)}?wait=true")
    assert (reply.status, reply.errors) == (408, ["timeout waiting for task result"])


def test_so_many_may_wait(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-waiting", "2")
    task_id = gateway.add("simple", 1)
    kept = [gateway.connect() for _ in range(2)]
    for connection in kept:
        connection.request("GET", f"/queue/{task_id}?wait=true", headers={"Authorization": f"Bearer {KEY}"})
    until_waiting(gateway, 2)
    reply = gateway.get(f"/queue/{task_id}?wait=true")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert gateway.get(f"/queue/{task_id}").status == 200
    kept[0].close()  # who has gone waits no more
    until_waiting(gateway, 1)
    kept[1].close()


def until_waiting(gateway: Gateway, count: int) -> None:
    deadline = time.monotonic() + 30
    while f"runqy_loader_http_requests_waiting {count}.0" not in gateway.get("/metrics").body.decode():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_worker_notes_beside_the_message_is_its_error(asynq_gateway: Gateway, client: Any) -> None:
    task_id = asynq_gateway.add("simple", {"n": 1})
    key = f"asynq:{{simple.default}}:t:{task_id}"
    client.hset(key, mapping={"state": "archived", "last_err": "out of memory"})
    assert info(asynq_gateway, task_id)["last_err"] == "out of memory"


def test_a_task_is_found_at_once_in_a_queue_that_is_new(valkey: Server, tmp_path: Path) -> None:
    options = ("--layout", "asynq", "--profile", "asynq", "--type", "t")
    with Gateway("--redis", valkey.url, "--api-key-env", KEY_ENV, *options, cwd=tmp_path) as gateway:
        assert gateway.get("/queue/nothing").status == 404  # by now it has asked for the queues that there are
        task_id = gateway.add("new", {"n": 1})
        assert info(gateway, task_id)["queue"] == "new"


def test_numbers_that_json_cannot_hold_are_left_out(gateway: Gateway, client: Any) -> None:
    task_id = gateway.add("inference.premium", {"n": 1})
    for number in ("9" * 30, "9" * 5000, "-1", "many"):
        client.hset(f"asynq:t:{task_id}", mapping={"retry": number, "max_retry": number})
        assert {"retried", "max_retry"}.isdisjoint(info(gateway, task_id))
    client.hset(f"asynq:t:{task_id}", mapping={"retry": "7", "max_retry": "9" * 18})
    assert (info(gateway, task_id)["retried"], info(gateway, task_id)["max_retry"]) == (7, 10**18 - 1)
