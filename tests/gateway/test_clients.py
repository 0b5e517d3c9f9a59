"""Clients that are not ours, as they are: runqy's Python SDK, and the guide's curl and Node.js examples."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runqy_python
from runqy_python import AuthenticationError, RunqyClient, RunqyError, TaskNotFoundError

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway, asynq, documented
from tests.interop.installing import tool
from tests.unit.task_message_oracle import encode


@pytest.fixture(params=["documented", "asynq"])
def layout(request: pytest.FixtureRequest) -> str:
    """Each layout in turn."""
    found: str = request.param
    return found


@pytest.fixture
def served(valkey: Server, start: Start, layout: str) -> Gateway:
    return start(valkey.url, "--layout", layout)


@pytest.fixture
def sdk(served: Gateway) -> RunqyClient:
    return RunqyClient(served.url, api_key=KEY)


@pytest.fixture
def client(valkey: Server) -> Any:
    return valkey.client()


def stored(client: Any, layout: str, queue: str) -> list[str]:
    return [task_id for task_id, _ in (documented if layout == "documented" else asynq)(client, queue)]


# --- runqy-python ---------------------------------------------------------------------------------------------------


def test_the_sdk_enqueues_a_task(sdk: RunqyClient, client: Any, layout: str) -> None:
    task = sdk.enqueue("inference", {"input": "hello"})
    assert (task.queue, task.state, task.payload) == ("inference.default", "pending", {"input": "hello"})
    assert stored(client, layout, "inference.default") == [task.task_id]


def test_the_sdk_enqueues_a_batch(sdk: RunqyClient, client: Any, layout: str) -> None:
    result = sdk.enqueue_batch("inference.default", [{"prompt": f"Generate image {i}"} for i in range(1000)])
    assert (result.enqueued, result.failed, result.errors) == (1000, 0, [])
    assert stored(client, layout, "inference.default") == result.task_ids


def test_the_sdk_reads_a_task_and_its_result(sdk: RunqyClient, client: Any, layout: str) -> None:
    payload = {"input": "é", "n": 1.5}
    sent = sdk.enqueue("simple", payload)
    found = sdk.get_task(sent.task_id)
    assert (found.task_id, found.queue, found.state) == (sent.task_id, "simple.default", "pending")
    assert (found.payload, found.result, found.error) == (payload, "", "")  # as from runqy's server

    if layout == "documented":
        client.set(f"asynq:result:{sent.task_id}", json.dumps({"answer": [1, "two"]}))
    else:
        client.hset(f"asynq:{{simple.default}}:t:{sent.task_id}", "state", "completed")
        client.hset(f"asynq:{{simple.default}}:t:{sent.task_id}", "result", json.dumps({"answer": [1, "two"]}))
    found = sdk.get_task(sent.task_id)
    assert (found.state, found.result) == ("completed", {"answer": [1, "two"]})


@pytest.mark.parametrize("layout", ["asynq"])
def test_the_sdk_reads_why_a_task_failed(sdk: RunqyClient, client: Any) -> None:
    task_id = sdk.enqueue("simple", {}).task_id
    message = encode(type="simple.default", id=task_id, queue="simple.default", retry=3, retried=3, error_msg="boom")
    client.hset(f"asynq:{{simple.default}}:t:{task_id}", mapping={"state": "archived", "msg": message})
    found = sdk.get_task(task_id)
    assert (found.state, found.error) == ("archived", "boom")


def test_the_sdks_functions_do_the_same(served: Gateway, client: Any, layout: str) -> None:
    task = runqy_python.enqueue("simple", {"n": 1}, server_url=served.url, api_key=KEY)
    batch = runqy_python.enqueue_batch("simple", [{"n": 2}, {"n": 3}], server_url=served.url, api_key=KEY)
    assert stored(client, layout, "simple.default") == [task.task_id, *batch.task_ids]


def test_the_sdk_understands_refusals(served: Gateway, sdk: RunqyClient) -> None:
    wrong = RunqyClient(served.url, api_key="wrong")
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (wrong.enqueue, ("simple", {})),
        (wrong.enqueue_batch, ("simple", [{}])),
        (wrong.get_task, ("x",)),
    ]
    for call, arguments in calls:
        with pytest.raises(AuthenticationError, match="access unauthorized"):
            call(*arguments)
    calls = [(sdk.enqueue, ("nope", {})), (sdk.enqueue_batch, ("nope", [{}]))]
    for call, arguments in calls:
        with pytest.raises(TaskNotFoundError, match=r"queue not found: nope\.default"):
            call(*arguments)
    with pytest.raises(TaskNotFoundError, match="task not found"):
        sdk.get_task("00000000-0000-4000-8000-000000000000")
    with pytest.raises(RunqyError, match=r"HTTP 400: .*jobs array cannot be empty"):
        sdk.enqueue_batch("simple", [])


def test_the_sdk_is_the_published_one() -> None:
    """Nothing of it is changed, or stands in for it."""
    assert runqy_python.__file__ is not None
    assert Path(runqy_python.__file__).is_relative_to(Path(sys.prefix))


# --- the guide's examples -------------------------------------------------------------------------------------------


def test_the_guides_curl_example(served: Gateway, client: Any, layout: str) -> None:
    done = subprocess.run(
        [
            *(tool("curl", "the guide's cURL example"), "-sS", "-X", "POST", f"{served.url}/queue/add-batch"),
            *("-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"),
            "-d",
            """{
    "queue": "inference.default",
    "jobs": [
      {"data": {"prompt": "Hello"}},
      {"data": {"prompt": "World"}}
    ]
  }""",
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["enqueued"] == 2
    assert stored(client, layout, "inference.default") == answer["task_ids"]


NODE = """
const response = await fetch(process.argv[2] + '/queue/add-batch', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer ' + process.argv[3],
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({
    queue: 'inference.default',
    jobs: [
      { data: { prompt: 'Hello' } },
      { data: { prompt: 'World' } },
    ],
  }),
});

const result = await response.json();
console.log(`Enqueued: ${result.enqueued}`);
"""


def test_the_guides_node_example(served: Gateway, client: Any, layout: str, tmp_path: Path) -> None:
    program = tmp_path / "enqueue.mjs"
    program.write_text(NODE)
    done = subprocess.run(
        [tool("node", "the guide's Node.js example"), str(program), served.url, KEY],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.decode()) == (0, "Enqueued: 2\n"), done.stderr.decode()
    assert len(stored(client, layout, "inference.default")) == 2


def test_curl_sends_a_large_body(served: Gateway, client: Any, layout: str, tmp_path: Path) -> None:
    """curl asks first whether it may (Expect: 100-continue) with bodies over a megabyte."""
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"queue": "simple", "jobs": [{"data": "x" * 5000}] * 500}))
    done = subprocess.run(
        [
            *(tool("curl", "a large body of curl's"), "-sS", f"{served.url}/queue/add-batch"),
            *("-H", f"Authorization: Bearer {KEY}", "-d", f"@{body}"),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["enqueued"] == 500
    assert len(stored(client, layout, "simple.default")) == 500
