"""An OpenTelemetry Collector gets metrics and traces of loads, migrations and gateways by OTLP."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from loader.telemetry.names import METRICS
from tests.cli import run
from tests.conftest import Server, free_port
from tests.gateway.helpers import Gateway
from tests.interop.installing import go_program

QUEUE = "inference"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@dataclass(frozen=True, slots=True)
class Span:
    """A span as the collector writes it to its log."""

    name: str
    trace: str
    parent: str
    status: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector.

    Attributes:
        url: For ``--otlp``.
        metrics: Where it shows what it got to Prometheus.
    """

    url: str
    metrics: str
    log: Path

    def spans(self) -> list[Span]:
        found = []
        for text in re.split(r"^Span #\d+$", self.log.read_text(), flags=re.MULTILINE)[1:]:

            def field(name: str, text: str = text) -> str:
                shown = re.search(rf"^ +{name} *: ?(.*)$", text, re.MULTILINE)
                return shown[1].strip() if shown is not None else ""

            found.append(
                Span(field("Name"), field("Trace ID"), field("Parent ID"), field("Status code"), field("Kind"), text)
            )
        return found

    def until_span(self, name: str) -> Span:
        """The only span of this name, once it is there."""
        give_up = time.monotonic() + 60
        while not (found := [span for span in self.spans() if span.name == name]):
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.1)
        (only,) = found
        return only

    def page(self) -> str:
        return httpx.get(self.metrics, timeout=60).text


@pytest.fixture(scope="session")
def collector_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go_program("otelcol", "what OpenTelemetry's collector gets", tmp_path_factory)


@pytest.fixture
def collector(collector_program: Path, tmp_path: Path) -> Iterator[Collector]:
    takes, shows = free_port(), free_port()
    pipeline = {"receivers": ["otlp"], "exporters": ["debug"]}
    config = tmp_path / "collector.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{takes}"}}}},
                "exporters": {
                    "debug": {"verbosity": "detailed"},
                    "prometheus": {"endpoint": f"127.0.0.1:{shows}"},
                },
                "service": {
                    "pipelines": {"traces": pipeline, "metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}},
                    "telemetry": {"metrics": {"level": "none"}},
                },
            }
        )
    )
    log = tmp_path / "collector.log"
    with log.open("w") as file:
        process = subprocess.Popen([collector_program, "--config", config], stdout=file, stderr=file)
        try:
            give_up = time.monotonic() + 60
            while "Everything is ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.05)
            yield Collector(f"http://127.0.0.1:{takes}", f"http://127.0.0.1:{shows}/metrics", log)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    path = tmp_path / "payloads.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(100)) + "broken\n")
    return path


def test_a_load_is_one_trace(collector: Collector, valkey: Server, payloads: Path) -> None:
    usual = ("--queue", QUEUE, "--redis", valkey.url, "--rate", "1000/s", "--otlp", collector.url)
    outcome = run("load", payloads, *usual, cwd=payloads.parent, env={"TRACEPARENT": TRACEPARENT})
    assert outcome.status == 3
    assert "OpenTelemetry" not in outcome.stderr
    root = collector.until_span("runqy-loader load")
    assert (root.trace, root.parent) == (TRACE, PARENT)  # the trace of the pipeline that this load is a part of
    assert root.status == "Ok"
    assert "runqy_loader.loaded: Int(100)" in root.text
    assert "runqy_loader.status: Str(completed)" in root.text
    assert "nothing is kept on disk" in root.text  # a warning is an event
    steps = [span for span in collector.spans() if span.name != root.name]
    assert [span.name for span in steps] == [
        "open input",
        "connect",
        "check",
        "begin job",
        "load shards",
        "confirm",
    ]
    assert {span.trace for span in steps} == {TRACE}
    assert len({span.parent for span in steps} | {PARENT}) == 2
    assert "service.name: Str(runqy-loader)" in collector.log.read_text()

    page = collector.page()
    samples = set(re.findall(r"^(runqy_loader_\w+?)(?:_bucket|_sum|_count)?\{", page, re.MULTILINE))
    # The collector makes names for Prometheus from OpenTelemetry's by rules; ours stay as they are.
    assert samples <= {one.name for one in METRICS}
    assert len(samples) > 12
    assert re.search(r'^runqy_loader_tasks_enqueued_total\{command="load",.* 100$', page, re.MULTILINE)
    assert re.search(r"^runqy_loader_enqueue_latency_seconds_count\{.*\} 100$", page, re.MULTILINE)
    assert re.search(r"^runqy_loader_run_exit_status\{.*\} 3$", page, re.MULTILINE)


def test_a_load_that_fails_is_an_error(collector: Collector, valkey: Server, payloads: Path) -> None:
    usual = ("--queue", QUEUE, "--redis", valkey.url, "--max-errors", "0", "--otlp", f"{collector.url}/")
    env = {"OTEL_SERVICE_NAME": "nightly", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=staging"}
    assert run("load", payloads, *usual, cwd=payloads.parent, env=env).status == 1
    root = collector.until_span("runqy-loader load")
    assert root.status == "Error"
    assert root.parent == ""
    assert "runqy_loader.error_code: Str(too_many_rejects)" in root.text
    assert "service.name: Str(nightly)" in collector.log.read_text()
    assert "deployment.environment: Str(staging)" in collector.log.read_text()


def test_a_migration_is_a_trace(collector: Collector, valkey: Server, payloads: Path) -> None:
    run("load", payloads, "--queue", QUEUE, "--redis", valkey.url, cwd=payloads.parent)
    moved = ("--from-queue", QUEUE, "--to-queue", "other", "--from-redis", valkey.url, "--to-redis", valkey.url)
    assert run("migrate", *moved, "--move", "--otlp", collector.url, cwd=payloads.parent).status == 0
    root = collector.until_span("runqy-loader migrate")
    assert "runqy_loader.migrated: Int(100)" in root.text
    assert re.search(r'^runqy_loader_tasks_enqueued_total\{command="migrate".* 100$', collector.page(), re.MULTILINE)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_is_a_span_in_the_trace_of_its_client(
    collector: Collector, valkey: Server, tmp_path: Path, workers: int
) -> None:
    options = ("--otlp", collector.url, "--workers", str(workers))
    with Gateway("--redis", valkey.url, "--no-auth", *options, cwd=tmp_path) as gateway:
        sent = {"queue": QUEUE, "data": {"n": 1}}
        reply = gateway.post("/queue/add", sent, headers={"traceparent": TRACEPARENT})
        assert reply.status == 200
        assert gateway.get(f"/queue/{reply.json['info']['id']}").status == 200
        assert gateway.get("/healthz").status == gateway.get("/metrics").status == 200
        assert gateway.stop().status == 0
    added = collector.until_span("POST /queue/add")
    assert (added.trace, added.parent, added.kind) == (TRACE, PARENT, "Server")
    looked_up = collector.until_span("GET /queue/{id}")
    assert looked_up.trace != TRACE
    assert len(collector.spans()) == 2  # probes and Prometheus's reading are none
    assert re.search(r'^runqy_loader_tasks_enqueued_total\{command="serve".* 1$', collector.page(), re.MULTILINE)
    assert re.search(r"^runqy_loader_http_request_duration_seconds_count\{.* 1$", collector.page(), re.MULTILINE)


def test_without_a_collector_the_load_goes_on_and_says_so_once(valkey: Server, payloads: Path) -> None:
    usual = ("--queue", QUEUE, "--redis", valkey.url, "--otlp", "http://127.0.0.1:1")
    outcome = run("load", payloads, *usual, cwd=payloads.parent)
    assert outcome.status == 3
    assert outcome.stderr.count("OpenTelemetry: ") == 1
    assert "127.0.0.1" in next(line for line in outcome.stderr.splitlines() if "OpenTelemetry: " in line)
    assert "Traceback" not in outcome.stderr
