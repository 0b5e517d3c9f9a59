"""--otlp where something is wrong: settings, headers of clients, collectors that refuse or hang."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli import run
from tests.conftest import Server
from tests.gateway.helpers import Gateway

QUEUE = "inference"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    path = tmp_path / "payloads.jsonl"
    path.write_text('{"n": 1}\n')
    return path


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing, as the test's output is of no use for it."""


class _Redirecting(_Quiet):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(302)
        self.send_header("location", f"https://elsewhere.example{self.path}")
        self.end_headers()


@pytest.fixture
def redirects() -> Iterator[str]:
    """The address of a proxy that sends everybody elsewhere."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("disabled", ["", "false", "true", "TRUE"])
def test_opentelemetry_can_be_switched_off_by_its_own_variable(valkey: Server, payloads: Path, disabled: str) -> None:
    paths: set[str] = set()

    class Handler(_Quiet):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            paths.add(self.path)
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        otlp = ("--otlp", f"http://127.0.0.1:{server.server_port}", "--again")
        done = run(
            "load", payloads, "--queue", QUEUE, "--redis", valkey.url, *otlp, cwd=payloads.parent,
            env={"OTEL_SDK_DISABLED": disabled},
        )  # fmt: skip
        server.shutdown()
    assert done.status == 0, done.stderr
    assert paths == (set() if disabled.lower() == "true" else {"/v1/metrics", "/v1/traces"})


@pytest.fixture
def hangs() -> Iterator[str]:
    """The address of a collector that never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("variable", "given", "said"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer secret", "Header format invalid"),
        ("OTEL_TRACES_SAMPLER", "nonsense", "recognize sampler nonsense"),
        ("OTEL_BSP_SCHEDULE_DELAY", "x", "OTEL_BSP_SCHEDULE_DELAY"),
    ],
)
def test_what_opentelemetry_passes_over_is_a_line_of_the_log(
    valkey: Server, payloads: Path, variable: str, given: str, said: str
) -> None:
    """Beside the line about the collector. Headers, which hold keys of access, are not shown."""
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--log-format", "json", "--otlp", NOBODY)
    outcome = run(*usual, cwd=payloads.parent, env={variable: given, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})
    assert outcome.status == 0
    lines = [json.loads(line)["message"] for line in outcome.stderr.splitlines()]
    ours = [line for line in lines if line.startswith("OpenTelemetry: ")]
    assert len(ours) == 2
    assert said in ours[0]
    assert "secret" not in outcome.stderr


def test_a_redirect_is_told_as_nothing_is_sent_then(valkey: Server, payloads: Path, redirects: str) -> None:
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--otlp", redirects)
    outcome = run(*usual, cwd=payloads.parent)
    assert outcome.status == 0
    (line,) = [line for line in outcome.stderr.splitlines() if "OpenTelemetry: " in line]
    assert "redirects to https://elsewhere.example/v1/" in line


@pytest.mark.parametrize("variable", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
def test_what_opentelemetry_refuses_is_wrong_use(valkey: Server, payloads: Path, variable: str) -> None:
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--otlp", NOBODY)
    outcome = run(*usual, cwd=payloads.parent, env={variable: "-1"})
    assert outcome.status == 2
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("runqy-loader: error: --otlp: OpenTelemetry refuses its settings: ")


def test_headers_of_clients_do_not_hide_that_nothing_is_sent(valkey: Server, tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with Gateway("--redis", valkey.url, "--no-auth", "--otlp", NOBODY, cwd=tmp_path, env=env) as gateway:
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        headers = {"traceparent": traceparent, "tracestate": "one=\xff"}
        assert gateway.post("/queue/add", {"queue": QUEUE, "data": {}}, headers=headers).status == 200
        assert gateway.stop().status == 0
    (line,) = [line for line in gateway.said if "OpenTelemetry" in line]
    assert "metrics" in line or "spans" in line


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_a_gateway_whose_collector_hangs(
    valkey: Server, tmp_path: Path, hangs: str, workers: int
) -> None:
    env = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
    options = ("--otlp", hangs, "--workers", str(workers))
    with Gateway("--redis", valkey.url, "--no-auth", *options, cwd=tmp_path, env=env) as gateway:
        gateway.add(QUEUE, {"n": 1})
        gateway.process.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + 60
        while not any("stopping" in line for line in gateway.said):
            assert time.monotonic() < give_up, gateway.said
            time.sleep(0.05)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) == 130
    assert not any("Traceback" in line for line in gateway.said)
