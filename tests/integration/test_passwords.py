"""Passwords from a file or a command: they work in every command, and no output, file or argument shows them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli import command, environment, run
from tests.conftest import RedisServer, Server, free_port

SECRET = "Zx9 tück/sch#%@e"
"""With characters that a URL would have to encode."""

RECORDS = 3000


@pytest.fixture(params=["valkey", "redis"])
def locked(request: pytest.FixtureRequest, redis_server: Callable[..., RedisServer]) -> Server:
    """A server that wants a password."""
    return redis_server("--requirepass", SECRET, kind=request.param).start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(RECORDS)))
    return tmp_path


def client(server: Server) -> Any:
    return redis.Redis(port=server.port, password=SECRET)


def url(server: Server, parameter: str, user: str = "") -> str:
    return f"redis://{user}127.0.0.1:{server.port}/0?{parameter}"


def assert_hidden(folder: Path, *texts: str) -> None:
    """The secret is in none of these texts, and in no file of the folder but its own."""
    for text in texts:
        assert SECRET not in text
        assert "Zx9" not in text
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "secret":
            assert b"Zx9" not in path.read_bytes(), path


@pytest.mark.parametrize("parameter", ["password_file=secret", "password_command=cat+secret"])
@pytest.mark.parametrize("user", ["", "default@"])
def test_a_load_and_its_resume_log_in(locked: Server, folder: Path, parameter: str, user: str) -> None:
    arguments = (
        "load", "in.jsonl", "-q", "q", "--redis", url(locked, parameter, user), "--processes", "2",
        "--report", "r.json", "--ids-out", "ids", "--verbose", "--debug",
    )  # fmt: skip

    first = run(*arguments, cwd=folder)
    again = run(*arguments, cwd=folder)

    assert (first.status, again.status) == (0, 0), first.stderr + again.stderr
    with client(locked) as db:
        assert db.llen("asynq:q.default:pending") == RECORDS
    assert_hidden(folder, first.stdout, first.stderr, again.stdout, again.stderr)


def test_every_command_logs_in(locked: Server, folder: Path) -> None:
    at = url(locked, "password_file=secret")
    commands: list[tuple[str, ...]] = [
        ("doctor", "-q", "q", "--redis", at),
        ("load", "in.jsonl", "-q", "q", "--redis", at, "--job", "j", "--ids-out", "ids"),
        ("inspect", "--redis", at),
        ("export", "-q", "q", "--redis", at, "-o", "out.jsonl"),
        ("migrate", "--from-redis", at, "--from-queue", "q", "--to-redis", at, "--to-queue", "r", "--move"),
    ]
    for arguments in commands:
        done = run(*arguments, cwd=folder)
        assert done.status == 0, (arguments[0], done.stderr)
        assert_hidden(folder, done.stdout, done.stderr)
    waited = run("wait", "--ids", "ids", "--out", "o", "--timeout", "0", "--redis", at, cwd=folder)
    assert waited.status == 4, waited.stderr


def test_the_gateway_logs_in_and_no_process_shows_the_password(locked: Server, folder: Path) -> None:
    port = free_port()
    gateway = subprocess.Popen(
        command(
            "serve", "--redis", url(locked, "password_command=cat+secret"), "--port", str(port), "--api-key-env", "KEY"
        ),
        cwd=folder,
        env=environment(KEY="k"),
        stderr=subprocess.PIPE,
    )
    try:
        done = subprocess.run(
            ["curl", "-sS", "--retry", "40", "--retry-all-errors", "-H", "Authorization: Bearer k", "-d",
              '{"queue":"q","payload":{}}', f"http://127.0.0.1:{port}/queue/add"],
            capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        assert b'"state":"pending"' in done.stdout
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                shown = line.read_bytes()
            except OSError:  # it has ended
                continue
            assert SECRET.encode() not in shown or b"requirepass" in shown  # the test's own server
    finally:
        gateway.terminate()
        _, said = gateway.communicate(timeout=30)
    assert_hidden(folder, said.decode())


def test_a_wrong_password_is_one_line_without_it(locked: Server, folder: Path) -> None:
    (folder / "secret").write_text("Zx9 wrong\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", url(locked, "password_file=secret"), "--debug", cwd=folder)

    assert done.status == 1
    assert "Zx9" not in done.stderr
    assert "password" in done.stderr


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ("password_file=none", "password_file none cannot be read: No such file or directory"),
        ("password_file=empty", "its first line is empty"),
        ("password_command=false", "password_command false has failed with exit status 1"),
        ("password_command=no-such-program+x", "password_command no-such-program cannot be run"),
        ("password_command=true", "its first line is empty"),
        ("password_command='", "open quotation mark"),
        ("password_file=secret&password_command=cat+secret", "the password is given twice"),
        ("password_file=secret&password=x", "the password is given twice"),
    ],
)
def test_a_secret_that_cannot_be_had_is_one_line(folder: Path, parameter: str, told: str) -> None:
    (folder / "empty").write_text("\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:1/0?{parameter}", cwd=folder)

    assert (done.status, told in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_password_before_the_host_and_a_file_are_two(folder: Path) -> None:
    done = run("load", "in.jsonl", "-q", "q", "--redis", "redis://u:Zx9@127.0.0.1:1/0?password_file=secret", cwd=folder)

    assert done.status == 2
    assert "the password is given twice" in done.stderr
    assert "Zx9" not in done.stderr


def test_a_command_runs_once_in_a_process(locked: Server, folder: Path) -> None:
    (folder / "ask.sh").write_text("echo asked >> asked\ncat secret\n")

    done = run(
        "load", "in.jsonl", "-q", "q", "--redis", url(locked, "password_command=sh+ask.sh"), "--processes", "1",
        cwd=folder,
    )  # fmt: skip

    assert done.status == 0, done.stderr
    assert (folder / "asked").read_text() == "asked\n"
