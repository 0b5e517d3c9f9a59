"""Where options come from: command line, then environment, then configuration file, then default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli import Outcome, run

JOB_ON_COMMAND_LINE = ("--job", "from-command-line")
JOB_IN_ENVIRONMENT = {"RUNQY_LOADER_JOB": "from-environment"}
NO_URL = "ftp://nowhere"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text("1\nbad\n3\n")
    (tmp_path / "options.toml").write_text('[load]\njob = "from-file"\nqueue = "file"\nmax-errors = 7\n')
    return tmp_path


def dry_run(directory: Path, *arguments: str, config: str | None = None, env: dict[str, str] | None = None) -> Outcome:
    before = () if config is None else ("--config", config)
    load = ("load", "in.jsonl", "--dry-run", "--quiet", "--report", "-")
    return run(*before, *load, *arguments, cwd=directory, env=env)


def complaint(done: Outcome) -> str:
    """The one line that a usage error is."""
    assert done.status == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("runqy-loader: error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "env", "config", "job"),
    [
        (JOB_ON_COMMAND_LINE, JOB_IN_ENVIRONMENT, "options.toml", "from-command-line"),
        ((), JOB_IN_ENVIRONMENT, "options.toml", "from-environment"),
        ((), {}, "options.toml", "from-file"),
        (("-q", "q"), {}, None, "q-default-"),
    ],
)
def test_command_line_outranks_environment_outranks_file_outranks_default(
    directory: Path, arguments: tuple[str, ...], env: dict[str, str], config: str | None, job: str
) -> None:
    done = dry_run(directory, *arguments, config=config, env=env)
    assert done.status == 3, done.stderr
    assert done.report["job"].startswith(job)


def test_the_configuration_file_may_be_named_in_the_environment(directory: Path) -> None:
    done = dry_run(directory, env={"RUNQY_LOADER_CONFIG": "options.toml"})
    assert done.report["job"] == "from-file"


@pytest.mark.parametrize("option", [["--config", "options.toml"], ["--config=options.toml"]])
@pytest.mark.parametrize("at", [0, 1, 2, 3], ids=["before load", "after load", "after the path", "at the end"])
def test_the_configuration_file_may_be_named_anywhere_on_the_command_line(
    directory: Path, option: list[str], at: int
) -> None:
    arguments = ["load", "in.jsonl", "--dry-run"]
    arguments[at:at] = option
    done = run(*arguments, cwd=directory)
    assert done.status == 3, done.stderr
    assert "job from-file" in done.stderr


def test_an_option_from_the_environment_outranks_only_itself_in_the_file(directory: Path) -> None:
    done = dry_run(directory, config="options.toml", env={"RUNQY_LOADER_MAX_ERRORS": "0"})
    assert done.status == 1
    assert "--max-errors 0" in done.stderr
    assert done.report["job"] == "from-file"


@pytest.mark.parametrize(
    ("arguments", "env", "config", "usable"),
    [
        ((), {"REDIS_URL": NO_URL}, None, False),
        ((), {"REDIS_URL": NO_URL, "RUNQY_LOADER_REDIS": "redis://here"}, None, True),
        ((), {"REDIS_URL": "redis://here", "RUNQY_LOADER_REDIS": NO_URL}, None, False),
        (("--redis", "redis://here"), {"REDIS_URL": NO_URL, "RUNQY_LOADER_REDIS": NO_URL}, None, True),
        ((), {}, "redis.toml", False),
        ((), {"REDIS_URL": "redis://here"}, "redis.toml", True),
    ],
)
def test_the_server_is_also_taken_from_redis_url(
    directory: Path, arguments: tuple[str, ...], env: dict[str, str], config: str | None, usable: bool
) -> None:
    (directory / "redis.toml").write_text(f'[load]\nredis = "{NO_URL}"\n')
    done = dry_run(directory, "-q", "q", *arguments, config=config, env=env)
    assert done.status == (3 if usable else 2), done.stderr


@pytest.mark.parametrize("key", ["dry-run", "dry_run"])
def test_a_file_may_write_options_with_dashes_or_underscores(directory: Path, key: str) -> None:
    (directory / "o.toml").write_text(f"[load]\n{key} = true\n")
    done = run("--config", "o.toml", "load", "in.jsonl", "-q", "q", "--report", "-", cwd=directory)
    assert done.report["dry_run"] is True


def test_a_flag_may_come_from_the_environment(directory: Path) -> None:
    env = {"RUNQY_LOADER_DRY_RUN": "1"}
    done = run("load", "in.jsonl", "-q", "q", "--quiet", "--report", "-", cwd=directory, env=env)
    assert done.report["dry_run"] is True


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (("-q", "q", "--no-such-option"), {}, "--no-such-option"),
        (("-q", "q", "--no-such-option", "3"), {}, "--no-such-option"),
        (("-q", "q", "--batch-size", "many"), {}, "batch-size"),
        (("-q", "q", "--batch-size"), {}, "batch-size"),
        (("-q", "q", "--batch-size", "0"), {}, "--batch-size must be between 1 and 100000, not 0"),
        (("-q", "q", "--on-conflict", "shrug"), {}, "on-conflict"),
        (("-q", "q"), {"RUNQY_LOADER_BATCH_SIZE": "many"}, "BATCH_SIZE"),
        ((), {}, "no queue given"),
        (("-q", "a..b"), {}, "a..b"),
    ],
)
def test_an_option_that_is_wrong_is_told_in_one_line(
    directory: Path, arguments: tuple[str, ...], env: dict[str, str], told: str
) -> None:
    assert told in complaint(dry_run(directory, *arguments, env=env))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[load]\nno-such-option = 1\n", "no-such-option"),
        ("[laod]\nqueue = 'q'\n", "laod"),
        ("[load]\nbatch-size = 'many'\n", "batch-size"),
        ("queue = 'q'\n", "'queue' stands outside a table"),
        ("[load\n", "not valid TOML"),
        ("[load]\nqueue = '\xe9'\n", "not valid TOML"),
        ("[load]\nbatch-size = " + "1" * 5000, "not valid TOML"),
        ("[load]\nqueue = " + "[" * 3000, "nested too deeply"),
        ("[load]\nbatch-size = 1\nbatch_size = 2\n", "[load] gives 'batch-size' twice, with '-' and with '_'"),
        (None, "No such file"),
    ],
)
def test_a_configuration_file_that_is_wrong_is_told_in_one_line(
    directory: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (directory / "wrong.toml").write_bytes(content.encode("latin-1"))
    assert told in complaint(dry_run(directory, "-q", "q", config="wrong.toml"))


def test_no_path_is_told(directory: Path) -> None:
    assert "no input given" in complaint(run("load", "-q", "q", "--dry-run", cwd=directory))


def test_bytes_that_are_not_utf_8_in_names_are_no_bug(directory: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    (directory / name).write_text("1\nbad\n")
    done = run("load", name, "-q", "q", "--dry-run", "--rejects", "r", "--report", "-", cwd=directory)
    assert done.status == 3, done.stderr
    assert done.report["rejected"] == 1
    assert "caf" in done.report["sources"][0]["name"]


def test_a_misspelt_variable_is_told_with_the_one_that_is_close(directory: Path) -> None:
    env = {"RUNQY_LOADER_WORKRS": "3", "RUNQY_LOADER_QUEUE": "q"}
    line = "runqy-loader: RUNQY_LOADER_WORKRS sets no option; did you mean RUNQY_LOADER_WORKERS?\n"

    assert run("load", "in.jsonl", "--dry-run", cwd=directory, env=env).stderr.startswith(line)
    assert run("load", "in.jsonl", "--dry-run", "--quiet", cwd=directory, env=env).stderr == ""
    for quiet, is_told in (("1", False), ("true", False), ("0", True), ("false", True)):
        done = run("load", "in.jsonl", "--dry-run", cwd=directory, env={**env, "RUNQY_LOADER_QUIET": quiet})
        assert (done.status, line in done.stderr) == (3, is_told)


@pytest.mark.parametrize("name", ["WORKERS", "WAIT_TIMEOUT", "FROM_QUEUE", "CONFIG", "NO_AUTH"])
def test_a_variable_of_any_command_is_not_taken_for_a_misspelt_one(directory: Path, name: str) -> None:
    env = {f"RUNQY_LOADER_{name}": "options.toml" if name == "CONFIG" else "1", "RUNQY_LOADER_QUEUE": "q"}
    assert "sets no option" not in run("load", "in.jsonl", "--dry-run", cwd=directory, env=env).stderr


@pytest.mark.parametrize("name", ["REDIS_URL", "RUNQY_LOADER_REPORT", "RUNQY_LOADER_JOB", "RUNQY_LOADER_WORKERS"])
def test_an_empty_variable_is_no_value(directory: Path, name: str) -> None:
    done = dry_run(directory, "-q", "q", env={name: ""})
    assert (done.status, done.stderr) == (3, "")
    assert sorted(path.name for path in directory.iterdir()) == ["in.jsonl", "options.toml"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("load", "in.jsonl", "--max-retry", "2.7"), "'2.7' is not a valid integer"),
        (
            ("load", "in.jsonl", "--max-errors", "0.5"),
            "--max-errors must be a count such as 100, a share such as 5%, or none",
        ),
        (("load", "in.jsonl", "--layout", "asynq", "--unique-ttl", "0.5"), "--unique-ttl: '0.5' is no duration"),
        (("load", "in.jsonl", "--workers", "1e2"), "'1e2' is not a valid integer"),
        (("migrate", "--from-queue", "q", "--batch-size", "1.5"), "'1.5' is not a valid integer"),
        (("serve", "--port", "80.5"), "'80.5' is not a valid integer"),
        (("serve", "--no-auth", "--idempotency-ttl", "1.5h"), "'1.5h' is no duration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_whole_number_is_whole(directory: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in complaint(run(*arguments, cwd=directory, env={"RUNQY_LOADER_QUEUE": "q"}))


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "in.jsonl", "-q", "q", "--dry-run", "--timeout", "1m", "--retry-for", "1h30m"),
        ("load", "in.jsonl", "-q", "q", "--dry-run", "--timeout", "0.5", "--retry-for", "0"),
        ("load", "in.jsonl", "-q", "q", "--dry-run", "--layout", "asynq", "--retention", "2d", "--unique-ttl", "90"),
    ],
    ids=" ".join,
)
def test_a_duration_is_written_alike_everywhere(directory: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, "--quiet", cwd=directory).status == 3


@pytest.mark.parametrize(
    ("env", "config", "told"),
    [
        ({"RUNQY_LOADER_BATCH_SIZE": "0"}, "", "RUNQY_LOADER_BATCH_SIZE: --batch-size must be between 1 and 100000"),
        ({"REDIS_URL": NO_URL}, "", "REDIS_URL: --redis is not a usable URL"),
        ({}, "batch-size = 0", "--config c.toml: --batch-size must be between 1 and 100000"),
        ({}, "layout = 'documented'\nprocess-in = 3", "--config c.toml: --process-in needs --layout asynq"),
    ],
)
def test_an_error_names_the_variable_or_the_file_that_set_the_option(
    directory: Path, env: dict[str, str], config: str, told: str
) -> None:
    (directory / "c.toml").write_text(f"[load]\n{config}\n")
    assert told in complaint(dry_run(directory, "-q", "q", config="c.toml", env=env))


def test_what_a_terminal_would_obey_is_written_as_escapes_in_all_that_is_told(directory: Path) -> None:
    (directory / "in.jsonl").write_text('{"payload": 1, "\\u001b[2J\\u0007": 2}\n' * 300)
    done = run("load", "in.jsonl", "-q", "q", "--envelope", "--dry-run", cwd=directory)
    assert r"unknown field `\x1b[2J\x07`" in done.stderr
    stopped = run("load", "in.jsonl", "-q", "q", "--envelope", "--dry-run", "--max-errors", "1", cwd=directory)
    assert r"error: in.jsonl:2: not an envelope: Object contains unknown field `\x1b[2J\x07`" in stopped.stderr
    for text in (done.stderr, stopped.stderr):
        assert all(char.isprintable() or char == "\n" for char in text)
