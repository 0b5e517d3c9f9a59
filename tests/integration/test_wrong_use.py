"""Mistakes on the command line, in the environment and in the configuration file: told, and nothing is loaded."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli import command, environment, run
from tests.conftest import Server
from tests.integration.tool import assert_error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--queue", "--dry-run"), "Option '--queue' requires an argument. See runqy-loader load --help."),
        (("-q", "q", "--job", "--quiet"), "Option '--job' requires an argument"),
        (("-q", "q", "--ids-out", "--quiet"), "Option '--ids-out' requires an argument"),
        (("-q", "q", "--rejects", "-j", "x"), "Option '--rejects' requires an argument"),
        (("-q", "q", "--type", "--queue=x"), "Option '--type' requires an argument"),
        (("-q", "a", "-q", "b"), "--queue is given twice, as 'a' and as 'b'. Give it once"),
        (("-q", "a", "--queue=b"), "--queue is given twice, as 'a' and as 'b'"),
        (("-q", "q", "-b", "5", "--batch-size", "6"), "--batch-size is given twice, as '5' and as '6'"),
        (("-q", "q", "--job", "a", "--job", "a", "-j", "b"), "--job is given twice, as 'a' and as 'b'"),
        (("-q", "q", "--redis", "redis://:p@a", "--redis", "redis://:s@b"), "--redis is given twice, with different"),
        (("-q", "q", "--config", "a", "--config", "b"), "--config is given twice, as 'a' and as 'b'"),
        (("-q=q",), "The value of '--queue' begins with '='. Write -q VALUE, or --queue=VALUE"),
        (("-q", "q", "--max-retry"), "Option '--max-retry' requires an argument. See runqy-loader load --help."),
        (("-q", "q", "--jbo", "x"), "(Did you mean one of: '--job', '--json', '--to'?) See runqy-loader load --help."),
        (("-q", "q", "--ids-out", ""), "the path is empty"),
        (("-q", "q", "--header", b"A=\xff", "--layout", "asynq"), "--header must be UTF-8"),
        (("-q", "q", "--id-field", b"a\xff"), "--id-field must be UTF-8"),
    ],
    ids=str,
)
def test_a_mistake_on_the_command_line_loads_nothing(
    folder: Path, valkey: Server, arguments: tuple[str | bytes, ...], told: str
) -> None:
    given = [os.fsdecode(argument) for argument in arguments]

    done = run("load", "in.jsonl", *given, cwd=folder, env={"REDIS_URL": valkey.url})

    assert_error(done, 2, told)
    with valkey.client() as client:
        assert client.dbsize() == 0
    assert [path.name for path in folder.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("type = true", "type must be text, not True"),
        ("type = 1.0", "type must be text, not 1.0"),
        ("type = {x = 5}", "type must be text, not {'x': 5}"),
        ('queue = ["x"]', "queue must be text, not ['x']"),
        ("job = 5", "job must be text, not 5"),
        ("batch-size = true", "batch-size must be a whole number, not True"),
        ("batch-size = [5]", "batch-size must be a whole number, not [5]"),
        ("max-retry = 3.9", "max-retry must be a whole number, not 3.9"),
        ("processes = 1.9", "processes must be a whole number or 'auto', not 1.9"),
        ("dry-run = 2", "dry-run must be True or False, not 2"),
        ("timeout = true", "timeout must be a duration, not True"),
        ("timeout = 18:00:00", "timeout must be a duration, not"),
        ('header = "A=B"', "header must be a list of text, not 'A=B'"),
        ('header = {A = "B"}', "header must be a list of text, not {'A': 'B'}"),
        ("report = 5", "report must be a path, not 5"),
        ("layout = 1", "layout must be one of 'auto', 'documented', 'asynq', not 1"),
    ],
)
def test_a_value_of_another_type_in_the_configuration_file_is_refused(folder: Path, line: str, told: str) -> None:
    (folder / "c.toml").write_text(f"[load]\n{line}\n")

    assert_error(run("load", "in.jsonl", "--config", "c.toml", cwd=folder), 2, "--config c.toml", told)


@pytest.mark.parametrize(
    "line",
    [
        'timeout = "1m"',
        "timeout = 2",
        'task-timeout = "1h"\nlayout = "asynq"',
        "deadline = 2030-01-01T00:00:00Z\nlayout = 'asynq'",
        "process-at = 2000000000\nlayout = 'asynq'",
        'processes = "auto"',
        'header = ["A=b c"]\nlayout = "asynq"',
    ],
)
def test_a_value_of_the_right_type_is_taken(folder: Path, line: str) -> None:
    (folder / "c.toml").write_text(f"\ufeff[load]\n{line}\n", encoding="utf-8")  # as a Windows editor writes it

    done = run("load", "in.jsonl", "-q", "q", "--dry-run", "--quiet", "--config", "c.toml", cwd=folder)

    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("load", "in.jsonl", "-q", "q", "--report", "x", "--rejects", "./x"), "--rejects and --report"),
        (("load", "in.jsonl", "-q", "q", "--ids-out", "x", "--rejects", "x"), "name the same file x"),
        (("load", "in.jsonl", "-q", "q", "--report", "c.toml", "--config", "c.toml"), "--config and --report"),
        (("export", "-q", "q", "-o", "x", "--report", "x"), "--output and --report name the same file x"),
        (("wait", "--ids", "in.jsonl", "--out", "x", "--missing", "x"), "--out and --missing name the same file x"),
        (("wait", "--ids", "in.jsonl", "--out", "in.jsonl"), "--ids and --out name the same file in.jsonl"),
        (("rollback", "j", "--ids", "in.jsonl", "--report", "./in.jsonl"), "--ids and --report name the same file"),
        (("load", "in.jsonl", "-q", "q", "--redis-password-file", "c.toml", "--report", "c.toml"), "--report name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_two_outputs_are_not_one_file(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    (folder / "c.toml").write_text("[load]\n")
    assert_error(run(*arguments, cwd=folder), 2, told, "Give each its own")
    assert (folder / "c.toml").read_text() == "[load]\n"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--verbose",), {"RUNQY_LOADER_QUIET": "1"}),
        (("--layout", "asynq", "--process-at", "2000000000"), {"RUNQY_LOADER_PROCESS_IN": "5m"}),
        (("--redis", "redis://here"), {"RUNQY_LOADER_TO": "http://there"}),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_command_line_wins_over_what_contradicts_it_elsewhere(
    folder: Path, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    done = run("load", "in.jsonl", "-q", "q", "--dry-run", *arguments, cwd=folder, env=env)
    assert done.status == 0, done.stderr
    assert "contradict" not in done.stderr


def test_a_variable_of_a_load_does_not_spoil_a_look_up(folder: Path, valkey: Server) -> None:
    env = {"RUNQY_LOADER_QUEUE": "q", "REDIS_URL": valkey.url}
    assert_error(run("inspect", "--job", "none", cwd=folder, env=env), 1, "no job 'none'")


@pytest.mark.parametrize("option", [("--type", "t"), ("--max-retry", "5"), ("--envelope",)], ids=" ".join)
def test_an_option_that_another_target_needs_does_not_change_the_target(folder: Path, option: tuple[str, ...]) -> None:
    env = {"RUNQY_LOADER_TO": "http://localhost:1"}
    assert_error(run("load", "in.jsonl", "-q", "q", *option, cwd=folder, env=env), 2, "--to contradict each other")


def test_headers_of_the_environment_stand_on_lines_of_their_own(folder: Path, valkey: Server) -> None:
    env = {"RUNQY_LOADER_HEADER": "Authorization=Bearer x y\nTrace=1", "REDIS_URL": valkey.url}
    done = run("load", "in.jsonl", "-q", "q", "--layout", "asynq", "--quiet", cwd=folder, env=env)
    assert done.status == 0, done.stderr
    with valkey.client() as client:
        (task, *_) = client.keys("asynq:{q.default}:t:*")
        message = client.hget(task, "msg")
    assert b"Bearer x y" in message and b"Trace" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "redis://user:hunter2@localhost:1/0"),
        ("load", "in.jsonl", "-q", "q", "redis://:hunter2@localhost:1/0"),
        ("load", "in.jsonl", "-q", "q", "--timeout", "redis://:hunter2@localhost:1/0"),
        ("redis://:hunter2@localhost:1/0",),
        ("load", "in.jsonl", "-q", "redis://:hunter2@localhost:1/0"),
        ("load", "redis://user:p@hunter2@localhost:1/0", "-q", "q"),
        ("load", "redis://user:p/hunter2@localhost:1/0", "-q", "q"),
        ("load", "redis://localhost:1/0?password=hunter2", "-q", "q"),
        ("load", "in.jsonl", "-q", "q", "--format", "unix:///s?db=1&password=hunter2"),
    ],
    ids=" ".join,
)
def test_a_url_in_a_wrong_place_shows_no_password(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, cwd=folder)
    assert done.status != 0
    assert "hunter2" not in done.stderr


def test_a_hint_shows_where_a_login_stands(folder: Path) -> None:
    done = run("load", "in.jsonl", "-q", "q", "--redis", "ftp://user:hunter2@h", cwd=folder)
    assert_error(done, 2, "Write redis://[USER:PASSWORD@]HOST:PORT/DB")
    assert "hunter2" not in done.stderr


def test_with_standard_error_closed_a_load_goes_on_and_standard_output_has_data_alone(
    folder: Path, valkey: Server
) -> None:
    load = command("load", "in.jsonl", "-q", "q", "--redis", valkey.url)
    export = command("export", "-q", "q", "--format", "payload", "--redis", valkey.url)
    for arguments, output in ((load, b""), (export, b"1\n2\n")):
        words = " ".join(f"'{word}'" for word in arguments)
        done = subprocess.run(
            ["sh", "-c", f"{words} 2>&-"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, output)


@pytest.mark.parametrize(
    "arguments", [("-q", "q", "--queue", "q"), ("-q", "q", "--quiet", "--quiet", "-b", "5", "-b5")]
)
def test_an_option_may_be_repeated_with_the_same_value(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run("load", "in.jsonl", *arguments, "--dry-run", cwd=folder)
    assert done.status == 0, done.stderr


def test_an_option_that_takes_several_values_may_be_repeated(folder: Path) -> None:
    headers = ("--header", "A=1", "--header", "B=2", "--layout", "asynq")
    assert run("load", "in.jsonl", "-q", "q", *headers, "--dry-run", cwd=folder).status == 0


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("load", "--help"), ("wait", "-h"), ("completion", "bash"), ("completion", "--help")],
    ids=" ".join,
)
@pytest.mark.parametrize("content", [None, "[load", "[load]\nqueu = 'x'\n"], ids=["missing", "no TOML", "misspelt"])
def test_a_broken_configuration_file_of_the_environment_keeps_nobody_from_the_help(
    folder: Path, arguments: tuple[str, ...], content: str | None
) -> None:
    if content is not None:
        (folder / "c.toml").write_text(content)
    done = run(*arguments, cwd=folder, env={"RUNQY_LOADER_CONFIG": "c.toml"})
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout


def test_a_broken_configuration_file_of_the_environment_is_named_as_that(folder: Path) -> None:
    done = run("load", "in.jsonl", "-q", "q", cwd=folder, env={"RUNQY_LOADER_CONFIG": "c.toml"})
    assert_error(done, 2, "RUNQY_LOADER_CONFIG: --config c.toml: No such file or directory")


def test_the_format_of_an_export_has_a_variable_of_its_own(folder: Path, valkey: Server) -> None:
    env = {"REDIS_URL": valkey.url, "RUNQY_LOADER_FORMAT": "jsonl", "RUNQY_LOADER_EXPORT_FORMAT": "payload"}
    env["RUNQY_LOADER_BATCH_SIZE"] = "50000"  # more than a migration can have
    assert run("load", "in.jsonl", "-q", "q", "--quiet", cwd=folder, env=env).status == 0

    exported = run("export", "-q", "q", "--quiet", cwd=folder, env=env)
    moved = run("migrate", "--from-queue", "q", "--to-queue", "r", "--move", "--quiet", cwd=folder, env=env)

    assert (exported.status, exported.stdout, exported.stderr) == (0, "1\n2\n", "")
    assert (moved.status, moved.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from-queue", "a..b"), "--from-queue: queue name 'a..b' has an empty part"),
        (("--from-queue", "q", "--to-queue", "a b"), "--to-queue: queue name 'a b' holds white space"),
        (("--from-queue", "q", "--to-layout", "asynq", "--to-redis", "redis://localhost:1"), "address in --to-redis"),
        (("--from-queue", "q", "--to-layout", "asynq", "--from-redis", "redis://localhost:1"), "in --from-redis"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_migration_names_its_own_options(folder: Path, valkey: Server, arguments: tuple[str, ...], told: str) -> None:
    done = run("migrate", *arguments, "--no-progress", cwd=folder, env={"REDIS_URL": valkey.url})
    assert done.status in (1, 2)
    (line,) = done.stderr.splitlines()  # no counts, and no word about going on: it has not begun
    assert told in line
    assert " --queue" not in line and " --redis" not in line


def test_a_misspelt_command_is_answered_with_the_right_one(folder: Path) -> None:
    assert_error(run("laod", "in.jsonl", cwd=folder), 2, "No such command 'laod'. Did you mean 'load'?")
    assert_error(run("xyz", cwd=folder), 2, "No such command 'xyz'. See runqy-loader --help.")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("load", "--help"), ("completion", "zsh"), ("--version",)], ids=" ".join
)
def test_with_standard_output_closed_nothing_breaks(folder: Path, arguments: tuple[str, ...]) -> None:
    words = " ".join(f"'{word}'" for word in command(*arguments))
    for closed in (">&-", ">&- 2>&-", ">&- 2>&- <&-"):
        done = subprocess.run(
            ["sh", "-c", f"{words} {closed}"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_load_goes_on_when_nobody_reads_its_messages_any_more(folder: Path, valkey: Server) -> None:
    words = " ".join(
        f"'{word}'" for word in command("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--report", "r")
    )
    done = subprocess.run(
        ["sh", "-c", f"({words}; echo $? > status) 2>&1 | true"], cwd=folder, env=environment(), check=False, timeout=60
    )
    assert done.returncode == 0
    assert (folder / "status").read_text() == "0\n"
    assert '"loaded": 2' in (folder / "r").read_text()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("completion", "bash"), ("export", "-q", "q", "--quiet")], ids=" ".join
)
def test_when_nobody_reads_the_output_there_is_no_traceback(
    folder: Path, valkey: Server, arguments: tuple[str, ...]
) -> None:
    (folder / "in.jsonl").write_text("1\n" * 30_000)
    assert run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--quiet", cwd=folder).status == 0
    words = " ".join(f"'{word}'" for word in command(*arguments))
    done = subprocess.run(
        ["sh", "-c", f"{words} | true"],
        cwd=folder,
        env=environment(REDIS_URL=valkey.url),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""


def test_help_is_shown_in_any_encoding(folder: Path) -> None:
    for name in ("wait", "load", "serve"):
        assert run(name, "--help", cwd=folder, env={"PYTHONIOENCODING": "ascii"}).status == 0


def test_the_command_to_go_on_with_has_its_options_before_the_dashes(folder: Path, valkey: Server) -> None:
    (folder / "in.jsonl").write_text("bad\n")
    done = run("load", "-q", "q", "--max-errors", "0", "--redis", valkey.url, "--", "in.jsonl", cwd=folder)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("go on with another --max-errors: ")]
    assert line.endswith(" -- in.jsonl") and " --job q-default-" in line


@pytest.mark.parametrize("secret", ["p@hunter2", "hunter2", "p:hunter2@x"])
def test_the_command_to_go_on_with_shows_no_password(folder: Path, valkey: Server, secret: str) -> None:
    (folder / "in.jsonl").write_text("bad\n")
    url = f"redis://default:{secret}@127.0.0.1:{valkey.port}/0"  # a server without a password takes any
    done = run("load", "in.jsonl", "-q", "q", "--max-errors", "0", "--redis", url, cwd=folder)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("go on with another --max-errors: ")]
    assert f"redis://default:PASSWORD@127.0.0.1:{valkey.port}/0" in line
    assert "hunter2" not in done.stderr
