"""Prometheus and node_exporter themselves: they read our metrics, and the dashboard and the alerts find them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from docsite.dashboard import TARGET, encoded
from loader.telemetry.names import METRICS, PREFIX
from tests.cli import read_until, run, running
from tests.conftest import Server, free_port
from tests.gateway.helpers import KEY_ENV, Gateway
from tests.interop.installing import tool

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "runqy-loader.rules.yml"
_NAME = re.compile(rf"\b{PREFIX}\w+")


@contextmanager
def _server(name: str, *arguments: str | Path, ready: str, folder: Path) -> Iterator[None]:
    """A server of Debian's Prometheus packages, until it answers at an address."""
    program = tool(name, "what Prometheus makes of our metrics")
    log = (folder / f"{name}.log").open("w+")
    process = subprocess.Popen([program, *map(str, arguments)], cwd=folder, stdout=log, stderr=log)
    try:
        give_up = time.monotonic() + 60
        while True:
            try:
                if httpx.get(ready, timeout=10).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < give_up, Path(log.name).read_text()
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()
        log.close()


@contextmanager
def _load(server: Server, folder: Path, name: str, *arguments: str) -> Iterator[str]:
    """A load that runs for a long time, and the address of its metrics."""
    path = folder / f"{name}.jsonl"
    path.write_text('{"n": 0}\n' * 3 + "broken\n" + '{"n": 0}\n' * 2000)
    usual = ("--queue", name, "--redis", server.url, "--metrics-port", "0")
    with running("load", path, *usual, *arguments, cwd=folder) as (_, messages):
        said = read_until(messages, "/metrics\n").decode()
        found = re.search(r"metrics are at http://([^/]+)/metrics", said)
        assert found is not None
        yield found[1]


def _until(what: object, holds: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + 90
    while not (found := holds()):
        assert time.monotonic() < give_up, f"there is not yet: {what}"
        time.sleep(0.2)
    return found


def _queries() -> list[str]:
    """Every expression of the dashboard, as Grafana would send it."""
    board = json.loads(TARGET.read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(found) > 20
    return [one.replace("$__rate_interval", "10s").replace("$run", ".*") for one in found]


def test_the_dashboard_is_what_the_program_makes() -> None:
    """After a change: ``python -m docsite.dashboard``."""
    assert TARGET.read_text() == encoded()


def test_dashboard_and_alerts_name_metrics_that_are_there() -> None:
    known = {one.name for one in METRICS} | {f"{one.name}_bucket" for one in METRICS if one.kind == "histogram"}
    shown = set(_NAME.findall(TARGET.read_text()))
    alerted = set(_NAME.findall(RULES.read_text()))
    assert shown | alerted <= known
    assert len(shown) > 15
    assert len(alerted) > 3


def test_the_alerts_are_rules_of_prometheus() -> None:
    promtool = tool("promtool", "whether the alerts are valid")
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(yaml.safe_load(RULES.read_text())['groups'][0]['rules'])} rules found" in done.stdout


def test_every_panel_of_the_dashboard_has_data(valkey: Server, tmp_path: Path) -> None:
    """A paced load with a limit, a migration and a gateway, read by a real Prometheus."""
    port = free_port()
    run("load", *_small(tmp_path), "--queue", "old", "--redis", valkey.url, cwd=tmp_path)
    migration = tmp_path / "textfile" / "migrate.prom"
    migration.parent.mkdir()
    moved = ("--from-queue", "old", "--to-queue", "new", "--from-redis", valkey.url, "--to-redis", valkey.url)
    assert run("migrate", *moved, "--move", "--metrics-file", migration, cwd=tmp_path).status == 0
    node_port = free_port()
    with ExitStack() as stack:
        limits = ("--rate", "40/s", "--max-pending", "20")
        load = stack.enter_context(_load(valkey, tmp_path, "paced", *limits))
        gateway = stack.enter_context(
            Gateway("--redis", valkey.url, "--api-key-env", KEY_ENV, "--layout", "documented", cwd=tmp_path)
        )
        stack.enter_context(
            _server(
                "prometheus-node-exporter",
                f"--web.listen-address=127.0.0.1:{node_port}",
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={migration.parent}",
                ready=f"http://127.0.0.1:{node_port}/metrics",
                folder=tmp_path,
            )
        )
        config = tmp_path / "prometheus.yml"
        targets = [load, f"127.0.0.1:{gateway.port}", f"127.0.0.1:{node_port}"]
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(RULES)],
                    "scrape_configs": [{"job_name": "tests", "static_configs": [{"targets": targets}]}],
                }
            )
        )
        stack.enter_context(
            _server(
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                ready=f"http://127.0.0.1:{port}/-/ready",
                folder=tmp_path,
            )
        )

        def ask(expression: str) -> list[Any]:
            reply = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, timeout=60).json()
            assert reply["status"] == "success", (expression, reply)
            found: list[Any] = reply["data"]["result"]
            return found

        _until("a reading of each", lambda: len(ask("up == 1")) == 3)
        missing = _queries()

        def all_have_data() -> bool:
            gateway.add("inference", {"n": 1})
            headers = {"Idempotency-Key": "one"}
            gateway.post("/queue/add", {"queue": "inference", "data": 1}, headers=headers)
            missing[:] = [one for one in missing if not ask(one)]
            return not missing

        _until(missing, all_have_data)
        (rejected,) = _until("a rejected record", lambda: ask("runqy_loader_records_rejected_total > 0"))
        assert rejected["metric"]["job_name"].startswith("paced-default-")
        assert rejected["metric"]["job"] == "tests"  # Prometheus's own label is not ours
        assert float(ask('runqy_loader_run_exit_status{command="migrate"}')[0]["value"][1]) == 0
        assert ask("node_textfile_scrape_error")[0]["value"][1] == "0"
        alerts = _until(
            "an alert",
            lambda: httpx.get(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=60).json()["data"]["alerts"],
        )
        assert {one["labels"]["alertname"] for one in alerts} == {"RunqyLoaderSetsRecordsAside"}


def _small(folder: Path) -> list[Path]:
    path = folder / "small.jsonl"
    path.write_text('{"n": 1}\n' * 30)
    return [path]


@pytest.mark.parametrize("what", ["load", "gateway"])
def test_promtool_has_nothing_to_say_against_our_metrics(what: str, valkey: Server, tmp_path: Path) -> None:
    promtool = tool("promtool", "whether the names of metrics follow Prometheus's rules")
    with ExitStack() as stack:
        if what == "load":
            address = f"http://{stack.enter_context(_load(valkey, tmp_path, 'paced', '--rate', '40/s'))}"
        else:
            gateway = stack.enter_context(Gateway("--redis", valkey.url, "--no-auth", cwd=tmp_path))
            gateway.add("inference", {"n": 1})
            address = gateway.url
        time.sleep(0.5)  # some tasks; none is needed
        text = httpx.get(f"{address}/metrics", timeout=60).text
    own = "".join(line for line in text.splitlines(keepends=True) if PREFIX in line)  # the others are not ours
    assert own.count("# TYPE") > 8
    done = subprocess.run([promtool, "check", "metrics"], input=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
