"""Tasks in a layout that the target's consumers never see are refused; what is left behind, or others', is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.consumers import LONG_AGO, SOON, asynq_server, runqy_worker

Redis = Any
Load = Callable[..., Outcome]


@pytest.fixture
def load(valkey: Server, tmp_path: Path) -> Load:
    """Loads two records into queue ``q`` (``q.default``), quietly; without ``--layout`` in the documented layout."""

    def loaded(*arguments: str, queue: str = "q") -> Outcome:
        (tmp_path / "in.jsonl").write_bytes(b'{"queue":"q"}\n{"queue":"q"}\n')
        shared = ("--redis", valkey.url, "--quiet", "--report", "-")
        if "--layout" not in arguments:
            arguments = ("--layout", "documented", *arguments)
        return run("load", "in.jsonl", *(("-q", queue) if queue else ()), *shared, *arguments, cwd=tmp_path)

    return loaded


@pytest.fixture
def db(valkey: Server) -> Redis:
    with valkey.client() as client:
        yield client


def assert_refused(done: Outcome, db: Redis, *words: str, hint: str = "--layout asynq") -> None:
    assert done.status == 1, done
    (line,) = done.stderr.splitlines()
    for word in (*words, hint, "--force-layout"):
        assert word in line
    assert db.keys("*runqy-loader*") == []  # nothing was written, not even the job


def assert_loaded(done: Outcome) -> None:
    assert (done.status, done.stderr) == (0, ""), done
    assert done.report["loaded"] == 2


def warning(url: str, folder: Path, *arguments: str) -> str:
    """What doctor warns of about the layout; empty where it finds none."""
    if "--layout" not in arguments:
        arguments = ("--layout", "documented", *arguments)
    done = run("doctor", "--redis", url, "--json", *arguments, cwd=folder)
    (finding,) = [finding for finding in json.loads(done.stdout)["findings"] if finding["name"] == "layout"]
    assert finding["level"] in ("ok", "warning"), finding
    return str(finding["text"]) if finding["level"] == "warning" else ""


# --- a load in the documented layout -------------------------------------------------------------------------------


@pytest.mark.parametrize("queues", [("q.default", "other"), ()], ids=["which serves this queue", "of unknown queues"])
def test_documented_is_refused_where_a_server_of_asynqs_lives(db: Redis, load: Load, queues: tuple[str, ...]) -> None:
    asynq_server(db, *queues)

    assert_refused(load(), db, "queue q.default is served by 1 worker of the asynq layout (host:1)")
    assert_loaded(load("--force-layout"))


def test_documented_is_refused_where_a_worker_of_runqys_lives(db: Redis, load: Load) -> None:
    runqy_worker(db, "q.default", "q.high")

    assert_refused(load(), db, "1 worker of the asynq layout (host:7)")
    assert_loaded(load("--force-layout"))


def test_documented_is_refused_where_records_name_their_queues_and_all_consumers_read_asynq(
    db: Redis, load: Load
) -> None:
    asynq_server(db, "other")

    assert_refused(load("--queue-field", "queue", queue=""), db, "all who consume")


@pytest.mark.parametrize("options", [("--queue-field", "queue"), ("--envelope",)], ids=["a field", "an envelope"])
def test_a_fallback_queue_does_not_hide_that_all_consumers_read_asynq(
    db: Redis, load: Load, options: tuple[str, ...]
) -> None:
    db.lpush("asynq:q.default:pending", "x")
    asynq_server(db, "other")

    assert_refused(load(*options), db, "all who consume")


@pytest.mark.parametrize("key", ["pending", "active", "scheduled", "completed", "processed"])
def test_documented_is_refused_where_the_queue_has_keys_of_asynqs(db: Redis, load: Load, key: str) -> None:
    db.set(f"asynq:{{q.default}}:{key}", "anything")

    assert_refused(load(), db, "keys of the asynq layout (asynq:{q.default}:…)")
    assert_loaded(load("--force-layout"))


def test_documented_is_refused_into_a_queue_that_was_loaded_with_layout_asynq(db: Redis, load: Load) -> None:
    assert_loaded(load("--layout", "asynq", "--job", "a"))
    db.delete(*db.keys("*runqy-loader*"))

    assert_refused(load(), db)


@pytest.mark.parametrize("ends", [LONG_AGO, SOON], ids=["on time", "by a clock that is ahead"])
def test_documented_is_loaded_where_servers_of_asynqs_are_gone(db: Redis, load: Load, ends: float) -> None:
    asynq_server(db, "q.default", ends=ends, living=False)

    assert_loaded(load())


def test_documented_is_refused_where_a_server_of_asynqs_lives_whose_clock_is_behind(db: Redis, load: Load) -> None:
    asynq_server(db, "q.default", ends=LONG_AGO)

    assert_refused(load(), db, "queue q.default is served by 1 worker of the asynq layout (host:1)")


@pytest.mark.parametrize("how", [{"living": False}, {"status": "stopped"}], ids=["no heartbeat", "stopped"])
def test_documented_is_loaded_where_workers_of_runqys_are_gone(db: Redis, load: Load, how: dict[str, Any]) -> None:
    runqy_worker(db, "q.default", **how)

    assert_loaded(load())


def test_documented_is_refused_where_asynq_consumers_serve_other_queues_until_a_documented_key_tells_of_this_one(
    db: Redis, load: Load, valkey: Server, tmp_path: Path
) -> None:
    asynq_server(db, "mail", "billing")
    db.lpush("asynq:{mail}:pending", "x")
    db.sadd("asynq:queues", "mail", "billing")

    assert_refused(load(), db, "other queues are served by 1 worker of the asynq layout (host:1), not q.default")

    db.lpush("asynq:q.default:pending", "x")
    assert "other queues are served by 1 worker of the asynq layout (host:1), not q.default" in warning(
        valkey.url, tmp_path, "-q", "q"
    )
    assert_loaded(load())


def test_documented_is_loaded_where_asynq_queues_names_the_queue_and_nothing_else_tells_of_it(
    db: Redis, load: Load, valkey: Server, tmp_path: Path
) -> None:
    db.sadd("asynq:queues", "q.default")

    assert "asynq:queues names q.default" in warning(valkey.url, tmp_path, "-q", "q")
    assert_loaded(load())


def test_documented_is_loaded_over_leftovers_of_asynqs_where_old_workers_of_runqys_live(
    db: Redis, load: Load, valkey: Server, tmp_path: Path
) -> None:
    db.lpush("asynq:{q.default}:completed", "x")
    runqy_worker(db, "q.default", old=True)

    assert "used in both layouts" in warning(valkey.url, tmp_path, "-q", "q")
    assert_loaded(load())


def test_documented_is_loaded_again_and_again(db: Redis, load: Load) -> None:
    for job in ("a", "b"):
        assert_loaded(load("--job", job, "--again"))
    assert load("--job", "b").report["already_loaded"] == 2


# --- a load in the asynq layout ------------------------------------------------------------------------------------


def test_asynq_is_refused_where_tasks_wait_in_the_documented_layout(db: Redis, load: Load) -> None:
    assert_loaded(load("--job", "a"))
    db.delete(*db.keys("*runqy-loader*"))

    refused = load("--layout", "asynq")

    hint = "--layout documented"
    assert_refused(refused, db, "queue q.default", "asynq:q.default:pending holds 2 tasks", hint=hint)
    assert_loaded(load("--layout", "asynq", "--force-layout"))


def test_asynq_is_refused_where_only_old_workers_of_runqys_live(db: Redis, load: Load) -> None:
    runqy_worker(db, "q.default", old=True)

    assert_refused(load("--layout", "asynq"), db, "of the documented layout (host:7)", hint="--layout documented")


@pytest.mark.parametrize("sign", ["server", "worker", "keys", "listed"])
def test_asynq_is_loaded_beside_documented_tasks_where_anything_tells_of_asynq(
    db: Redis, load: Load, valkey: Server, tmp_path: Path, sign: str
) -> None:
    db.lpush("asynq:q.default:pending", "x")
    match sign:
        case "server":
            asynq_server(db, "q.default")
        case "worker":
            runqy_worker(db, "q.default")
        case "keys":
            db.set("asynq:{q.default}:processed", 1)
        case _:
            db.sadd("asynq:queues", "q.default")

    assert "holds 1 tasks of the documented one" in warning(valkey.url, tmp_path, "-q", "q", "--layout", "asynq")
    assert_loaded(load("--layout", "asynq"))


def test_asynq_is_loaded_where_nothing_is_known_and_again(db: Redis, load: Load) -> None:
    for job in ("a", "b"):
        assert_loaded(load("--layout", "asynq", "--job", job, "--again"))


def test_asynq_is_loaded_where_the_documented_tasks_are_another_queues(db: Redis, load: Load) -> None:
    db.lpush("asynq:other.default:pending", "x")

    assert_loaded(load("--layout", "asynq"))


# --- --layout auto -------------------------------------------------------------------------------------------------

AUTO = ("--layout", "auto")


def chosen(url: str, folder: Path, *arguments: str) -> tuple[str, str]:
    """The layout that doctor says auto would choose, or ``auto`` if none; and the text of the finding."""
    done = run("doctor", "--redis", url, "--json", *arguments, cwd=folder)
    report = json.loads(done.stdout)
    (finding,) = [finding for finding in report["findings"] if finding["name"] == "layout"]
    assert (report["layout"] == "auto") is (finding["level"] == "error") is (done.status == 1), report
    return report["layout"], finding["text"]


@pytest.mark.parametrize(
    "sign", ["worker", "server", "keys", "groups", "listed", "elsewhere", "others listed", "old worker", ""]
)
def test_auto_loads_in_the_layout_that_the_server_is_used_with_and_says_why(
    db: Redis, valkey: Server, tmp_path: Path, sign: str
) -> None:
    reasons = {
        "worker": "queue q.default is served by 1 worker of the asynq layout (host:7)",
        "server": "queue q.default is served by 1 worker of the asynq layout (host:1)",
        "keys": "queue q.default has keys of the asynq layout (asynq:{q.default}:…)",
        "groups": "queue q.default has keys of the asynq layout (asynq:{q.default}:…)",
        "listed": "asynq:queues names q.default",
        "elsewhere": "other queues are served by 1 worker of the asynq layout (host:1)",
        "others listed": "asynq:queues names queues (mail)",
        "old worker": "queue q.default is served by 1 worker of the documented layout (host:7)",
        "": "as in runqy's guide, since no worker here and no key of the queue shows a layout",
    }
    match sign:
        case "worker" | "old worker":
            runqy_worker(db, "q.default", old=sign == "old worker")
        case "server" | "elsewhere":
            asynq_server(db, "q.default" if sign == "server" else "mail")
        case "keys":
            db.set("asynq:{q.default}:processed", 1)
        case "groups":
            db.sadd("asynq:{q.default}:groups", "g")
        case "listed" | "others listed":
            db.sadd("asynq:queues", "q.default" if sign == "listed" else "mail")
    layout = "documented" if sign in ("old worker", "") else "asynq"
    (tmp_path / "in.jsonl").write_bytes(b"1\n2\n")

    doctor = chosen(valkey.url, tmp_path, "-q", "q")
    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--report", "report.json", cwd=tmp_path)

    assert done.status == 0, done
    assert f"layout {layout}: {reasons[sign]}" in done.stderr
    assert doctor[0] == layout and f"auto chooses {layout}: {reasons[sign]}" in doctor[1]
    assert json.loads((tmp_path / "report.json").read_text())["layout"] == layout
    pending = "asynq:{q.default}:pending" if layout == "asynq" else "asynq:q.default:pending"
    assert db.llen(pending) == 2


@pytest.mark.parametrize("sign", ["keys of both", "elsewhere", "both served"])
def test_auto_refuses_signs_that_contradict_each_other_and_each_named_option_works(
    db: Redis, load: Load, valkey: Server, tmp_path: Path, sign: str
) -> None:
    db.lpush("asynq:q.default:pending", "x")
    match sign:
        case "keys of both":
            db.set("asynq:{q.default}:processed", 1)
        case "elsewhere":
            asynq_server(db, "mail")
        case _:
            asynq_server(db, "q.default")
            db.delete("asynq:workers")
            runqy_worker(db, "q.default", old=True)

    done = load(*AUTO)

    assert (done.status, done.report["error_code"]) == (1, "layout_mismatch")
    assert "the layout cannot be chosen: " in done.stderr
    assert db.keys("*runqy-loader*") == []
    options = re.findall(r"--layout [a-z]+(?: --force-layout)?", done.stderr)
    assert {option.split()[1] for option in options} == {"asynq", "documented"}
    for number, option in enumerate(sorted(options, reverse=True)):  # a load in layout asynq leaves keys
        assert load(*option.split(), "--job", f"j{number}", "--again").status == 0
    assert chosen(valkey.url, tmp_path, "-q", "q")[0] == "auto"


@pytest.mark.parametrize("options", [("--retention", "1h"), ("--profile", "asynq", "--type", "t")], ids=" ".join)
def test_an_option_of_the_asynq_layout_decides_and_contradicts_documented_tasks(
    db: Redis, load: Load, options: tuple[str, ...]
) -> None:
    assert load(*AUTO, *options).report["layout"] == "asynq"
    db.flushdb()
    db.lpush("asynq:q.default:pending", "x")
    db.lpush("asynq:q:pending", "x")

    refused = load(*AUTO, *options)

    assert refused.status == 1
    assert f"{options[0]}" in refused.stderr and "needs --layout asynq, but queue q" in refused.stderr
    assert "--layout documented" in refused.stderr


def test_a_job_keeps_its_layout_and_says_when_the_server_is_used_otherwise_by_now(db: Redis, load: Load) -> None:
    first = load(*AUTO, "--job", "j")
    db.hset("runqy-loader:{j}:job", "state", "loading")
    db.delete("{asynq:q.default:pending}:runqy-loader:j:0:batches", "asynq:q.default:pending")
    db.set("asynq:{q.default}:processed", 1)  # by itself, this would choose asynq

    refused = load(*AUTO, "--job", "j")
    resumed = load(*AUTO, "--job", "j", "--force-layout")

    assert first.report["layout"] == "documented"
    assert refused.status == 1
    assert "job j was begun with layout documented, but " in refused.stderr
    assert "--force-layout to complete it in layout documented" in refused.stderr
    assert (resumed.status, resumed.report["layout"], resumed.report["resumed"]) == (0, "documented", True)
    assert resumed.report["loaded"] == 2


def test_an_option_of_the_asynq_layout_is_refused_for_a_job_that_was_begun_in_the_other(db: Redis, load: Load) -> None:
    assert load(*AUTO, "--job", "j").report["layout"] == "documented"
    db.delete("asynq:q.default:pending")  # no sign is left: the job alone says it

    refused = load(*AUTO, "--job", "j", "--retention", "1h")

    assert (refused.status, refused.report["error_code"]) == (1, "job_mismatch")
    assert "job j was begun with layout documented, but --retention needs layout asynq" in refused.stderr


@pytest.mark.parametrize("options", [("--dry-run",), ("--redis", "discard"), ("--redis", "embedded")], ids=" ".join)
@pytest.mark.parametrize("needs", [(), ("--retention", "1h")], ids=["nothing", "asynq"])
def test_without_a_server_in_use_options_alone_decide(
    tmp_path: Path, options: tuple[str, ...], needs: tuple[str, ...]
) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"1\n")
    done = run("load", "in.jsonl", "-q", "q", *options, *needs, "--quiet", "--report", "-", cwd=tmp_path)
    assert done.status == 0, done
    assert done.report["layout"] == ("asynq" if needs else "documented")


# --- queues and start times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queue", "served", "told"),
    [
        ("mail", "mail", "--profile asynq"),
        ("mial", "mail.default", "did you mean mail.default?"),
        ("Mail.Default", "mail.default", "did you mean mail.default?"),
    ],
)
def test_a_queue_that_no_worker_serves_is_refused_where_one_of_nearly_its_name_is_served(
    db: Redis, load: Load, valkey: Server, tmp_path: Path, queue: str, served: str, told: str
) -> None:
    asynq_server(db, served)

    refused = load(*AUTO, queue=queue)
    doctor = json.loads(run("doctor", "--redis", valkey.url, "--json", "-q", queue, cwd=tmp_path).stdout)
    forced = load(*AUTO, "--force-queue", queue=queue)

    assert (refused.status, refused.report["error_code"]) == (1, "unknown_queue")
    assert "no worker serves queue" in refused.stderr and told in refused.stderr
    (found,) = [finding for finding in doctor["findings"] if finding["name"] == "queue_name"]
    assert (found["level"], doctor["level"]) == ("error", "error")
    assert found["text"] in refused.stderr
    assert (forced.status, forced.report["loaded"]) == (0, 2)


def test_the_whole_name_says_that_the_queue_is_meant(db: Redis, load: Load) -> None:
    asynq_server(db, "mail")

    assert load(*AUTO, queue="mail.default").report["loaded"] == 2
    assert load(*AUTO, "--profile", "asynq", "--type", "t", queue="mail").report["loaded"] == 2
    assert (db.llen("asynq:{mail.default}:pending"), db.llen("asynq:{mail}:pending")) == (2, 2)


@pytest.mark.parametrize("start", [("--process-in", "2s"), ("--process-at", "2100-01-01T00:00:00Z")], ids=" ".join)
def test_a_start_time_is_refused_where_only_runqys_workers_would_take_the_tasks(
    db: Redis, load: Load, valkey: Server, tmp_path: Path, start: tuple[str, str]
) -> None:
    runqy_worker(db, "q.default")

    refused = load(*AUTO, *start)
    doctor = json.loads(run("doctor", "--redis", valkey.url, "--json", "-q", "q", *start, cwd=tmp_path).stdout)
    assert db.keys("*runqy-loader*") == []
    forced = load(*AUTO, *start, "--force-schedule", "--job", "forced")
    asynq_server(db, "q.default", number=2)
    seen = load(*AUTO, *start, "--job", "seen", "--again")

    assert (refused.status, refused.report["error_code"]) == (1, "never_scheduled")
    assert "would never run" in refused.stderr and "--force-schedule" in refused.stderr
    (found,) = [finding for finding in doctor["findings"] if finding["name"] == "schedule"]
    assert found["level"] == "error" and found["text"] in refused.stderr
    assert forced.report["loaded"] == seen.report["loaded"] == 2
    assert db.zcard("asynq:{q.default}:scheduled") == 4


@pytest.mark.parametrize("processes", ["1", "2"])
def test_envelopes_with_a_start_time_are_rejected_where_nothing_would_run_them(
    db: Redis, valkey: Server, tmp_path: Path, processes: str
) -> None:
    runqy_worker(db, "q.default")
    asynq_server(db, "r.default")
    lines = [f'{{"payload":{n},"queue":"{queue}","process_in":"1h"}}' for n, queue in enumerate(("q", "r"))]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, '{"payload":2}']) + "\n")
    shared = ("--redis", valkey.url, "-q", "q", "--envelope", "--quiet", "--report", "-", "-p", processes)

    done = run("load", "in.jsonl", *shared, cwd=tmp_path)
    forced = run("load", "in.jsonl", *shared, "--force-schedule", "--job", "forced", "--again", cwd=tmp_path)

    assert (done.status, done.report["loaded"], done.report["rejected"]) == (3, 2, 1)
    (rejects,) = tmp_path.glob("*.rejects.jsonl")
    reject = json.loads(rejects.read_text())
    assert reject["line"] == 1 and "no asynq server serves queue q.default" in reject["reason"]
    assert db.zcard("asynq:{r.default}:scheduled") == 2  # of both loads
    assert (forced.status, forced.report["loaded"]) == (0, 3)


# --- doctor --------------------------------------------------------------------------------------------------------


def test_doctor_tells_the_other_layout_also_without_a_queue(db: Redis, valkey: Server, tmp_path: Path) -> None:
    db.sadd("asynq:queues", "mail")
    db.lpush("asynq:{mail}:pending", "x")

    assert "(mail)" in warning(valkey.url, tmp_path)
    assert warning(valkey.url, tmp_path, "--layout", "asynq", "--type", "t") == ""


def test_what_is_forced_is_still_told(db: Redis, valkey: Server, tmp_path: Path) -> None:
    asynq_server(db, "q.default")

    assert "--force-layout" in warning(valkey.url, tmp_path, "-q", "q", "--force-layout")
