"""Tasks in a layout that the target's consumers never see are refused; what is left behind, or others', is not."""

from __future__ import annotations

import json
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
    """Loads two records into queue ``q`` (``q.default``), quietly."""

    def loaded(*arguments: str, queue: str = "q") -> Outcome:
        (tmp_path / "in.jsonl").write_bytes(b'{"queue":"q"}\n{"queue":"q"}\n')
        shared = ("--redis", valkey.url, "--quiet", "--report", "-")
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


# --- doctor --------------------------------------------------------------------------------------------------------


def test_doctor_tells_the_other_layout_also_without_a_queue(db: Redis, valkey: Server, tmp_path: Path) -> None:
    db.sadd("asynq:queues", "mail")
    db.lpush("asynq:{mail}:pending", "x")

    assert "(mail)" in warning(valkey.url, tmp_path)
    assert warning(valkey.url, tmp_path, "--layout", "asynq", "--type", "t") == ""


def test_what_is_forced_is_still_told(db: Redis, valkey: Server, tmp_path: Path) -> None:
    asynq_server(db, "q.default")

    assert "--force-layout" in warning(valkey.url, tmp_path, "-q", "q", "--force-layout")
