"""Loading over HTTP: what is sent, what each answer comes to, and what a resume repeats."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, command, environment, run
from tests.conftest import Server, free_port
from tests.faults.helpers import until
from tests.runqy_api import KEY, Fault, RunqyApi


@pytest.fixture
def api() -> Iterator[RunqyApi]:
    with RunqyApi() as api:
        yield api


def load(api: RunqyApi, folder: Path, *arguments: str, key: str = KEY, env: dict[str, str] | None = None) -> Outcome:
    """A quiet load of ``in.jsonl`` into queue q, with its report on standard output."""
    given = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--report", "-", "--quiet", *arguments)
    return run(*given, cwd=folder, env={"RUNQY_API_KEY": key, **(env or {})})


def numbered(folder: Path, count: int) -> list[bytes]:
    lines = [b'{"n":  %d}' % n for n in range(count)]
    (folder / "in.jsonl").write_bytes(b"\n".join(lines))
    return lines


def data(api: RunqyApi, queue: str = "q.default") -> list[Any]:
    """The data of all tasks of a queue; a job of a batch holds it in its field."""
    found = [json.loads(payload) for payload in api.payloads(queue)]
    return [value["data"] if isinstance(value, dict) and "data" in value else value for value in found]


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    report = outcome.report
    return (report["records_read"], report["loaded"], report["already_loaded"], report["rejected"])


def rejected(folder: Path, outcome: Outcome) -> list[tuple[int, str]]:
    lines = (folder / outcome.report["rejects_file"]).read_text().splitlines()
    return sorted((line["line"], line["reason"]) for line in map(json.loads, lines))


def doubts(outcome: Outcome) -> list[tuple[int, int, bool]]:
    """First line, last line, and whether it was repeated, of each batch in doubt."""
    return sorted((d["first"]["line"], d["last"]["line"], d["repeated"]) for d in outcome.report["in_doubt"])


def assert_error(outcome: Outcome, status: int, *words: str) -> None:
    lines = outcome.stderr.splitlines()
    assert outcome.status == status and len(lines) == 1, outcome.stderr
    assert lines[0].startswith("runqy-loader: error: ") and "This is a bug" not in lines[0]
    for word in words:
        assert word in lines[0]


# --- what is sent --------------------------------------------------------------------------------------------------


def test_records_are_shaped_and_a_resume_leaves_out_the_same_ones(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.queues.add("low.default")
    shape = ("--where", "n >= `100`", "--set", "m='x'", "--limit", "150", "--queue-from", "n < `200` && 'low'")

    first, again = (load(api, tmp_path, *shape) for _ in range(2))

    assert data(api, "low.default") == [{"n": n, "m": "x"} for n in range(100, 200)]
    assert data(api) == [{"n": n, "m": "x"} for n in range(200, 250)]
    assert counts(first) == (300, 150, 0, 0)
    assert counts(again) == (300, 0, 150, 0)
    assert (first.report["filtered"], first.report["outside"]) == (100, 50)


def test_records_are_sent_byte_for_byte_a_hundred_a_request_over_kept_connections(
    api: RunqyApi, tmp_path: Path
) -> None:
    lines = numbered(tmp_path, 2050)

    done = load(api, tmp_path, "--http-connections", "3")

    assert (done.status, done.stderr) == (0, "")
    assert counts(done) == (2050, 2050, 0, 0)
    assert (done.report["layout"], done.report["queues"]) == ("http", {"q.default": 2050})
    assert (done.report["in_doubt"], done.report["unsettled_batches"]) == ([], 0)
    assert sorted(value["n"] for value in data(api)) == list(range(2050))
    assert len(api.bodies) == 21
    assert b'{"queue":"q.default","jobs":[{"data":%b}]}' % b'},{"data":'.join(lines[:100]) in api.bodies
    assert api.most_at_once <= 3 and len(api.connections) <= 3


def test_a_task_timeout_goes_into_each_request(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)

    done = load(api, tmp_path, "--task-timeout", "5m")

    assert done.status == 0, done.stderr
    assert api.bodies == [b'{"queue":"q.default","timeout":300,"jobs":[{"data":{"n":  0}}]}']


def test_in_single_mode_each_record_is_a_request_of_its_own(api: RunqyApi, tmp_path: Path) -> None:
    lines = numbered(tmp_path, 120)
    api.invalid = lambda payload: payload["n"] == 7

    done = load(api, tmp_path, "--http-mode", "single")

    assert done.status == 3, done.stderr
    assert set(api.paths) == {"/queue/add"}
    assert Counter(api.payloads()) == Counter(line for n, line in enumerate(lines) if n != 7)
    assert rejected(tmp_path, done) == [(8, "refused by the server: prompt is required")]


def test_records_go_to_the_queues_that_they_name(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n},"to":"{"abc"[n % 3]}"}}\n' for n in range(300)))

    with RunqyApi("a.default", "b.default") as api:
        done = load(api, tmp_path, "--queue-field", "to")

        assert done.status == 3, done.stderr
        assert counts(done) == (300, 200, 0, 100)
        assert {value["to"] for value in data(api, "a.default")} == {"a"}
        assert {why for _, why in rejected(tmp_path, done)} == {"queue 'c.default' does not exist"}


def test_a_dry_run_sends_nothing(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 10)

    done = load(api, tmp_path, "--dry-run")

    assert (done.status, done.report["valid"], api.bodies) == (0, 10, [])


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [True, False])
def test_jobs_that_the_server_refuses_are_rejected_with_its_reason(
    api: RunqyApi, tmp_path: Path, indexed: bool
) -> None:
    numbered(tmp_path, 250)
    api.indexed_errors = indexed
    api.refuses = lambda payload: "payload too old" if payload["n"] in (3, 120) else None

    done = load(api, tmp_path)

    assert done.status == 3, done.stderr
    assert counts(done) == (250, 248, 0, 2)
    why = "refused by the server: payload too old"
    assert rejected(tmp_path, done) == [(4, why), (121, why)]
    assert len(data(api)) == 248


def test_a_batch_that_is_refused_as_a_whole_keeps_its_reasons_in_order(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 3)
    api.refuses = lambda payload: f"no {payload['n']}"

    done = load(api, tmp_path)

    assert rejected(tmp_path, done) == [(n + 1, f"refused by the server: no {n}") for n in range(3)]


def test_what_cannot_be_told_apart_is_set_aside(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 3)
    api.refuses = lambda payload: "no" if payload["n"] == 1 else None
    api.forgetful = True

    done = load(api, tmp_path)

    assert counts(done) == (3, 0, 0, 3)


def test_a_record_that_makes_its_whole_request_invalid_is_rejected_alone(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.invalid = lambda payload: payload["n"] in (42, 43, 250)

    done = load(api, tmp_path)

    assert done.status == 3, done.stderr
    assert counts(done) == (300, 297, 0, 3)
    assert [line for line, _ in rejected(tmp_path, done)] == [43, 44, 251]
    assert sorted(value["n"] for value in data(api)) == [n for n in range(300) if n not in (42, 43, 250)]


def test_rejects_over_max_errors_stop_the_load(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.refuses = lambda payload: "no" if payload["n"] < 50 else None

    done = load(api, tmp_path, "--max-errors", "10")

    assert_error(done, 1, "more than --max-errors 10 records rejected")
    again = load(api, tmp_path)
    assert counts(again) == (300, 250 - done.report["loaded"], done.report["loaded"], 50)
    assert len(data(api)) == 250


def test_a_queue_that_does_not_exist_stops_the_load(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.queues = {"other.default"}

    done = load(api, tmp_path)

    assert_error(done, 1, "queue q.default does not exist", "queue not found: q.default")


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ((), "wrong", "refuses the API key (401 access unauthorized)"),
        (("--api-key-env", "OTHER_KEY"), KEY, "OTHER_KEY: this variable is not set"),
        ((), "s\u00e9cret", "holds characters that no header can"),
    ],
)
def test_a_key_that_is_wrong_is_an_error_and_never_shown(
    api: RunqyApi, tmp_path: Path, given: tuple[str, ...], key: str, words: str
) -> None:
    numbered(tmp_path, 1)

    done = load(api, tmp_path, *given, key=key)

    assert words in done.stderr and key not in done.stderr and api.tasks == {}
    assert done.status == (1 if key == "wrong" else 2)
    assert len(list(tmp_path.glob("*.journal"))) == (1 if key == "wrong" else 0)


def test_the_key_is_taken_from_the_variable_that_is_named(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)

    done = load(api, tmp_path, "--api-key-env", "OTHER_KEY", key="wrong", env={"OTHER_KEY": KEY})

    assert done.status == 0, done.stderr


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, body=b"<html>"),
        Fault(200, body=b"[]"),
        Fault(200, body=b'{"enqueued":1,"failed":0,"task_ids":["a"]}'),
        Fault(302, {"Location": "/login"}, body=b""),
        Fault(404, body=b"404 page not found"),
    ],
)
def test_an_answer_that_is_not_runqys_stops_the_load(api: RunqyApi, tmp_path: Path, fault: Fault) -> None:
    numbered(tmp_path, 2)
    api.rule = lambda number, body: fault

    assert_error(load(api, tmp_path), 1, "answer", "Check the URL in --to")


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_for_time_gets_it_and_nothing_is_in_doubt(api: RunqyApi, tmp_path: Path, form: str) -> None:
    numbered(tmp_path, 300)
    moments: list[float] = []

    def rule(number: int, body: dict[str, Any]) -> Fault | None:
        moments.append(time.monotonic())
        asked = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        return Fault(429, {"Retry-After": asked}) if number == 0 else None

    api.rule = rule
    done = load(api, tmp_path, "--http-connections", "1")

    assert done.status == 0, done.stderr
    assert moments[1] - moments[0] >= 0.9  # the least that was asked for, in either form
    assert doubts(done) == [] and len(data(api)) == 300


def test_a_server_that_asks_for_more_time_than_there_is_ends_the_load(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)
    api.rule = lambda number, body: Fault(429, {"Retry-After": "3600"})

    assert_error(load(api, tmp_path), 1, "for 3600 s, longer than --retry-for 60")


@pytest.mark.parametrize(
    ("fault", "reason", "twice"),
    [
        (Fault(500), "500 as the test wants it", 0),
        (Fault(500, carry_out=True), "500 as the test wants it", 100),
        (Fault(503, {"Retry-After": "0"}), "503", 0),
        (Fault(drop=True), "", 0),
        (Fault(drop=True, carry_out=True), "", 100),
        (Fault(hang=True, carry_out=True), "no answer in time", 100),
    ],
)
def test_a_batch_whose_outcome_is_unknown_is_repeated_and_named(
    api: RunqyApi, tmp_path: Path, fault: Fault, reason: str, twice: int
) -> None:
    numbered(tmp_path, 500)
    failed: list[int] = []

    def rule(number: int, body: dict[str, Any]) -> Fault | None:
        if body["jobs"][0]["data"]["n"] == 200 and not failed:
            failed.append(number)
            return fault
        return None

    api.rule = rule
    done = load(api, tmp_path, "--timeout", "2")

    assert done.status == 0, done.stderr
    assert counts(done) == (500, 500, 0, 0)
    assert doubts(done) == [(201, 300, True)]
    (doubt,) = done.report["in_doubt"]
    assert reason in doubt["reason"] and (doubt["records"], doubt["queue"]) == (100, "q.default")
    found = Counter(value["n"] for value in data(api))
    assert len(found) == 500
    assert sorted(n for n, count in found.items() if count == 2) == list(range(200, 200 + twice))


def test_a_fault_that_lasts_ends_the_load_and_a_resume_repeats_what_was_in_doubt_only(
    api: RunqyApi, tmp_path: Path
) -> None:
    numbered(tmp_path, 1000)
    api.rule = lambda number, body: Fault(500) if number >= 4 else None

    first = load(api, tmp_path, "--retry-for", "0.2", "--http-connections", "2")
    api.rule = None
    second = load(api, tmp_path, "--http-connections", "2")
    third = load(api, tmp_path)

    assert_error(first, 1, "the server failed (500 as the test wants it)", "gave up after 0.2 s")
    loaded = first.report["loaded"]
    assert loaded == 400 and 1 <= first.report["unsettled_batches"] <= 2
    assert second.status == 0, second.stderr
    assert counts(second) == (1000, 600, 400, 0)
    assert second.report["resumed"] and second.report["unsettled_batches"] == 0
    assert len(doubts(second)) == first.report["unsettled_batches"]
    assert {d["reason"] for d in second.report["in_doubt"]} == {"an earlier run ended before the server's answer"}
    assert sorted(value["n"] for value in data(api)) == list(range(1000))
    assert counts(third) == (1000, 0, 1000, 0) and doubts(third) == []


def test_a_doubt_that_a_killed_run_has_settled_is_named_by_the_next_run_that_reports(
    api: RunqyApi, tmp_path: Path
) -> None:
    numbered(tmp_path, 40)
    options = ("-b", "10", "--http-connections", "1")
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--quiet", *options)

    requests = 0
    running: list[subprocess.Popen[bytes]] = []

    def kill_at_each_second(number: int, body: object) -> None:
        nonlocal requests
        requests += 1
        if requests % 2 == 0:
            running[-1].kill()

    api.rule = kill_at_each_second
    for _ in range(2):  # the second run repeats a batch, and is killed when it sends the next one
        env = {**environment(), "RUNQY_API_KEY": KEY}
        with subprocess.Popen(command(*arguments), cwd=tmp_path, env=env) as process:
            running.append(process)
            assert process.wait(120) == -9
    api.rule = None
    third = load(api, tmp_path, *options)
    fourth = load(api, tmp_path, *options)

    assert third.status == fourth.status == 0, third.stderr
    assert doubts(third) == [(11, 20, True), (21, 30, True)]
    assert doubts(fourth) == []
    assert Counter(value["n"] for value in data(api)) == Counter([*range(40), *range(10, 30)])


def test_a_batch_that_is_refused_for_certain_is_not_in_doubt(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 2000)

    first = load(api, tmp_path, key="wrong")
    asked = len(api.bodies)
    second = load(api, tmp_path)

    assert_error(first, 1, "refuses the API key")
    assert asked == 1, "nothing else is on the way before the server has taken a batch"
    assert (first.report["unsettled_batches"], doubts(first)) == (0, [])
    assert second.status == 0, second.stderr
    assert second.report["resumed"] and counts(second) == (2000, 2000, 0, 0)
    assert doubts(second) == []
    path = next(tmp_path.glob("*.journal"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # it has ids
    with closing(sqlite3.connect(path)) as journal:
        assert journal.execute("SELECT count(*), count(crc) FROM batches").fetchone() == (20, 20)


def test_a_batch_in_doubt_stays_so_when_a_later_run_is_refused(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    api.rule = lambda number, body: Fault(500, carry_out=True)
    first = load(api, tmp_path, "--retry-for", "0")
    api.rule = None

    refused = load(api, tmp_path, key="wrong")
    last = load(api, tmp_path)

    assert first.report["unsettled_batches"] == refused.report["unsettled_batches"] == 1
    assert (last.status, doubts(last)) == (0, [(1, 100, True)]), last
    assert len(api.tasks) == 200


def test_a_batch_of_which_a_part_is_in_is_in_doubt_when_the_rest_is_refused(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 10)
    api.rule = lambda number, body: Fault(403) if number >= 5 else None

    first = load(api, tmp_path, "--http-mode", "single", "--batch-size", "10")
    api.rule = None
    second = load(api, tmp_path, "--http-mode", "single", "--batch-size", "10")

    assert first.status == 1 and first.report["unsettled_batches"] == 1
    assert (second.status, doubts(second)) == (0, [(1, 10, True)]), second
    assert Counter(value["n"] for value in data(api)) == Counter([*range(5), *range(10)])


def test_a_load_that_is_killed_sends_again_what_had_no_answer_and_names_it(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 2000)
    api.rule = lambda number, body: Fault(hang=True, carry_out=True) if number >= 5 else None
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--http-connections", "3", "--ids-out", "ids")
    loading = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(RUNQY_API_KEY=KEY), stderr=subprocess.DEVNULL
    )
    until(lambda: len(api.tasks) == 800, "five answers, and three requests without")
    loading.kill()
    loading.wait()
    api.rule = None

    done = load(api, tmp_path, "--ids-out", "ids")

    assert done.status == 0, done.stderr
    assert counts(done) == (2000, 1500, 500, 0)
    assert len(doubts(done)) == 3
    found = Counter(value["n"] for value in data(api))
    twice = {n for n, count in found.items() if count == 2}
    assert len(found) == 2000
    assert twice == {n for first, last, _ in doubts(done) for n in range(first - 1, last)}
    ids = [line.split("\t") for line in (tmp_path / "ids").read_text().splitlines()[1:]]
    assert len({i for i, _ in ids}) == len(ids) == 2000
    assert {json.loads(api.tasks[i][1])["data"]["n"] for i, _ in ids} == set(range(2000))


def test_an_interrupt_waits_for_the_answers_that_are_due(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 20_000)
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--report", "-", "--quiet", "--http-connections", "2")
    api.rule = lambda number, body: Fault(wait=True) if number >= 5 else None  # however late what follows is
    loading = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(RUNQY_API_KEY=KEY),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(lambda: len(api.bodies) > 5, "some requests")
    loading.send_signal(signal.SIGINT)
    api.gate.set()
    stdout, stderr = loading.communicate()

    assert loading.returncode == 130, stderr
    report = json.loads(stdout)
    assert report["unsettled_batches"] == 0 and report["loaded"] == len(api.tasks) < 20_000
    done = load(api, tmp_path)
    assert counts(done) == (20_000, 20_000 - report["loaded"], report["loaded"], 0)
    assert sorted(value["n"] for value in data(api)) == list(range(20_000))


def test_a_server_that_restarts_is_waited_for(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 20_000)
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--report", "-", "--quiet", "--http-connections", "2")
    api.rule = lambda number, body: Fault(wait=True) if number >= 5 else None  # however late what follows is
    loading = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(RUNQY_API_KEY=KEY),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(lambda: len(api.bodies) > 5, "some requests")
    api.down()
    time.sleep(0.3)
    api.rule = None
    api.up()
    stdout, stderr = loading.communicate()

    assert loading.returncode == 0, stderr
    assert json.loads(stdout)["loaded"] == 20_000
    assert {value["n"] for value in data(api)} == set(range(20_000))


def test_a_server_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    numbered(tmp_path, 1)
    url = f"http://127.0.0.1:{free_port()}"

    done = run("load", "in.jsonl", "--to", url, "-q", "q", "--quiet", cwd=tmp_path)

    assert_error(done, 1, url.removeprefix("http://"), "Check that the server runs there, and the URL in --to")


# --- the journal ---------------------------------------------------------------------------------------------------


def test_a_job_is_refused_with_other_content_and_goes_on_with_another_batch_size(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    assert load(api, tmp_path, "--job", "j").status == 0

    other_size = load(api, tmp_path, "--job", "j", "-b", "50")
    (tmp_path / "in.jsonl").write_text("1\n")
    other_content = load(api, tmp_path, "--job", "j")

    assert (other_size.status, counts(other_size)) == (0, (300, 0, 300, 0))
    assert_error(other_content, 1, "job j was begun with other content in in.jsonl")
    assert len(data(api)) == 300


def test_a_pipe_with_other_content_is_refused_where_it_differs(api: RunqyApi, tmp_path: Path) -> None:
    arguments = ("load", "-", "--to", api.url, "-q", "q", "--job", "j", "--quiet", "-b", "2")
    env = {"RUNQY_API_KEY": KEY}
    assert run(*arguments, cwd=tmp_path, env=env, stdin=b"1\n2\n3\n").status == 0

    done = run(*arguments, cwd=tmp_path, env=env, stdin=b"1\n9\n3\n")

    assert_error(done, 1, "the 2 records from here on are not the ones that job j has loaded")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE jobs SET queue = 'ga'", ": row 101: the 100 records from here on are not the ones that job j has"),
        ("DELETE FROM jobs WHERE queue = 'gb'", "has ended, and job j has loaded more records of it before"),
    ],
)
@pytest.mark.parametrize("by_field", [True, False])
def test_rows_that_have_changed_their_queue_or_are_gone_are_told(
    api: RunqyApi, tmp_path: Path, change: str, words: str, by_field: bool
) -> None:
    api.queues |= {"ga.default", "gb.default"}
    queue = ("--queue-field", "queue") if by_field else ("-q", "q")
    rows = [(n, "ga" if n <= 100 else "gb") for n in range(1, 201)]
    query = ("--sql", "select id, queue from jobs order by id", "--from", "sqlite:///r.db", "-b", "100", "--job", "j")
    arguments = ("load", *query, *queue, "--to", api.url, "-w", "1", "--quiet")
    env = {"RUNQY_API_KEY": KEY}
    with closing(sqlite3.connect(tmp_path / "r.db")) as database:
        database.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, queue)")
        database.executemany("INSERT INTO jobs VALUES (?, ?)", rows)
        database.commit()
        assert [run(*arguments, cwd=tmp_path, env=env).status for _ in range(2)] == [0, 0]
        database.execute(change)
        database.commit()
    assert_error(run(*arguments, cwd=tmp_path, env=env), 1, words)
    assert sum(len(data(api, f"{name}.default")) for name in ("q", "ga", "gb")) == 200


def test_a_pipe_whose_producer_died_is_sent_to_its_end_by_the_next_run(api: RunqyApi, tmp_path: Path) -> None:
    content = b"".join(b'{"n":%d}\n' % n for n in range(1000))
    arguments = ("load", "-", "--to", api.url, "-q", "q", "--job", "j", "--quiet", "-b", "30", "--report", "-")
    env = {"RUNQY_API_KEY": KEY}
    died = run(*arguments, cwd=tmp_path, env=env, stdin=content[:5003])
    whole = run(*arguments, cwd=tmp_path, env=env, stdin=content)
    again = run(*arguments, cwd=tmp_path, env=env, stdin=content)

    assert (died.status, whole.status, again.status) == (3, 0, 0)
    assert (counts(whole)[2], counts(again)) == (counts(died)[1], (1000, 0, 1000, 0))
    assert sorted(value["n"] for value in data(api)) == list(range(1000))


def test_one_loader_a_job(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.rule = lambda number, body: Fault(hang=True)
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--job", "j")
    loading = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(RUNQY_API_KEY=KEY), stderr=subprocess.DEVNULL
    )
    until(lambda: api.bodies, "a request")

    second = load(api, tmp_path, "--job", "j")

    loading.kill()
    loading.wait()
    assert_error(second, 1, "job j is being loaded by another process, which holds j.journal")


def test_a_note_that_a_crash_tore_is_passed_over(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    assert load(api, tmp_path, "--journal", "log").status == 0
    with closing(sqlite3.connect(tmp_path / "log", isolation_level=None)) as journal:
        journal.executescript("PRAGMA locking_mode = EXCLUSIVE; PRAGMA wal_autocheckpoint = 0")
        (checksum,) = journal.execute("SELECT crc FROM batches WHERE number = 2").fetchone()
        journal.execute("UPDATE batches SET crc = NULL WHERE number = 2")
        journal.execute("UPDATE batches SET crc = ? WHERE number = 2", (checksum,))
        database, log = (tmp_path / "log").read_bytes(), (tmp_path / "log-wal").read_bytes()
    (tmp_path / "log").write_bytes(database)
    (tmp_path / "log-wal").write_bytes(log[:-9])

    done = load(api, tmp_path, "--journal", "log")

    assert done.status == 0, done.stderr
    assert (done.report["loaded"], done.report["already_loaded"], len(doubts(done))) == (100, 200, 1)


def test_a_journal_that_cannot_be_written_any_more_ends_the_load_and_a_resume_completes_it(
    api: RunqyApi, tmp_path: Path
) -> None:
    # A disk that fills up takes the beginning of a write; here a limit does the same.
    numbered(tmp_path, 3000)
    api.rule = lambda number, body: Fault(hang=True) if number == 2 else None
    arguments = ("load", "in.jsonl", "--to", api.url, "-q", "q", "--job", "j", "--http-connections", "1", "--quiet")
    more = ("--timeout", "3", "--report", "report.json")
    loading = subprocess.Popen(
        command(*arguments, *more), cwd=tmp_path, env=environment(RUNQY_API_KEY=KEY), stderr=subprocess.PIPE
    )
    until(lambda: len(api.bodies) == 3, "a few requests")
    resource.prlimit(loading.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    _, told = loading.communicate(timeout=60)
    api.rule = None

    resumed = load(api, tmp_path, "--job", "j", "--http-connections", "1")

    errors = [line for line in told.decode().splitlines() if ": error: " in line]
    assert loading.returncode == 1
    assert len(errors) == 1 and "the journal j.journal cannot be written: " in errors[0]
    assert resumed.status == 0, resumed.stderr
    assert 0 < resumed.report["already_loaded"] < 3000
    assert {value["n"] for value in data(api)} == set(range(3000))
    report = json.loads((tmp_path / "report.json").read_text())
    repeated = sum(doubt["records"] for doubt in report["in_doubt"] + resumed.report["in_doubt"])
    assert len(data(api)) <= 3000 + repeated


def test_a_journal_of_an_earlier_version_is_refused(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)
    content = b'{"journal":1,"job":"j","ids":false,"manifest":{}}\n'
    (tmp_path / "log").write_bytes(content)

    assert_error(load(api, tmp_path, "--journal", "log"), 2, "--journal log was written by an earlier version")
    assert (tmp_path / "log").read_bytes() == content


def test_a_file_that_is_no_journal_is_left_as_it_is(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)
    for content in (b"precious", b'{"a":1}\n'):
        (tmp_path / "log").write_bytes(content)

        assert_error(load(api, tmp_path, "--journal", "log"), 2, "--journal log is not a journal")
        assert (tmp_path / "log").read_bytes() == content


def test_rejects_of_the_server_are_told_again_by_a_resume(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 300)
    api.refuses = lambda payload: "no" if payload["n"] == 5 else None

    first, second = load(api, tmp_path), load(api, tmp_path)

    assert counts(first) == (300, 299, 0, 1)
    assert counts(second) == (300, 0, 299, 1)
    assert rejected(tmp_path, second) == [(6, "refused by the server: no")]


def test_ids_cannot_be_asked_for_later(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)
    assert load(api, tmp_path).status == 0

    assert_error(load(api, tmp_path, "--ids-out", "ids"), 2, "was begun without --ids-out")


# --- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--redis", "redis://elsewhere"), "--redis and --to contradict each other"),
        (("--layout", "asynq"), "--layout and --to contradict each other"),
        (("--id-field", "id"), "--id-field and --to contradict each other"),
        (("--envelope",), "--envelope and --to contradict each other"),
        (("-p", "2"), "--processes and --to contradict each other"),
        (("--retention", "1h"), "--retention and --to contradict each other"),
        (("--to", "localhost:3000"), "--to is not a usable URL"),
        (("--to", "http://a..b:3000"), "--to: a part of the host's name is empty or too long"),
        (("--to", "http://user:pass@host"), "--to takes no user name"),
        (("--http-connections", "0"), "--http-connections must be between 1 and 256"),
        (("--journal", "x", "--rejects", "x"), "--journal and --rejects name the same file x"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    api: RunqyApi, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    numbered(tmp_path, 1)
    to = () if "--to" in arguments else ("--to", api.url)

    done = run("load", "in.jsonl", "-q", "q", "--quiet", *to, *arguments, cwd=tmp_path, env={"RUNQY_API_KEY": KEY})

    assert_error(done, 2, words)
    assert "pass@" not in done.stderr and api.bodies == []


@pytest.mark.parametrize("option", [("--http-mode", "single"), ("--journal", "j"), ("--api-key-env", "K")])
def test_options_of_http_need_it(valkey: Server, tmp_path: Path, option: tuple[str, str]) -> None:
    numbered(tmp_path, 1)

    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--quiet", *option, cwd=tmp_path)

    assert_error(done, 2, f"{option[0]} needs --to")


def test_a_redis_that_the_environment_names_is_no_contradiction(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 1)

    assert load(api, tmp_path, env={"REDIS_URL": "redis://elsewhere"}).status == 0


def test_the_closing_lines_tell_what_may_be_in_twice(api: RunqyApi, tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    api.rule = lambda number, body: Fault(500) if number == 0 else None

    done = run("load", "in.jsonl", "-q", "q", "--to", api.url, cwd=tmp_path, env={"RUNQY_API_KEY": KEY})

    assert done.status == 0, done.stderr
    assert "100  tasks were sent again and may be in twice: in.jsonl:1-100" in done.stderr


def test_a_resume_with_a_record_limit_that_does_not_fit_leaves_the_job_as_it_was(api: RunqyApi, tmp_path: Path) -> None:
    lines = [b'{"n":%d,"pad":"%b"}\n' % (n, b"x" * (3000 if n % 10 == 5 else 9)) for n in range(1000)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(lines))
    assert load(api, tmp_path).status == 0

    for limit in ("2000", "5"):
        assert load(api, tmp_path, "--max-record-bytes", limit).status == 1

    done = load(api, tmp_path)
    assert (done.status, counts(done)) == (0, (1000, 0, 1000, 0))
