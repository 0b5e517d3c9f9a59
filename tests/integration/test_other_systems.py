"""``migrate --from-system`` without a library: what is refused, and what is chosen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server


def migrate(server: Server, folder: Path, system: str, *more: str) -> Outcome:
    return run(
        "migrate", "--from-system", system, "--from-queue", "mail", "--from-redis", server.url, *more, cwd=folder
    )


def sidekiq(client: Any, first: int, last: int, **more: Any) -> None:
    """Pushes jobs as Sidekiq's client does."""
    jobs = [
        json.dumps({"class": "Send", "args": [number], "jid": f"{number:024}", "queue": "mail"} | more)
        for number in range(first, last)
    ]
    client.lpush("queue:mail", *jobs)


def test_a_queue_that_is_not_there(valkey: Server, tmp_path: Path) -> None:
    outcome = migrate(valkey, tmp_path, "bullmq")
    assert outcome.status == 1
    assert "--from-queue: BullMQ has no queue mail on" in outcome.stderr
    assert "bull:mail:wait" in outcome.stderr
    with valkey.client() as client:
        assert client.keys() == []


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["huey"], "Huey stores its jobs as pickles"),
        (["arq"], "arq stores its jobs as pickles"),
        (["celery", "--move"], "--move"),
        (["bullmq", "--unacked"], "--unacked is for celery and taskiq"),
        (["celery", "--from-layout", "asynq"], "--from-layout"),
        (["celery", "--profile", "asynq", "--to-layout", "documented"], "--profile asynq needs --to-layout asynq"),
        (["celery", "--to-queue", "a.b.c"], "--to-queue: queue name 'a.b.c' has more than one dot"),
    ],
)
def test_options_that_do_not_go(valkey: Server, tmp_path: Path, more: list[str], text: str) -> None:
    outcome = migrate(valkey, tmp_path, *more)
    assert outcome.status == 2, outcome.stderr
    assert text in outcome.stderr
    assert "Traceback" not in outcome.stderr
    with valkey.client() as client:
        assert client.keys() == []


def test_options_of_other_systems_need_one(valkey: Server, tmp_path: Path) -> None:
    for option in (["--payload", "envelope"], ["--unacked"], ["--from-prefix", "x"], ["--force-schedule"]):
        outcome = run("migrate", "--from-queue", "mail", "--from-redis", valkey.url, *option, cwd=tmp_path)
        assert outcome.status == 2
        assert "--from-system" in outcome.stderr


def test_a_template_makes_the_payload(server: Server, client: Any, tmp_path: Path) -> None:
    sidekiq(client, 0, 2)
    client.lpush("queue:mail", '{"class":"Send","args":[1.10,{"big":12345678901234567890}],"jid":"x","queue":"mail"}')
    client.lpush("queue:mail", '{"class":"Send","args":[],"jid":"y","queue":"mail"}')
    (tmp_path / "t").write_text(
        "arguments[0] && {\n  n: arguments[0], rest: arguments[1].big, was: [name, id, job.queue]\n}\n"
    )
    given = (
        "--payload",
        "template",
        "--payload-template",
        "t",
        "--to-layout",
        "documented",
        "--job",
        "j",
        "--report",
        "-",
    )
    done = migrate(server, tmp_path, "sidekiq", *given)
    assert done.status == 3, done.stderr
    assert (done.report["migrated"], done.report["rejected_by_code"]) == (2 + 1, {"bad_shape": 1})
    assert client.hget("asynq:t:x", "payload") == b'{"n":1.10,"rest":12345678901234567890,"was":["Send","x","mail"]}'
    assert client.hget(f"asynq:t:{1:024}", "payload") == b'{"n":1,"rest":null,"was":["Send","%024d","mail"]}' % 1
    (tmp_path / "t").write_text("id")
    other = migrate(server, tmp_path, "sidekiq", *given)
    assert other.status == 1
    assert "was begun with --select arguments[0] && {" in other.stderr
    assert ", not id." in other.stderr


@pytest.mark.parametrize("option", ["--select", "--payload-template"])
def test_a_template_may_be_given_at_the_command_line_or_by_a_pipe(
    server: Server, client: Any, tmp_path: Path, option: str
) -> None:
    sidekiq(client, 0, 2)
    text = 'name == "Send" || id'
    expression = text if option == "--select" else "/dev/stdin"  # which can be read once
    given = (
        "--from-system",
        "sidekiq",
        "--from-queue",
        "mail",
        "--from-redis",
        server.url,
        "--to-layout",
        "documented",
    )
    done = run("migrate", *given, "--payload", "template", option, expression, cwd=tmp_path, stdin=text.encode())
    assert done.status == 0, done.stderr
    assert client.hget(f"asynq:t:{1:024}", "payload") == b'"%024d"' % 1
    assert "compares with the field \"Send\"; as a text, it is written 'Send'" in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--payload", "template"], "need each other"),
        (["--payload-template", "t"], "need each other"),
        (["--select", "id"], "need each other"),
        (["--payload", "template", "--select", "id", "--payload-template", "t"], "--select"),
        (["--payload", "template", "--payload-template", "none"], "none cannot be read: No such file"),
        (["--payload", "template", "--payload-template", "t"], "the expression is not complete"),
    ],
)
def test_a_template_that_cannot_be_used(valkey: Server, tmp_path: Path, given: list[str], told: str) -> None:
    (tmp_path / "t").write_text("{a: ")
    outcome = migrate(valkey, tmp_path, "sidekiq", *given)
    assert outcome.status == 2, outcome.stderr
    assert told in outcome.stderr
    with valkey.client() as client:
        assert client.keys() == []


def test_a_key_of_another_type(server: Server, client: Any, tmp_path: Path) -> None:
    client.set("queue:mail", "text")
    outcome = migrate(server, tmp_path, "sidekiq")
    assert outcome.status == 1
    assert "key queue:mail" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_layout_of_the_target_is_chosen_once(server: Server, client: Any, tmp_path: Path) -> None:
    sidekiq(client, 0, 3)
    client.lpush("asynq:{mail.default}:active", "x")  # the target is used in the asynq layout
    first = migrate(server, tmp_path, "sidekiq")
    assert first.status == 0, first.stderr
    assert client.llen("asynq:{mail.default}:pending") == 3
    client.delete("asynq:{mail.default}:active")
    sidekiq(client, 3, 5)
    second = migrate(server, tmp_path, "sidekiq", "--report", "-")
    assert (second.status, second.report["migrated"], second.report["already"]) == (0, 2, 3)
    assert client.lrange("asynq:{mail.default}:pending", 0, -1) == [b"%024d" % number for number in reversed(range(5))]

    given = migrate(server, tmp_path, "sidekiq", "--to-layout", "asynq", "--report", "-")
    other = migrate(server, tmp_path, "sidekiq", "--to-layout", "documented")
    assert (given.status, given.report["already"]) == (0, 5)
    assert other.status == 1
    assert "was begun with --to-layout asynq, not documented" in other.stderr


def test_what_nobody_would_run_is_rejected(server: Server, client: Any, tmp_path: Path) -> None:
    now = time.time()
    client.zadd("schedule", {json.dumps({"class": "S", "args": [], "jid": "j1", "queue": "mail"}): now + 900})
    client.zadd("schedule", {json.dumps({"class": "S", "args": [], "jid": "j2", "queue": "mail"}): now - 900})
    asynq = ["--to-layout", "asynq", "--report", "-"]
    outcome = migrate(server, tmp_path, "sidekiq", *asynq)
    assert (outcome.status, outcome.report["migrated"], outcome.report["rejected"]) == (3, 1, 1)
    (path,) = tmp_path.glob("*.rejects.jsonl")
    (line,) = path.read_text().splitlines()
    reject = json.loads(line)
    assert reject["id"] == "j1"
    assert "no asynq server serves queue mail.default" in reject["reason"]
    forced = migrate(server, tmp_path, "sidekiq", *asynq, "--force-schedule")
    assert (forced.status, forced.report["migrated"], forced.report["already"]) == (0, 1, 1)
    assert client.zcard("asynq:{mail.default}:scheduled") == 1


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_start_time_that_no_calendar_has_is_a_reject(valkey: Server, tmp_path: Path, layout: str) -> None:
    with valkey.client() as client:
        client.zadd("schedule", {json.dumps({"class": "S", "args": [], "jid": "j1", "queue": "mail"}): 1e300})
        client.zadd("schedule", {json.dumps({"class": "S", "args": [], "jid": "j2", "queue": "mail"}): "+inf"})
    outcome = migrate(valkey, tmp_path, "sidekiq", "--to-layout", layout, "--force-schedule", "--report", "-")
    assert (outcome.status, outcome.report["rejected_by_code"]) == (3, {"bad_envelope": 2})
    assert {one["reason"] for one in outcome.report["rejected_examples"]} == {"its start time is after the year 9999"}


def test_many_jobs_in_their_order(server: Server, client: Any, tmp_path: Path) -> None:
    for start in range(0, 20_000, 1000):
        sidekiq(client, start, start + 1000)
    outcome = migrate(server, tmp_path, "sidekiq", "--to-layout", "documented", "--report", "-")
    assert outcome.status == 0, outcome.stderr
    ids = client.lrange("asynq:mail.default:pending", 0, -1)
    assert ids == [b"%024d" % number for number in reversed(range(20_000))]
    assert client.hget(f"asynq:t:{ids[0].decode()}", "payload") == b"[19999]"
