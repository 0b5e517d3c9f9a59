"""The command ``runqy-loader serve``: its options, what it refuses to start with, and what it says."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server, free_port
from tests.consumers import asynq_server, runqy_worker, server_info
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster


def refused(*arguments: str | Path, cwd: Path, status: int = 2, env: dict[str, str] | None = None) -> str:
    """Starts a gateway that refuses; its one line."""
    port = () if "--port" in arguments else ("--port", "0")
    outcome = run("serve", *port, *arguments, cwd=cwd, env=env)
    assert outcome.status == status, outcome
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("runqy-loader: error: ")
    return line


def test_it_asks_for_keys_unless_told_not_to(valkey: Server, tmp_path: Path) -> None:
    assert "Put it into RUNQY_API_KEY, or say --no-auth" in refused("--redis", valkey.url, cwd=tmp_path)
    with Gateway("--redis", valkey.url, "--no-auth", cwd=tmp_path) as gateway:
        assert gateway.post("/queue/add", {"queue": "any", "data": 1}, key=None).status == 200
        assert "no API key is required" in gateway.serving
        assert "securitySchemes" not in gateway.get("/openapi.json", key=None).json["components"]


def test_keys_are_taken_from_the_variable_that_load_takes_its_key_from(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNQY_API_KEY", "one, two")
    with Gateway("--redis", valkey.url, cwd=tmp_path) as gateway:
        for key, status in (("one", 200), ("two", 200), ("three", 401), (None, 401)):
            assert gateway.post("/queue/add", {"queue": "any", "data": 1}, key=key).status == status


@pytest.mark.parametrize("value", [None, "", " , "])
def test_a_variable_without_a_key_is_refused(valkey: Server, tmp_path: Path, value: str | None) -> None:
    env = {} if value is None else {"NO_KEY": value}
    assert "NO_KEY holds no API key" in refused("--redis", valkey.url, "--api-key-env", "NO_KEY", cwd=tmp_path, env=env)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--no-auth", "--api-key-env", "X"), "contradict"),
        (("--no-auth", "--cors-origin", "https://example.com/"), "is not an origin. Give it as browsers send it"),
        (("--no-auth", "--cors-origin", "example.com"), "is not an origin"),
        (("--no-auth", "--port", "70000"), "--port must be between 0 and 65535"),
        (("--no-auth", "--max-jobs", "0"), "--max-jobs must be at least 1"),
        (("--no-auth", "--timeout", "0"), "--timeout must be above 0"),
        (("--no-auth", "--max-buffered-bytes", "10"), "must not be below --max-body-bytes"),
        (("--no-auth", "--idempotency-ttl", "soon"), "--idempotency-ttl: 'soon' is no duration"),
        (("--no-auth", "--redis", "embedded"), "--redis embedded is for load only"),
        (("--no-auth", "--layout", "documented", "--profile", "asynq"), "--profile asynq needs --layout asynq"),
        (("--no-auth", "--profile", "asynq"), "--profile asynq needs --type"),
        (("--no-auth", "--layout", "documented", "--task-timeout", "3"), "--task-timeout needs --layout asynq"),
        (("--no-auth", "--queues-file", "missing.yaml"), "missing.yaml: No such file"),
        (("--no-auth", "--redis", "http://x"), "--redis is not a usable URL"),
        (("--no-auth", "--quiet", "--verbose"), "contradict"),
        (("--no-auth", "--host", "256.1.1.1"), "cannot listen at 256.1.1.1"),
        (("--no-auth", "--host", "a" * 64), "--host: a part of the host's name is empty or too long"),
    ],
)
def test_unusable_options_are_refused_in_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments, cwd=tmp_path)


def test_a_taken_port_and_an_absent_redis_are_told(valkey: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in refused("--no-auth", "--redis", valkey.url, "--port", port, cwd=tmp_path)
    url = f"redis://127.0.0.1:{free_port()}/0"
    assert "connection refused" in refused("--no-auth", "--redis", url, cwd=tmp_path, status=1)


def test_a_server_whose_workers_read_the_other_layout_is_refused(valkey: Server, tmp_path: Path) -> None:
    usual = ("--no-auth", "--redis", valkey.url)
    with valkey.client() as client:
        key = "asynq:servers:{host:1:5f7c}"
        client.zadd("asynq:servers", {key: time.time() + 3600})
        client.set(key, server_info("inference.default"))
    said = refused(*usual, "--layout", "documented", cwd=tmp_path, status=1)
    assert "never see documented tasks" in said
    assert "Use --layout asynq" in said
    for arguments in (("--layout", "documented", "--force-layout"), ("--layout", "asynq")):
        with Gateway(*usual, *arguments, cwd=tmp_path) as gateway:
            assert gateway.post("/queue/add", {"queue": "inference", "data": 1}).status == 200


@pytest.mark.parametrize("old", [False, True], ids=["asynq", "documented"])
def test_the_layout_of_the_workers_is_chosen_and_tasks_are_read_back_in_it(
    valkey: Server, tmp_path: Path, old: bool
) -> None:
    with valkey.client() as client:
        runqy_worker(client, "inference.default", old=old)
        layout = "documented" if old else "asynq"
        with Gateway("--no-auth", "--redis", valkey.url, cwd=tmp_path) as gateway:
            assert f"serving {layout} tasks" in gateway.serving
            task_id = gateway.post("/queue/add", {"queue": "inference", "data": 1}).json["info"]["id"]
            assert gateway.get(f"/queue/{task_id}").json["info"]["queue"] == "inference.default"
        assert client.llen("asynq:inference.default:pending" if old else "asynq:{inference.default}:pending") == 1


def test_no_layout_is_chosen_where_workers_of_both_run(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        asynq_server(client, "inference.default")
        client.delete("asynq:workers")
        runqy_worker(client, "simple.default", old=True)

    said = refused("--no-auth", "--redis", valkey.url, cwd=tmp_path, status=1)

    assert "the layout cannot be chosen" in said
    assert "--layout asynq or --layout documented" in said


def test_an_option_of_the_asynq_layout_chooses_it(valkey: Server, tmp_path: Path) -> None:
    with Gateway("--no-auth", "--redis", valkey.url, "--task-timeout", "5m", cwd=tmp_path) as gateway:
        assert "serving asynq tasks" in gateway.serving


def test_a_cluster_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    assert "is a Redis Cluster" in refused("--no-auth", "--redis", cluster.url, cwd=tmp_path)


def test_options_come_from_a_file_and_the_environment(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(f'[serve]\nredis = "{valkey.url}"\nno_auth = true\nmax_jobs = 5\n')
    with Gateway("--config", "gateway.toml", cwd=tmp_path, env={"RUNQY_LOADER_LAYOUT": "asynq"}) as gateway:
        assert "serving asynq tasks" in gateway.serving
        document = gateway.get("/openapi.json").json
        assert document["components"]["schemas"]["AddBatchRequest"]["properties"]["jobs"]["maxItems"] == 5


def test_help_needs_nothing_of_the_gateways(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom loader.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print(*(name for name in ('uvicorn', 'prometheus_client', 'asyncio', 'hiredis') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "serve" in done.stdout
    assert done.stdout.splitlines()[-1] == ""


def test_no_secret_is_ever_written(valkey: Server, start: Start, tmp_path: Path) -> None:
    url = f"redis://default:password-of-redis@127.0.0.1:{valkey.port}/0"
    with valkey.client() as client:
        client.config_set("requirepass", "password-of-redis")
        try:
            gateway = start(url, "--verbose")
            gateway.add("simple", {"secret": "of-the-payload"})
            gateway.get("/queue/x", key="wrong-key-of-somebody")
            gateway.ask("POST", "/queue/add", b"{bad-body", headers={"Idempotency-Key": "idempotency-secret"})
            with socket.create_connection(("127.0.0.1", gateway.port)) as rude:
                rude.sendall(f"NONSENSE\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
                rude.recv(1000)
            shown = gateway.get("/metrics").body.decode() + gateway.get("/docs").body.decode()
            client.client_kill_filter(_type="normal", skipme=True)
            outcome: Outcome = gateway.stop()
        finally:
            with valkey_client(valkey) as again:
                again.config_set("requirepass", "")
    said = outcome.stdout + outcome.stderr + shown
    for secret in (KEY, "password-of-redis", "of-the-payload", "wrong-key", "idempotency-secret", "bad-body"):
        assert secret not in said


def valkey_client(valkey: Server) -> Any:
    import redis

    return redis.Redis(port=valkey.port, password="password-of-redis")
