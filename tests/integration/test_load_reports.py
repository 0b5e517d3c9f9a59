"""Load tests: what a load notes while it runs, its page, and an exit status by its figures."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader.reports.page import page
from tests.cli import Outcome, command, environment, run
from tests.conftest import RedisServer, Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import until
from tests.integration.tool import NOWHERE, Redis, Tool, assert_error, assert_fine

MakeServer = Callable[..., RedisServer]

TEMPLATE = '{"n": "{{ int(1, 6) }}"}'
SUM = ("loaded", "rejected")
STATES = ("pending", "active", "scheduled", "retry", "archived", "completed")
SECRET = "p4ss w0rd/@"


@pytest.fixture
def template(tool: Tool) -> Tool:
    tool.write("t.json", TEMPLATE)
    return tool


def points(outcome: Outcome) -> list[dict[str, Any]]:
    """The intervals, whose sums are the counts of the load."""
    report = outcome.report
    found: list[dict[str, Any]] = report["series"]["points"]
    for name in SUM:
        assert sum(point[name] for point in found) == report[name]
    assert [point["at"] for point in found] == sorted(point["at"] for point in found)
    return found


GENERATED = ("--generate", "t.json", "-q", "q")


@pytest.mark.parametrize("layout", [("documented",), ("asynq", "--type", "t")], ids=lambda words: words[0])
def test_a_series_has_the_tasks_of_each_interval_and_the_state_of_the_queue(
    template: Tool, db: Redis, layout: tuple[str, ...]
) -> None:
    done = template.load(*GENERATED, "--count", "150000", "--series", "0.2", "--layout", *layout)

    assert_fine(done)
    series = points(done)
    assert len(series) > 1
    assert series[-1]["pending"] == 150_000
    assert [series[-1][name] for name in STATES[1:]] == [0] * 5
    assert (series[-1]["oldest_pending_seconds"] is not None) == (layout[0] == "asynq")
    assert series[0]["p50"] is series[0]["intended"] is series[0]["histogram"] is None
    assert done.report["series"]["queues"] == ["q.default"]
    assert done.report["series"]["interval"] == 0.2


def test_several_processes_make_one_series(tool: Tool, db: Redis) -> None:
    with tool.write("in.jsonl", "").open("w") as file:
        file.writelines(f'{{"n":{number},"filler":"{"x" * 6000}"}}\n' for number in range(9000))

    done = tool.load("in.jsonl", "-q", "q", "-p", "2", "--series", "0.1")

    assert_fine(done)
    assert done.report["processes"] == 2
    assert points(done)[-1]["pending"] == 9000


def test_a_paced_load_has_what_was_intended_and_the_latencies_of_each_interval(template: Tool, db: Redis) -> None:
    done = template.load(*GENERATED, "--count", "600", "--rate", "300/s", "--series", "0.5")

    assert_fine(done)
    series, report = points(done), done.report
    assert sum(point["intended"] for point in series) == report["pace"]["intended"] == 600
    assert all(point["p50"] <= point["p99"] <= point["max"] for point in series if point["p50"] is not None)
    assert max(point["max"] or 0 for point in series) == report["latency"]["max"]


def test_a_target_without_a_queue_has_rates_and_a_page(template: Tool) -> None:
    done = template.load(
        *GENERATED, "--count", "5000", "--series", "0.1", "--html", "r.html", "--layout", "documented", url="discard"
    )

    assert_fine(done)
    assert points(done)[-1]["pending"] is None
    assert done.report["server"] is None
    assert "Queue length" not in (template.folder / "r.html").read_text()


def test_queues_that_records_name_are_looked_at_together(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", "".join(f'{{"to":"q{number % 3}"}}\n' for number in range(3000)))

    done = tool.load("in.jsonl", "--queue-field", "to", "--series", "0.1")

    assert_fine(done)
    assert points(done)[-1]["pending"] == 3000
    assert done.report["series"]["queues"] == ["q0.default", "q1.default", "q2.default"]


def test_queues_on_several_nodes_of_a_cluster_are_looked_at_together(tool: Tool, cluster: Cluster) -> None:
    tool.write("in.jsonl", "".join(f'{{"to":"queue{number % 8}"}}\n' for number in range(4000)))

    done = tool.load(
        "in.jsonl", "--queue-field", "to", "--series", "0.1", "--layout", "asynq", "--type", "t", url=cluster.url
    )

    assert done.status == 0, done.stderr
    assert points(done)[-1]["pending"] == 4000
    assert done.report["server"]["primaries"] == 3


def test_the_report_says_what_it_was_measured_on(template: Tool, db: Redis) -> None:
    done = template.load(*GENERATED, "--count", "10", "--series", "1", "--workers", "3")

    report = done.report
    assert report["command"].startswith("runqy-loader load --generate t.json -q q --count 10")
    assert report["options"]["--workers"] == "3"
    assert report["machine"]["cores"] >= 1
    info = db.info()
    assert report["server"]["make"] == "valkey"
    assert report["server"]["version"] == info["valkey_version"]
    assert report["server"]["round_trip_ms"] > 0
    assert report["server"]["persistence"] == "none"


def test_without_the_option_the_report_has_no_series_and_the_job_never_keeps_it(template: Tool, db: Redis) -> None:
    plain = template.load(*GENERATED, "--count", "10", "--job", "plain")
    noted = template.load(*GENERATED, "--count", "11", "--job", "noted", "--series", "1")

    assert "series" not in plain.report and "failed_conditions" not in plain.report
    assert "series" in noted.report
    kept = json.loads(db.hget("runqy-loader:{noted}:job", "report"))
    assert kept["loaded"] == 11
    assert "series" not in kept and "machine" not in kept


def test_a_server_that_is_away_for_a_time_leaves_intervals_without_a_queue(
    template: Tool, redis_server: MakeServer
) -> None:
    server = redis_server("--appendonly", "yes", "--appendfsync", "always")
    url = server.start().url
    with subprocess.Popen(
        command(
            "load", *GENERATED, "--count", "3000", "--rate", "1000/s", "--series", "0.2", "--redis", url,
            "--report", "report.json", "--quiet", "--retry-for", "60s",
        ),
        cwd=template.folder,
        env=environment(),
    ) as loading:  # fmt: skip
        with server.client() as client:
            until(lambda: client.llen("asynq:q.default:pending") > 0, "it loads")
        server.kill()
        time.sleep(1)
        server.start()
        loading.wait(90)

    assert loading.returncode == 0
    report = json.loads((template.folder / "report.json").read_text())
    series = report["series"]["points"]
    assert sum(point["loaded"] for point in series) == 3000
    assert any(point["pending"] is None for point in series)
    assert series[-1]["pending"] == 3000
    assert max(point["max"] or 0 for point in series) > 1000, "tasks that were due meanwhile have waited"


def test_the_connection_that_looks_at_the_queue_is_closed(template: Tool, db: Redis) -> None:
    template.load(*GENERATED, "--count", "10", "--series", "0.1")

    until(lambda: len(db.client_list()) == 1, "only the test's own connection is left")


def test_a_user_that_may_not_look_at_the_queue_has_the_rates(template: Tool, db: Redis, target: Server) -> None:
    db.acl_setuser("few", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-zcard", "-info"])
    try:
        done = template.load(
            *GENERATED, "--count", "1000", "--series", "0.1", "--layout", "asynq", "--type", "t", "--force-layout",
            url=target.url.replace("redis://", "redis://few:pw@"),
        )  # fmt: skip
    finally:
        db.acl_deluser("few")

    assert done.status == 0, done.stderr
    assert points(done)[-1]["pending"] is None
    assert done.report["server"].keys() == {"address", "primaries", "round_trip_ms"}


@pytest.mark.parametrize("option", ["--dry-run", "--preview=3"])
def test_a_run_that_loads_nothing_has_no_series(template: Tool, option: str) -> None:
    done = run("load", *GENERATED, "--count", "10", "--series", "1", option, "--redis", NOWHERE, cwd=template.folder)

    assert_error(done, 2, "--series", "Nothing is loaded")


def test_from_python_the_series_is_in_the_report(tmp_path: Path, valkey: Server) -> None:
    program = (
        "import asyncio, runqy_loader\n"
        "async def main():\n"
        f"    report = await runqy_loader.load([1, 2, 3], queue='q', redis={valkey.url!r}, series='1s')\n"
        "    print(sum(point.loaded for point in report.measured.points), report.measured.interval)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert done.stdout == "3 1.0\n" or done.stdout == "3 1\n", done.stderr


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_written_with_the_figures_of_the_report(template: Tool, db: Redis) -> None:
    done = template.load(*GENERATED, "--count", "400", "--rate", "200/s", "--html", "report.html")

    assert_fine(done)
    assert done.report["series"]["interval"] == 1
    text = (template.folder / "report.html").read_text()
    assert text == page(done.report)
    assert list(template.folder.glob("*.part")) == []


def test_a_page_whose_name_ends_in_gz_is_gzip(template: Tool, db: Redis) -> None:
    assert_fine(template.load(*GENERATED, "--count", "10", "--html", "report.html.gz"))

    text = gzip.decompress((template.folder / "report.html.gz").read_bytes()).decode()
    assert text.startswith("<!DOCTYPE html>")


def test_a_load_that_is_interrupted_has_its_page(template: Tool, db: Redis) -> None:
    arguments = ("load", *GENERATED, "--count", "1000000", "--rate", "100/s", "--redis", template.url, "--quiet")
    with subprocess.Popen(
        command(*arguments, "--html", "report.html", "--report", "report.json"),
        cwd=template.folder,
        env=environment(),
    ) as loading:
        until(lambda: db.llen("asynq:q.default:pending") > 0, "it loads")
        loading.send_signal(signal.SIGINT)
        loading.wait(60)

    assert loading.returncode == 130
    text = (template.folder / "report.html").read_text()
    assert '<span class="status interrupted">' in text
    report = json.loads((template.folder / "report.json").read_text())
    assert report["series"]["points"][-1]["loaded"] == report["loaded"] > 0


def test_a_load_that_fails_has_its_page_with_the_reason(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", "1\n2\n" * 2000 + "bad\n")

    done = tool.load("in.jsonl", "-q", "q", "--max-errors", "0", "--html", "report.html")

    assert done.status == 1
    text = (tool.folder / "report.html").read_text()
    assert '<span class="status failed">' in text
    assert "in.jsonl:4001" in text
    assert "invalid_json" in text


def test_a_load_that_reaches_no_server_has_its_page(template: Tool) -> None:
    done = template.load(*GENERATED, "--count", "10", "--html", "report.html", url=NOWHERE)

    assert done.status == 1
    text = (template.folder / "report.html").read_text()
    assert "connection refused" in text
    assert "without --series" in text


def test_names_and_records_are_no_html(tool: Tool, db: Redis) -> None:
    name = "<script>alert(1)<b>.jsonl"
    tool.write(name, '1\n{"<script>alert(2)": }\n3\n')

    done = tool.load(name, "-q", "q", "--html", "report.html")

    assert done.status == 3
    text = (tool.folder / "report.html").read_text()
    assert "<script" not in text and "<b>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_passwords_are_in_no_report(template: Tool, redis_server: MakeServer) -> None:
    server = redis_server("--requirepass", SECRET)
    url = server.start().url.replace("redis://", "redis://:p4ss%20w0rd%2F%40@")

    done = run(
        "load", *GENERATED, "--count", "10", "--redis", url, "--html", "r.html", "--report", "r.json",
        cwd=template.folder, env={"RUNQY_LOADER_REDIS_PASSWORD_COMMAND": ""},
    )  # fmt: skip

    assert done.status == 0, done.stderr
    for name in ("r.html", "r.json"):
        text = (template.folder / name).read_text()
        assert "p4ss" not in text and "w0rd" not in text
        assert "PASSWORD@" in text


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("no/report.html", "--html no/report.html cannot be written"),
        ("report.csv", "--html report.csv: a name that ends in .csv says CSV"),
        ("t.json", "--generate and --html name the same file t.json"),
        ("report.json", "--report and --html name the same file report.json"),
        ("-", "--html must be a file, not standard output"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_load(
    template: Tool, db: Redis, html: str, told: str
) -> None:
    done = run(
        "load", *GENERATED, "--count", "10", "--html", html, "--report", "report.json", "--redis", template.url,
        cwd=template.folder,
    )  # fmt: skip

    assert_error(done, 2, told)
    assert db.dbsize() == 0


# --- conditions -------------------------------------------------------------------------------------------------------


def test_a_condition_that_is_met_makes_the_load_fail(template: Tool, db: Redis) -> None:
    done = template.load(
        *GENERATED, "--count", "100", "--fail-if", "pending>=100", "--fail-if", "rejected>0",
        "--fail-if", "tasks_per_second>0.001",
    )  # fmt: skip

    assert done.status == 4
    first, second = done.stderr.splitlines()
    assert first == "runqy-loader: --fail-if pending>=100: pending was 100"
    assert re.fullmatch(r"runqy-loader: --fail-if tasks_per_second>0.001: tasks_per_second was [\d,.]+", second)
    assert done.report["status"] == "completed"
    assert done.report["failed_conditions"][0] == "pending>=100: pending was 100"
    assert db.llen("asynq:q.default:pending") == 100


def test_a_load_without_a_condition_that_is_met_is_as_any_other(template: Tool, db: Redis) -> None:
    done = template.load(
        *GENERATED, "--count", "100", "--rate", "1000/s", "--fail-if", "p99>1000s", "--fail-if", "rejected>0"
    )

    assert_fine(done)
    assert done.report["failed_conditions"] == []


def test_a_load_with_rejects_fails_by_a_condition_and_is_otherwise_as_before(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", "1\nbad\n3\n")

    done = tool.load("in.jsonl", "-q", "q", "--fail-if", "rejected>50%")
    again = tool.load("in.jsonl", "-q", "q", "--again", "--fail-if", "rejected>30%")

    assert (done.status, again.status) == (3, 4)
    assert again.report["failed_conditions"] == ["rejected>30%: rejected was 33.3%"]


def test_a_load_that_failed_is_not_judged(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", "1\nbad\n")

    done = tool.load("in.jsonl", "-q", "q", "--max-errors", "0", "--fail-if", "rejected>0")

    assert done.status == 1
    assert "failed_conditions" not in done.report
    assert "--fail-if" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--fail-if", "p99>50ms"), "--fail-if p99>50ms: this load has not got latencies"),
        (("--fail-if", "rate_error>1%"), "this load has not got an intended rate"),
        (("--fail-if", "pending>1", "--redis", "discard"), "this load has not got a queue that is looked at"),
        (("--fail-if", "p98>50ms"), "--fail-if must name one of the figures tasks_per_second, p50"),
        (("--fail-if", "p99>50"), "--fail-if must have one of these units for p99: ms, s, us, not 'p99>50'"),
        (("--fail-if", "p99"), "--fail-if must be a figure"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_a_condition_that_cannot_be_judged_is_refused_before_the_load(
    template: Tool, db: Redis, arguments: tuple[str, ...], told: str
) -> None:
    done = run("load", *GENERATED, "--count", "10", *arguments, cwd=template.folder, env={"REDIS_URL": template.url})

    assert_error(done, 2, told)
    assert db.dbsize() == 0
