"""What a server does not have: commands that are renamed or disabled, databases of a cluster, reachable addresses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server, free_port
from tests.faults.helpers import until

MakeServer = Callable[..., RedisServer]


def load(url: str, folder: Path, *more: str) -> Outcome:
    (folder / "in.jsonl").write_text('{"secret":1}\n2\n3\n')
    return run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", *more, cwd=folder)


def findings(url: str) -> dict[str, Any]:
    done = run("doctor", "-q", "q", "--redis", url, "--json", cwd=Path.cwd())
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


def only_error(outcome: Outcome) -> str:
    (line,) = outcome.stderr.splitlines()
    assert outcome.status in (1, 2)
    return line


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_name", ["", "hidden"], ids=["disabled", "renamed"])
@pytest.mark.parametrize("command", ["EVAL", "HSET", "LPUSH", "GETBIT"])
def test_a_command_that_the_server_lacks_is_named_before_anything_is_written(
    redis_server: MakeServer, tmp_path: Path, command: str, new_name: str
) -> None:
    server = redis_server("--rename-command", command, new_name).start()

    found = findings(server.url)
    line = only_error(load(server.url, tmp_path))

    with server.client() as client:
        assert client.keys() == []
    text = f"the server has no command {command} (renamed or disabled)"
    assert found["commands"]["level"] == "error"
    assert found["commands"]["text"] == text
    assert found["rights"]["level"] == "ok"
    assert text in line
    assert "rename-command" in line
    assert "ACL" not in line


@pytest.mark.parametrize("command", ["EVAL", "HSET", "LPUSH", "GETBIT"])
def test_a_server_that_tells_nothing_beforehand_has_the_command_named_when_it_is_missed(
    redis_server: MakeServer, tmp_path: Path, command: str
) -> None:
    server = redis_server("--rename-command", command, "", "--rename-command", "ACL", "").start()

    line = only_error(load(server.url, tmp_path))

    named = "that a script calls" if command in ("LPUSH", "GETBIT") else command
    assert f"the server has no command {named} (renamed or disabled)" in line
    assert "secret" not in line


def test_a_command_that_a_load_can_do_without_is_only_told_by_doctor(redis_server: MakeServer, tmp_path: Path) -> None:
    server = redis_server("--rename-command", "CLIENT", "").start()

    found = findings(server.url)
    done = load(server.url, tmp_path)

    assert found["optional"]["level"] == "warning"
    assert found["optional"]["text"].startswith("the server has no command CLIENT (renamed or disabled)")
    assert (done.status, done.stderr) == (0, "")


# --- a cluster --------------------------------------------------------------------------------------------------------


@pytest.fixture
def node(redis_server: MakeServer) -> Server:
    """A cluster of one node, which serves all slots."""
    bus = free_port()
    node = redis_server("--cluster-enabled", "yes", "--cluster-port", str(bus)).start()
    with node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    return node


@pytest.mark.parametrize("database", [1, 3])
def test_a_database_number_in_a_cluster_is_told_with_the_one_to_use(
    node: Server, tmp_path: Path, database: int
) -> None:
    line = only_error(load(f"redis://127.0.0.1:{node.port}/{database}", tmp_path))

    assert "a Redis Cluster has only database 0. Use /0 at the end of the URL" in line


def test_a_cluster_of_one_node_is_a_cluster(node: Server) -> None:
    with node.client() as client:
        until(lambda: client.cluster("info")["cluster_state"] == "ok", "the cluster is up")

    done = run("doctor", "-q", "q", "--redis", node.url, cwd=Path())

    assert "cluster      a cluster of 1 primaries" in done.stdout


def test_an_address_that_cannot_be_reached_is_named_with_the_node_that_announces_it(
    node: Server, tmp_path: Path
) -> None:
    elsewhere = free_port()
    with node.client() as client:
        client.config_set("cluster-announce-ip", "127.0.0.2")
        client.config_set("cluster-announce-port", elsewhere)

    line = only_error(load(node.url, tmp_path, "--retry-for", "3"))
    found = findings(node.url)["reachable"]

    for text in (line, f"{found['text']}. {found['hint']}"):
        assert f"127.0.0.2:{elsewhere}: connection refused" in text
        assert f"the address that 127.0.0.1:{node.port} announces for it" in text
        assert "cluster-announce-ip" in text
        assert "--redis" not in text, "the address in --redis is right"


def test_a_node_that_announces_no_name_is_told(node: Server, tmp_path: Path) -> None:
    with node.client() as client:
        client.config_set("cluster-preferred-endpoint-type", "hostname")

    line = only_error(load(node.url, tmp_path))

    assert "a node that announces no address" in line
    assert "cluster-announce-hostname" in line


def test_a_node_whose_address_each_client_knows_by_itself_is_reached(node: Server, tmp_path: Path) -> None:
    with node.client() as client:
        client.config_set("cluster-preferred-endpoint-type", "unknown-endpoint")

    done = load(node.url, tmp_path)

    assert (done.status, done.stderr) == (0, "")
