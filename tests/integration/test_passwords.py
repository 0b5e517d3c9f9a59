"""Passwords from a file, a command or the environment: used by every command, and shown nowhere."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from loader import Loader
from tests.cli import Outcome, command, environment, run
from tests.commands import commands
from tests.conftest import RedisServer, Server

SECRET = "very-Geheim/#?%@1"
VARIABLE = "RUNQY_LOADER_REDIS_PASSWORD"


@pytest.fixture
def guarded(redis_server: Callable[..., RedisServer]) -> Server:
    return redis_server("--requirepass", SECRET).start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(10)))
    (tmp_path / "password").write_text(f"{SECRET}\nanother line\n")
    return tmp_path


WAYS = pytest.mark.parametrize(
    ("way", "env"),
    [
        (("--redis-password-file", "password"), {}),
        (("--redis-password-command", "cat password"), {}),
        ((), {VARIABLE: SECRET}),
        ((), {"RUNQY_LOADER_REDIS_PASSWORD_FILE": "password"}),
    ],
    ids=["file", "command", "environment", "file named in the environment"],
)


@WAYS
def test_every_command_takes_the_password(
    guarded: Server, folder: Path, way: tuple[str, ...], env: dict[str, str]
) -> None:
    for arguments in commands(guarded.url):
        done = run(*arguments, "--debug", *way, cwd=folder, env=env)

        assert done.status == (4 if arguments[0] == "wait" else 0), done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_both_servers_of_a_migration_take_a_password_of_their_own(
    guarded: Server, redis_server: Callable[..., RedisServer], folder: Path
) -> None:
    (folder / "other").write_text("of-the-target")
    target = redis_server("--requirepass", "of-the-target").start()
    loaded = run(
        *("load", "in.jsonl", "-q", "q", "--redis", guarded.url, "--redis-password-file", "password"), cwd=folder
    )
    assert loaded.status == 0, loaded.stderr

    done = run(
        *("migrate", "--from-queue", "q", "--from-redis", guarded.url, "--from-redis-password-file", "password"),
        *("--to-redis", target.url, "--to-redis-password-command", "cat other"),
        cwd=folder,
    )

    assert done.status == 0, done.stderr
    with redis.Redis(port=target.port, password="of-the-target") as client:
        assert client.llen("asynq:q.default:pending") == 10


def test_several_processes_have_the_password(guarded: Server, folder: Path) -> None:
    (folder / "in.jsonl").write_text("".join(f'{{"n":{n},"p":"{"x" * 1000}"}}\n' for n in range(40_000)))
    arguments = ("-q", "q", "--redis", guarded.url, "--redis-password-file", "password", "-p", "2", "--report", "-")

    done = run("load", "in.jsonl", *arguments, cwd=folder)

    assert done.status == 0, done.stderr
    assert (done.report["loaded"], done.report["processes"]) == (40_000, 2)


def test_the_python_api_takes_the_file(guarded: Server, folder: Path) -> None:
    async def load() -> int:
        async with Loader(queue="q", redis=guarded.url, redis_password_file=folder / "password") as loader:
            return (await loader.load([{"n": 1}])).loaded

    assert asyncio.run(load()) == 1


def test_no_process_shows_the_password_in_its_arguments(guarded: Server, folder: Path) -> None:
    arguments = ("load", "-", "-q", "q", "--redis", guarded.url, "--redis-password-file", "password", "--job", "j")
    with subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as load:
        assert load.stdin is not None
        load.stdin.write(b'{"n":1}\n' * 2000)
        load.stdin.flush()
        with redis.Redis(port=guarded.port, password=SECRET) as client:
            while not client.exists("runqy-loader:{j}:lease"):
                assert load.poll() is None
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args", "--pid", str(load.pid), "--ppid", str(load.pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        load.communicate(b"", timeout=60)

    assert "--redis-password-file password" in shown
    assert SECRET not in shown


# --- wrong passwords, and what gives none -----------------------------------------------------------------------------


def _fails(folder: Path, url: str, *way: str, env: dict[str, str] | None = None) -> str:
    done = run("load", "in.jsonl", "-q", "q", "--redis", url, *way, "--quiet", "--debug", cwd=folder, env=env)
    assert done.status != 0
    assert SECRET not in done.stdout + done.stderr
    return _error(done)


def _error(done: Outcome) -> str:
    return next(line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error: "))


@pytest.mark.parametrize(
    ("way", "env", "source"),
    [
        (("--redis-password-file", "wrong"), {}, "--redis-password-file"),
        (("--redis-password-command", "cat wrong"), {}, "--redis-password-command"),
        ((), {VARIABLE: "wrong-password"}, VARIABLE),
    ],
    ids=["file", "command", "environment"],
)
def test_a_wrong_password_is_told_with_where_it_is_from(
    guarded: Server, folder: Path, way: tuple[str, ...], env: dict[str, str], source: str
) -> None:
    (folder / "wrong").write_text("wrong-password\n")

    line = _fails(folder, guarded.url, *way, env=env)

    assert "refuses this user name or password" in line
    assert f"Check the password that {source} gives" in line
    assert "wrong-password" not in line


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (("--redis-password-file", "nowhere"), "--redis-password-file nowhere: No such file or directory"),
        (("--redis-password-file", "empty"), "--redis-password-file: the first line"),
        (("--redis-password-command", "exit 3"), "the command failed with exit status 3"),
        (("--redis-password-command", "true"), "--redis-password-command: the first line"),
        (("--redis-password-file", "password", "--redis-password-command", "cat password"), "Give one of them"),
    ],
)
def test_what_gives_no_password_is_told(guarded: Server, folder: Path, way: tuple[str, ...], words: str) -> None:
    (folder / "empty").write_text("\n")

    assert words in _fails(folder, guarded.url, *way)


def test_a_password_that_is_given_twice_is_refused(guarded: Server, folder: Path) -> None:
    url = guarded.url.replace("//", "//:other-password@")

    line = _fails(folder, url, "--redis-password-file", "password")

    assert "the URL has a password already" in line
    assert "other-password" not in line


def test_a_password_in_the_url_comes_before_the_variable(guarded: Server, folder: Path) -> None:
    with redis.Redis(port=guarded.port, password=SECRET) as client:
        client.config_set("requirepass", "in-the-url")

    done = run(
        *("load", "in.jsonl", "-q", "q", "--redis", guarded.url.replace("//", "//:in-the-url@")),
        cwd=folder,
        env={VARIABLE: SECRET},
    )

    assert done.status == 0, done.stderr


def test_a_command_is_asked_again_when_the_server_has_a_new_password(guarded: Server, folder: Path) -> None:
    """As with tokens that are valid for some minutes."""
    arguments = ("-q", "q", "--redis", guarded.url, "--redis-password-command", "cat password", "--job", "j")
    with subprocess.Popen(
        command("load", "-", *arguments, "-b", "100"), cwd=folder, env=environment(), stdin=subprocess.PIPE
    ) as load:
        assert load.stdin is not None
        load.stdin.write(b"".join(b'{"n":%d}\n' % n for n in range(2000)))
        load.stdin.flush()
        with redis.Redis(port=guarded.port, password=SECRET) as client:
            while client.llen("asynq:q.default:pending") < 1000:
                assert load.poll() is None
            (folder / "password").write_text("renewed")
            client.config_set("requirepass", "renewed")
            client.client_kill_filter(_type="normal", skipme=True)
        load.stdin.write(b"".join(b'{"n":%d}\n' % n for n in range(2000, 4000)))
        load.stdin.close()
        assert load.wait(60) == 0
    with redis.Redis(port=guarded.port, password="renewed") as client:
        assert client.llen("asynq:q.default:pending") == 4000
