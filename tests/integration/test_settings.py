"""Where options come from: command line, environment, file."""

from __future__ import annotations

import pytest
import redis

from tests.cli import run
from tests.integration.tool import (
    NOWHERE,
    Redis,
    Tool,
    assert_error,
    assert_fine,
)


def test_options_come_from_the_command_line_then_the_environment_then_the_file(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    tool.write("c.toml", f'[load]\nqueue = "from-file"\nbatch-size = 1\nredis = "{tool.url}"\nreport = "-"\n')
    arguments = ("load", "in.jsonl", "--config", "c.toml", "--quiet")

    from_file = run(*arguments, cwd=tool.folder)
    from_env = run(*arguments, cwd=tool.folder, env={"RUNQY_LOADER_QUEUE": "from-env", "RUNQY_LOADER_BATCH_SIZE": "2"})
    from_line = run(*arguments, "--queue", "line", cwd=tool.folder, env={"RUNQY_LOADER_QUEUE": "from-env"})

    for outcome, queue, batches in ((from_file, "from-file", 3), (from_env, "from-env", 2), (from_line, "line", 3)):
        assert_fine(outcome)
        assert (outcome.report["queues"], outcome.report["batches"]) == ({f"{queue}.default": 3}, batches)


def test_the_environment_sets_every_kind_of_option(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\nbad\n")
    tool.write("c.toml", '[load]\nmax_errors = 5\ntype = "mail"\n')
    env = {
        "RUNQY_LOADER_CONFIG": "c.toml",
        "REDIS_URL": NOWHERE,
        "RUNQY_LOADER_REDIS": tool.url,
        "RUNQY_LOADER_QUEUE": "q",
        "RUNQY_LOADER_QUIET": "true",
        "RUNQY_LOADER_REPORT": "-",
        "RUNQY_LOADER_REJECTS": "r.jsonl",
        "RUNQY_LOADER_MAX_RETRY": "9",
        "RUNQY_LOADER_UNRELATED": "passes",
    }

    done = run("load", "in.jsonl", cwd=tool.folder, env=env)

    assert_fine(done, 3)
    assert done.report["rejects_file"] == "r.jsonl"
    with redis.Redis.from_url(tool.url) as client:
        (task,) = client.keys("asynq:t:*")
        assert client.hmget(task, "type", "max_retry") == [b"mail", b"9"]


def test_redis_url_of_the_environment_is_where_to_load(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--quiet", cwd=tool.folder, env={"REDIS_URL": tool.url})

    assert_fine(done)
    assert db.llen("asynq:q.default:pending") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[load]\nqueu = "q"\n', ("queu",)),
        ('[laod]\nqueue = "q"\n', ("laod",)),
        ('queue = "q"\n', ("queue", "[load]")),
        ("[load", ("c.toml", "TOML")),
        ('[load]\nbatch-size = "many"\n', ("batch-size", "c.toml")),
        (None, ("c.toml",)),
    ],
    ids=["unknown option", "unknown table", "no table", "not TOML", "wrong type", "missing"],
)
def test_a_wrong_configuration_file_is_refused(tool: Tool, content: str | None, words: tuple[str, ...]) -> None:
    tool.write("in.jsonl", b"1\n")
    if content is not None:
        tool.write("c.toml", content)

    assert_error(tool.load("in.jsonl", "-q", "q", "--config", "c.toml"), 2, *words)


def test_a_wrong_value_in_the_environment_names_its_variable(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    assert_error(tool.load("in.jsonl", "-q", "q", env={"RUNQY_LOADER_BATCH_SIZE": "x"}), 2, "RUNQY_LOADER_BATCH_SIZE")
