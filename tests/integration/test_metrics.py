"""Metrics of loads and migrations, at a port and in a file."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loader.telemetry.names import METRICS, RUN_STATUS
from tests.cli import read_until, run, run_without, running
from tests.conftest import RedisServer, Server, free_port

QUEUE = "inference"
Found = dict[str, dict[tuple[tuple[str, str], ...], float]]
"""By the name of a sample: its values by their labels, without those that name the run."""


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    path = tmp_path / "payloads.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(100)) + "broken\n")
    return path


def parsed(text: str) -> Found:
    found: Found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k not in ("command", "job_name")))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def value(found: Found, name: str, **labels: str) -> float:
    return found[f"runqy_loader_{name}"][tuple(sorted(labels.items()))]


def scraped(url: str) -> str:
    reply = httpx.get(url, timeout=60)
    assert reply.headers["content-type"].startswith("text/plain")
    return reply.text


@contextmanager
def paced(
    payloads: Path, server: Server, *arguments: str | Path, port: int = 0
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A load that takes its time, and the address of its metrics."""
    usual = ("--queue", QUEUE, "--redis", server.url, "--rate", "20/s", "--metrics-port", str(port))
    with running("load", payloads, *usual, *arguments, cwd=payloads.parent) as (process, messages):
        if "--quiet" in arguments:
            yield process, f"http://127.0.0.1:{port}/metrics"
            return
        said = read_until(messages, "/metrics\n").decode()
        address = re.search(r"metrics are at (http://127\.0\.0\.1:\d+/metrics)", said)
        assert address is not None
        yield process, address[1]


def until(address: str, holds: Callable[[Found], bool]) -> Found:
    give_up = time.monotonic() + 60
    while True:
        found: Found = {}
        with contextlib.suppress(httpx.ConnectError):  # not yet
            found = parsed(scraped(address))
        if found and holds(found):
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.05)


def test_a_load_shows_its_metrics_while_it_runs(server: Server, payloads: Path) -> None:
    with paced(payloads, server) as (process, address):
        queue = {"queue": "inference.default"}
        found = until(
            address,
            lambda now: "runqy_loader_tasks_enqueued_total" in now and value(now, "tasks_enqueued_total", **queue) > 3,
        )
        assert value(found, "run_status", status="running") == 1
        assert value(found, "records_read_total") == 101
        assert value(found, "input_bytes") == value(found, "read_bytes_total") == payloads.stat().st_size
        assert value(found, "redis_up") == 1
        assert value(found, "tasks_due_total") >= value(found, "tasks_enqueued_total", **queue)
        buckets = found["runqy_loader_enqueue_latency_seconds_bucket"]
        assert buckets[(("le", "+Inf"),)] == value(found, "enqueue_latency_seconds_count") >= 3
        assert list(buckets.values()) == sorted(buckets.values())
        assert "process_resident_memory_bytes" in found
        assert "runqy_loader_run_exit_status" not in found
        assert all("queue.default" not in name for name in found)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        with pytest.raises(httpx.ConnectError):
            scraped(address)


def test_what_scrapers_do_is_not_told(server: Server, payloads: Path) -> None:
    """They reset their connections, or keep them open at the end of the load."""
    with paced(payloads, server) as (process, address):
        place = ("127.0.0.1", int(address.split(":")[2].split("/")[0]))
        for request in (b"GET /met", b"GET /metrics HTTP/1.0\r\n\r\n"):
            scraper = socket.create_connection(place)
            scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            scraper.sendall(request)
            scraper.close()  # with a reset
        silent, half = socket.create_connection(place), socket.create_connection(place)
        half.sendall(b"GET /metrics HTTP/1.1\r\nHo")
        with silent, half:
            until(address, lambda now: "runqy_loader_tasks_enqueued_total" in now)
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            said = process.stderr.read().decode()
            assert process.wait(60) == 130
    assert "interrupted in" in said
    assert "Traceback" not in said


def test_the_file_has_the_last_state(server: Server, payloads: Path) -> None:
    path = payloads.with_name("load.prom")
    usual = ("load", payloads, "--queue", QUEUE, "--redis", server.url, "--metrics-file", path)
    assert run(*usual, cwd=payloads.parent).status == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # node_exporter is another user
    text = path.read_text()
    found = parsed(text)
    assert value(found, "tasks_enqueued_total", queue="inference.default") == 100
    assert value(found, "tasks_already_enqueued_total") == 0
    assert value(found, "records_rejected_total", reason="invalid_json") == 1
    assert value(found, "run_exit_status") == 3
    assert {name for (((_, name),)), one in found[RUN_STATUS.name].items() if one} == {"completed"}
    assert 'command="load",job_name="inference-default-' in text
    assert not any(name.startswith(("process_", "python_")) for name in found)  # node_exporter has its own
    assert {path.name for path in payloads.parent.iterdir() if "prom" in path.name} == {"load.prom"}

    path.chmod(0o600)  # what the user has set stays
    assert run(*usual, cwd=payloads.parent).status == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = parsed(path.read_text())
    assert value(again, "tasks_already_enqueued_total") == 100


def test_a_failed_load_tells_so_in_the_file(valkey: Server, payloads: Path) -> None:
    path = payloads.with_name("load.prom")
    arguments = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--max-errors", "0", "--metrics-file", path)
    assert run(*arguments, cwd=payloads.parent).status == 1
    found = parsed(path.read_text())
    assert value(found, "run_status", status="failed") == 1
    assert value(found, "run_exit_status") == 1


def test_a_load_that_fails_before_it_begins_tells_so_too(valkey: Server, payloads: Path) -> None:
    usual = ("load", "missing.jsonl", "--queue", QUEUE, "--redis", valkey.url, "--metrics-file", "load.prom")
    assert run(*usual, "--job", "nightly", cwd=payloads.parent).status == 1
    text = payloads.with_name("load.prom").read_text()
    found = parsed(text)
    assert value(found, "run_status", status="failed") == value(found, "run_exit_status") == 1
    assert value(found, "log_records_total", level="error") == 1
    assert 'job_name="nightly"' in text


def test_the_exit_status_is_that_of_the_command(valkey: Server, payloads: Path) -> None:
    """Also if a condition decides it, or a report that cannot be written."""
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--metrics-file", "load.prom")
    for options, status in ((("--fail-if", "rejected>0"), 4), (("--report", "/dev/full"), 1)):
        assert run(*usual, *options, cwd=payloads.parent).status == status
        assert value(parsed(payloads.with_name("load.prom").read_text()), "run_exit_status") == status


def test_the_files_of_two_jobs_have_nothing_in_common(valkey: Server, payloads: Path) -> None:
    """node_exporter reports an error for each metric that is the same in two files."""
    found = []
    for name, path in (("a", payloads), ("b", payloads), ("c", "missing.jsonl"), ("d", "missing.jsonl")):
        run("load", path, "--queue", name, "--redis", valkey.url, "--metrics-file", f"{name}.prom", cwd=payloads.parent)
        text = (payloads.parent / f"{name}.prom").read_text()
        found += [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(found) == len(set(found)) > 40


@pytest.mark.parametrize("command_name", ["load", "migrate"])
def test_a_collector_that_hangs_does_not_hold_the_report_back(
    valkey: Server, payloads: Path, command_name: str
) -> None:
    usual: tuple[str | Path, ...] = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url)
    if command_name == "migrate":
        run(*usual, cwd=payloads.parent)
        usual = ("migrate", "--move", "--from-queue", QUEUE, "--to-queue", "o", "--from-redis", valkey.url)
        usual = (*usual, "--to-redis", valkey.url)
    with socket.socket() as hangs:
        hangs.bind(("127.0.0.1", 0))
        hangs.listen()
        arguments = ("--report", "report.json", "--otlp", f"http://127.0.0.1:{hangs.getsockname()[1]}")
        patience = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        with running(*usual, *arguments, cwd=payloads.parent, **patience) as (process, messages):
            read_until(messages, "completed in")
            assert json.loads(payloads.with_name("report.json").read_text())["status"] == "completed"
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_a_load_of_several_processes_shows_all_of_them(valkey: Server, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text('{"n": 1}\n' * 2000)
    arguments = ("--processes", "2", "--queue", QUEUE, "--redis", valkey.url, "--metrics-file", "load.prom")
    assert run("load", *(f"{number}.jsonl" for number in range(3)), *arguments, cwd=tmp_path).status == 0
    found = parsed((tmp_path / "load.prom").read_text())
    assert value(found, "tasks_enqueued_total", queue="inference.default") == 6000


def test_many_queues_are_few_labels(valkey: Server, tmp_path: Path) -> None:
    lines = "".join(f'{{"q": "{"x" * 100}-{number}"}}\n' for number in range(800))
    (tmp_path / "payloads.jsonl").write_text(lines)
    arguments = ("--queue-field", "q", "--redis", valkey.url, "--metrics-file", "load.prom")
    assert run("load", "payloads.jsonl", *arguments, cwd=tmp_path).status == 0
    tasks = parsed((tmp_path / "load.prom").read_text())["runqy_loader_tasks_enqueued_total"]
    assert sum(tasks.values()) == 800
    assert 500 < len(tasks) < 700
    assert tasks[(("queue", "(other)"),)] == 801 - len(tasks)


def test_a_migration_has_metrics(server: Server, payloads: Path) -> None:
    run("load", payloads, "--queue", QUEUE, "--redis", server.url, cwd=payloads.parent)
    arguments = ("--from-queue", QUEUE, "--to-queue", "other", "--from-redis", server.url, "--to-redis", server.url)
    done = run("migrate", *arguments, "--metrics-file", "migrate.prom", "--move", cwd=payloads.parent)
    assert done.status == 0
    text = (payloads.parent / "migrate.prom").read_text()
    found = parsed(text)
    assert value(found, "tasks_enqueued_total", queue="other.default") == value(found, "source_tasks") == 100
    assert value(found, "run_exit_status") == value(found, "tasks_held") == 0
    assert 'command="migrate",job_name="' in text


@pytest.mark.parametrize("shown", [(), ("--quiet",)])
def test_redis_down_is_seen(redis_server: Callable[..., RedisServer], payloads: Path, shown: tuple[str, ...]) -> None:
    redis = redis_server("--appendonly", "yes", "--appendfsync", "always")
    port = free_port()
    with paced(payloads, redis.start(), *shown, port=port) as (process, address):
        until(address, lambda now: "runqy_loader_tasks_enqueued_total" in now)
        redis.kill()
        until(address, lambda now: value(now, "redis_up") == 0)
        redis.start()
        found = until(address, lambda now: value(now, "redis_up") == 1)
        assert value(found, "log_records_total", level="warning") >= 1
        assert process.wait(60) == 3


def test_what_the_file_has_is_in_the_table(server: Server, payloads: Path) -> None:
    options = ("--metrics-file", "load.prom", "--rate", "1000/s", "--sample", "50%")
    outcome = run("load", payloads, "--queue", QUEUE, "--redis", server.url, *options, cwd=payloads.parent)
    assert outcome.status in (0, 3), outcome
    text = (payloads.parent / "load.prom").read_text()
    shown = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(shown) > 15
    by_family = {one.family: one for one in METRICS}
    for name, family in shown.items():
        metric = by_family[name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert "load" in metric.commands
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.all_labels)


def test_the_file_is_no_input(valkey: Server, tmp_path: Path) -> None:
    """It is written before the inputs are read, so an input would be lost."""
    (tmp_path / "in.prom").write_text('{"n": 1}\n')
    (tmp_path / "link.prom").symlink_to("in.prom")
    usual = ("--format", "jsonl", "--queue", QUEUE, "--redis", valkey.url, "--metrics-file")
    for name in ("in.prom", "link.prom"):
        refused = run("load", "in.prom", *usual, name, cwd=tmp_path)
        assert refused.status == 2
        assert "in.prom is an input, and --metrics-file would write to it" in refused.stderr
    assert (tmp_path / "in.prom").read_text() == '{"n": 1}\n'


def test_wrong_use(valkey: Server, payloads: Path) -> None:
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url)

    def refused(*arguments: str) -> str:
        outcome = run(*usual, *arguments, cwd=payloads.parent)
        assert outcome.status == 2
        (line,) = outcome.stderr.splitlines()
        return line.removeprefix("runqy-loader: error: ")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused("--metrics-port", str(port)) == (
            f"--metrics-port {port}: cannot listen at 127.0.0.1: Address already in use. Give another port"
        )
    assert refused("--metrics-port", "0", "--metrics-host", "a..b").startswith(
        "--metrics-port 0: cannot listen at a..b: "
    )
    assert refused("--metrics-file", "load.txt").startswith("--metrics-file load.txt: the name must end in .prom")
    assert refused("--metrics-file", "no/load.prom").startswith("--metrics-file no/load.prom cannot be written")
    assert refused("--metrics-host", "127.0.0.2") == "--metrics-host needs --metrics-port"
    assert refused("--otlp", "localhost:4318").startswith("--otlp 'localhost:4318' is no URL of HTTP")
    for url in ("http://", "http://h:99999", "http://[::1", "http://a b", "http://h/?a=b", "u:secret@h:4318"):
        assert refused("--otlp", url).endswith(" is no URL of HTTP. Write it like http://localhost:4318")
        assert "secret" not in refused("--otlp", url)
    assert valkey.client().dbsize() == 0


@pytest.mark.parametrize(
    ("module", "option", "extra"),
    [
        ("prometheus_client", ("--metrics-file", "x.prom"), "metrics"),
        ("prometheus_client", ("--metrics-port", "0"), "metrics"),
        ("opentelemetry", ("--otlp", "http://127.0.0.1:1"), "otel"),
    ],
)
def test_a_missing_extra_is_named(
    valkey: Server, payloads: Path, module: str, option: tuple[str, str], extra: str
) -> None:
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url)
    refused = run_without((module,), *usual, *option, cwd=payloads.parent)
    assert refused.status == 2
    assert f"pip install 'runqy-loader[{extra}]'" in refused.stderr
    assert run_without((module,), *usual, cwd=payloads.parent).status == 3  # without the option, nothing needs it
