"""export and migrate of a queue that does not exist: an error that names what may be meant. An empty queue is fine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.integration.stored import numbered, push
from tests.integration.tool import assert_error

COMMANDS = {
    "export": (("export", "--no-progress", "-o", "out.jsonl", "-q"), "--queue", "--layout"),
    "migrate": (
        ("migrate", "--no-progress", "--to-queue", "target", "--move", "--from-queue"),
        "--from-queue",
        "--from-layout",
    ),
}
EACH = pytest.mark.parametrize("command", COMMANDS)
EACH_LAYOUT = pytest.mark.parametrize("layout", ["documented", "asynq"])


def read(command: str, queue: str, layout: str, server: Server, folder: Path) -> Outcome:
    arguments, _, layout_option = COMMANDS[command]
    return run(*arguments, queue, layout_option, layout, cwd=folder, env={"REDIS_URL": server.url})


@pytest.fixture
def db(valkey: Server) -> Any:
    with valkey.client() as client:
        yield client


@EACH
@EACH_LAYOUT
@pytest.mark.parametrize(
    ("existing", "told"),
    [
        (["inference.default"], "Did you mean inference.default?"),
        (["Inferense.default"], "Did you mean Inferense.default?"),
        (["mail.high", "mail.low"], "Queues there: mail.high, mail.low"),
        (["q1.default", "mail.default"], "Queues there: mail.default, q1.default"),
        ([], "There are no queues at all: check the server's address and database"),
    ],
    ids=["one edit", "case", "others", "only the end is the same", "none"],
)
def test_a_queue_that_does_not_exist_is_an_error_and_leaves_nothing(
    valkey: Server, db: Any, tmp_path: Path, command: str, layout: str, existing: list[str], told: str
) -> None:
    for name in existing:
        push(db, layout, name, [(f"{name}-1", b"1")])
    before = sorted(db.keys("*"))

    done = read(command, "inferense", layout, valkey, tmp_path)

    option = COMMANDS[command][1]
    assert_error(done, 1, f"{option}: there is no queue inferense.default in layout {layout} on ", told)
    assert sorted(db.keys("*")) == before
    assert list(tmp_path.iterdir()) == []


@EACH
def test_a_queue_of_the_other_layout_is_named_as_that(valkey: Server, db: Any, tmp_path: Path, command: str) -> None:
    push(db, "asynq", "q.default", numbered(3))
    push(db, "documented", "q.other", numbered(3))

    done = read(command, "q", "documented", valkey, tmp_path)

    assert_error(done, 1, f"it has 3 pending tasks: give {COMMANDS[command][2]} asynq")


@EACH
@pytest.mark.parametrize("sign", ["listed", "active tasks", "paused"])
def test_an_empty_queue_that_exists_is_fine(valkey: Server, db: Any, tmp_path: Path, command: str, sign: str) -> None:
    if sign == "listed":
        db.sadd("asynq:queues", "q.default")
    elif sign == "paused":
        db.set("asynq:{q.default}:paused", 1)
    else:
        db.lpush("asynq:{q.default}:active", "task")

    done = read(command, "q", "asynq", valkey, tmp_path)

    assert done.status == 0, done.stderr


@EACH
def test_a_queue_of_the_guides_layout_that_was_loaded_and_emptied_is_fine(
    valkey: Server, db: Any, tmp_path: Path, command: str
) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    assert run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, cwd=tmp_path).status == 0
    db.delete("asynq:q.default:pending")

    done = read(command, "q", "documented", valkey, tmp_path)

    assert done.status == 0, done.stderr


def test_a_move_that_has_emptied_its_queue_may_be_run_again(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "documented", "q.default", numbered(3))
    for _ in range(2):
        done = read("migrate", "q", "documented", valkey, tmp_path)
        assert done.status == 0, done.stderr
    assert db.llen("asynq:target.default:pending") == 3


@EACH
def test_without_the_right_to_look_an_empty_queue_is_taken_to_exist(
    redis_server: Any, tmp_path: Path, command: str
) -> None:
    server = redis_server()
    server.start()
    url = f"redis://reader:secret@127.0.0.1:{server.port}"
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-scan")

    arguments, _, _ = COMMANDS[command]
    done = run(*arguments, "q", cwd=tmp_path, env={"REDIS_URL": url})

    assert done.status == 0, done.stderr
