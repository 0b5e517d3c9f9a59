"""``doctor``, and the same checks before a load: server, role, memory, persistence, and how it is told."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, command, environment, run
from tests.conftest import RedisServer, Server, free_port
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster

Redis = Any
MakeServer = Callable[..., RedisServer]
NAMES = [
    "reachable", "version", "role", "cluster", "memory", "persistence", "replication", "disk", "clock", "rights",
    "layout", "compact",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tool:
    """``doctor`` and ``load`` in a folder with an input of three records."""

    folder: Path

    def doctor(self, url: str, *arguments: str) -> dict[str, dict[str, Any]]:
        """The findings by name; the exit status is what they say."""
        done = run("doctor", "--redis", url, "--json", *arguments, cwd=self.folder)
        assert done.stderr == ""
        report = json.loads(done.stdout)
        findings = {finding["name"]: finding for finding in report["findings"]}
        assert len(findings) == len(report["findings"])
        errors = [finding for finding in findings.values() if finding["level"] == "error"]
        assert done.status == (1 if errors else 0)
        assert (report["level"] == "error") is bool(errors)
        return findings

    def load(self, url: str, *arguments: str, quiet: bool = True) -> Outcome:
        how = ("--quiet",) if quiet else ()
        return run("load", "in.jsonl", "-q", "q", "--redis", url, "--report", "-", *how, *arguments, cwd=self.folder)


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    (tmp_path / "in.jsonl").write_bytes(b"1\n2\n3\n")
    return Tool(tmp_path)


def one_error(done: Outcome) -> str:
    """The one line that a failed, quiet run is."""
    assert done.status == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("runqy-loader: error: ")
    return line


# --- a server that is fine ----------------------------------------------------------------------------------------


def test_every_check_has_one_finding_and_a_good_server_is_fine(server: Server, client: Redis, tool: Tool) -> None:
    findings = tool.doctor(server.url, "-q", "q")

    assert list(findings) == NAMES
    levels = {name: finding["level"] for name, finding in findings.items()}
    assert levels.pop("persistence") == "warning"  # the tests' servers keep nothing
    assert set(levels.values()) == {"ok"}
    said = client.info("server")
    version = f"Valkey {said['valkey_version']}" if server.kind == "valkey" else f"Redis {said['redis_version']}"
    assert findings["version"]["text"].startswith(version)
    assert findings["role"]["text"] == "primary with 0 replicas"


@pytest.mark.parametrize(("compact", "writes"), [("auto", 2), ("never", 0)])
def test_doctor_leaves_nothing(server: Server, client: Redis, tool: Tool, compact: str, writes: int) -> None:
    """It makes and deletes one compact task, to see whether the server takes it; with ``never`` it writes nothing."""
    client.set("someone", "else")
    changes = client.info("persistence")["rdb_changes_since_last_save"]

    tool.doctor(server.url, "-q", "q", "--compact", compact)

    assert client.keys() == [b"someone"]
    assert client.info("persistence")["rdb_changes_since_last_save"] == changes + writes


def test_neither_a_queue_nor_an_input_is_needed(valkey: Server, tool: Tool) -> None:
    assert tool.doctor(valkey.url)["layout"]["level"] == "ok"


def test_the_command_of_a_load_is_one_of_doctors(valkey: Server, tool: Tool) -> None:
    load = ("in.jsonl", "--queue", "q", "--layout", "asynq", "--retention", "1h", "--batch-size", "5", "-w", "1")

    findings = tool.doctor(valkey.url, *load)

    assert list(findings) == [*NAMES[:-1], "ignored", "compact", "estimate"]
    assert findings["estimate"]["numbers"]["tasks"] == 3


def test_findings_are_told_in_lines_where_there_is_no_terminal(valkey: Server, tool: Tool) -> None:
    done = run("doctor", "--redis", valkey.url, cwd=tool.folder)

    assert (done.status, done.stderr) == (0, "")
    *lines, verdict = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == NAMES
    assert verdict == "ready to load, but see the warnings"


def test_findings_are_a_table_on_a_terminal(valkey: Server, tool: Tool) -> None:
    parent, child = pty.openpty()
    arguments = command("doctor", "--redis", valkey.url, "-q", "q")
    env = environment(TERM="xterm", COLUMNS="100", NO_COLOR="1")
    with subprocess.Popen(arguments, cwd=tool.folder, env=env, stdout=child, stdin=subprocess.DEVNULL) as running:
        os.close(child)
        shown = _read_all(parent)
    os.close(parent)

    assert running.returncode == 0
    assert "┃" in shown and "persistence" in shown
    assert f"127.0.0.1:{valkey.port}, queue q.default, layout documented" in shown


def _read_all(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux's way of saying that the other end is closed
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)


def test_options_come_from_the_table_doctor_and_from_the_environment(valkey: Server, tool: Tool) -> None:
    (tool.folder / "c.toml").write_text(f'[doctor]\nredis = "{valkey.url}"\nqueue = "from-file"\njson = true\n')

    from_file = run("doctor", "--config", "c.toml", cwd=tool.folder)
    from_env = run("doctor", "--config", "c.toml", cwd=tool.folder, env={"RUNQY_LOADER_QUEUE": "from-env"})

    assert json.loads(from_file.stdout)["queue"] == "from-file.default"
    assert json.loads(from_env.stdout)["queue"] == "from-env.default"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--no-such-option",), "--no-such-option"),
        (("--redis", "discard"), "--redis discard"),
        (("--redis", "ftp://x"), "--redis"),
        (("-q", "a..b"), "a..b"),
        (("--queues-file", "none.yaml"), "none.yaml"),
    ],
)
def test_wrong_usage_is_one_line(tool: Tool, arguments: tuple[str, ...], told: str) -> None:
    done = run("doctor", *arguments, cwd=tool.folder)

    assert (done.status, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert told in line


def test_the_embedded_server_can_be_checked(tool: Tool) -> None:
    findings = tool.doctor("embedded", "--embedded-dir", "kept")

    assert {finding["level"] for finding in findings.values()} == {"ok"}
    assert findings["persistence"]["text"] == "append-only file"


def test_a_queue_that_is_not_configured_is_an_error(valkey: Server, tool: Tool) -> None:
    (tool.folder / "queues.yaml").write_text("queues: {q: {priority: 1}}\n")

    known = tool.doctor(valkey.url, "-q", "q", "--queues-file", "queues.yaml")
    unknown = tool.doctor(valkey.url, "-q", "r", "--queues-file", "queues.yaml")

    assert known["queue"]["level"] == "ok"
    assert unknown["queue"]["level"] == "error" and "r.default" in unknown["queue"]["text"]
    assert list(unknown) == [NAMES[0], "queue", *NAMES[1:]]  # the other checks are made all the same


# --- servers that cannot be loaded into ----------------------------------------------------------------------------


def test_a_server_that_is_not_there_or_lets_nobody_in_is_the_only_finding(tool: Tool, redis_server: MakeServer) -> None:
    locked = redis_server("--requirepass", "right").start()

    nowhere = tool.doctor(f"redis://127.0.0.1:{free_port()}")
    stranger = tool.doctor(f"redis://127.0.0.1:{locked.port}")

    assert list(nowhere) == list(stranger) == ["reachable"]
    assert "connection refused" in nowhere["reachable"]["text"]
    assert "wants a password" in stranger["reachable"]["text"]


@pytest.mark.parametrize("writable", [False, True], ids=["read-only", "writable"])
def test_a_replica_is_refused(tool: Tool, redis_server: MakeServer, writable: bool) -> None:
    primary = redis_server().start()
    replica = redis_server(
        *("--replicaof", "127.0.0.1", str(primary.port), "--replica-read-only", "no" if writable else "yes")
    ).start()

    found = tool.doctor(replica.url, "-q", "q")["role"]
    line = one_error(tool.load(replica.url))

    assert found["level"] == "error"
    assert ("loses what is written" if writable else "read-only replica") in found["text"]
    assert f"127.0.0.1:{primary.port}" in found["text"]
    assert found["text"] in line and "Give --redis the primary's address" in line
    with replica.client() as client:
        assert client.dbsize() == 0


def test_a_primary_says_how_many_replicas_follow_it(tool: Tool, redis_server: MakeServer) -> None:
    primary = redis_server().start()
    redis_server("--replicaof", "127.0.0.1", str(primary.port)).start()
    with primary.client() as client:
        client.wait(1, 30_000)

    assert tool.doctor(primary.url)["role"]["text"] == "primary with 1 replica"


def test_a_cluster_is_told_and_its_gravest_findings_are_shown(tool: Tool, cluster: Cluster) -> None:
    with cluster.nodes[2].client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    findings = tool.doctor(cluster.url, "in.jsonl", "-q", "q")
    scattered = tool.doctor(cluster.url, "-q", "q", "--id-field", "n")
    done = tool.load(cluster.url)

    assert findings["cluster"]["text"].startswith("a cluster of 3 primaries")
    assert (findings["memory"]["level"], findings["rights"]["level"]) == ("warning", "ok")
    assert "allkeys-lru" in findings["memory"]["text"]
    assert findings["estimate"]["level"] == "unknown"
    assert scattered["options"]["level"] == "error" and "--id-field" in scattered["options"]["text"]
    assert (done.status, done.stderr) == (0, "")


def test_the_layout_in_use_is_found_on_whichever_node_it_is(tool: Tool, cluster: Cluster) -> None:
    with cluster.client() as client:
        for queue in ("a", "b", "c", "d"):
            client.lpush(f"asynq:{{{queue}.default}}:pending", "x")

    for queue in ("a", "b", "c", "d"):
        assert tool.doctor(cluster.url, "-q", queue, "--layout", "documented")["layout"]["level"] == "error"
        assert "auto chooses asynq" in tool.doctor(cluster.url, "-q", queue)["layout"]["text"]
    assert tool.doctor(cluster.url, "-q", "e")["layout"]["level"] == "ok"


def test_a_cluster_that_does_not_tell_its_nodes_is_refused(tool: Tool, cluster: Cluster) -> None:
    for node in cluster.nodes:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "l", "on", ">secret", "~*", "+@all", "-cluster|slots")
    url = f"redis://l:secret@127.0.0.1:{cluster.nodes[0].port}"

    found = tool.doctor(url, "-q", "q")["cluster"]
    line = one_error(tool.load(url))

    assert found["level"] == "error"
    assert "node of a Redis Cluster" in line and "cluster|slots" in line


# --- what is warned of ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "limit", "told"),
    [
        ("allkeys-lru", "100mb", "any key, tasks included, when memory is full"),
        ("volatile-ttl", "100mb", "keys that expire"),
        ("allkeys-random", "0", "as soon as maxmemory is set"),
    ],
)
def test_a_policy_that_drops_keys_is_warned_of_and_the_load_goes_on(
    server: Server, client: Redis, tool: Tool, policy: str, limit: str, told: str
) -> None:
    with configured(client, {"maxmemory": limit, "maxmemory-policy": policy}):
        found = tool.doctor(server.url, "-q", "q")["memory"]
        done = tool.load(server.url, quiet=False)

    assert found["level"] == "warning"
    assert policy in found["text"] and told in found["text"]
    assert "noeviction" in found["hint"]
    assert done.status == 0
    assert f"policy {policy} drops" in done.stderr


def test_a_limit_without_eviction_is_fine_and_what_is_left_is_told(server: Server, client: Redis, tool: Tool) -> None:
    with configured(client, {"maxmemory": "100mb", "maxmemory-policy": "noeviction"}):
        found = tool.doctor(server.url)["memory"]

    assert found["level"] == "ok"
    numbers = found["numbers"]
    assert numbers["maxmemory_bytes"] == 100 * 1024 * 1024
    assert 0 < numbers["left_bytes"] <= numbers["maxmemory_bytes"] - numbers["used_bytes"] + 1_000_000


@pytest.mark.parametrize(
    ("config", "level", "told"),
    [
        ({"appendonly": "yes"}, "ok", "append-only file"),
        ({"save": "3600 1"}, "ok", "snapshots only"),
        ({}, "warning", "a restart of the server loses all tasks"),
    ],
)
def test_persistence_is_told(
    server: Server, client: Redis, tool: Tool, config: dict[str, str], level: str, told: str
) -> None:
    with configured(client, config):
        found = tool.doctor(server.url)["persistence"]

    assert found["level"] == level
    assert told in found["text"]


def test_a_quiet_load_says_nothing_of_warnings_and_a_dry_run_checks_nothing(tool: Tool, valkey: Server) -> None:
    quiet = tool.load(valkey.url)
    dry = tool.load(f"redis://127.0.0.1:{free_port()}", "--dry-run")

    assert (quiet.status, quiet.stderr) == (0, "")
    assert (dry.status, dry.stderr) == (0, "")


@contextmanager
def configured(client: Redis, values: dict[str, str]) -> Iterator[None]:
    """Sets configuration parameters for the time of a block."""
    before = {name: client.config_get(name)[name] for name in values}
    for name, value in values.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)
