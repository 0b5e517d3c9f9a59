"""Users without a right (ACL): what is missing is named, and once it is granted the same command loads the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome
from tests.conftest import Server
from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_each_once,
    assert_one_error,
    assert_tidy,
    load,
    numbered,
    task_keys,
)
from tests.faults.proxy import Link, Proxy, Verdict, nth_of_workers

LPUSH = b"'LPUSH'"
PENDING = "asynq:q.default:pending"
LEASE = "runqy-loader:{shared}:lease"
EVERYTHING = ("~*", "&*", "+@all")
ID_KINDS = pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])


class User:
    """User "loader" of a server, with password "secret".

    It may not ask what it may do: else a load would be refused before it begins (tests/integration/test_rights.py), and
    these tests are of what a load does that finds out by itself.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def may(self, *rules: str) -> None:
        """It may do this and nothing else from here on."""
        self._client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", *rules, "-acl|dryrun")

    def may_do_everything_but(self, *commands: str) -> None:
        self.may(*EVERYTHING, *(f"-{command}" for command in commands))

    def delete(self) -> None:
        self._client.acl_deluser("loader")


@contextmanager
def _user(client: Any) -> Iterator[User]:
    user = User(client)
    user.may(*EVERYTHING)
    try:
        yield user
    finally:
        user.delete()


@pytest.fixture
def user(client: Any) -> Iterator[User]:
    """A user of ``server``."""
    with _user(client) as user:
        yield user


@pytest.fixture
def valkey_user(valkey_client: Any) -> Iterator[User]:
    with _user(valkey_client) as user:
        yield user


def _as_user(port: int) -> str:
    return f"redis://loader:secret@127.0.0.1:{port}/0"


def _command(port: int, *extra: str) -> tuple[str, ...]:
    return ("in.jsonl", "-q", "q", "-b", "50", "--redis", _as_user(port), "--report", "-", *extra)


def _assert_loaded_by(resumed: Outcome, client: Any, lines: list[bytes]) -> None:
    """The run loaded what was missing and rejected nothing; all is in once."""
    assert resumed.status == 0, resumed.stderr
    assert_tidy(resumed)
    assert_adds_up(resumed, loaded_in_all=len(lines))
    assert_each_once(client, lines)


def _assert_refused(outcome: Outcome, denied: str) -> None:
    """One line says which right is missing, as far as the server tells: Redis 7.0 names no command of a script."""
    line = assert_one_error(outcome)
    assert f"permissions to run the '{denied}' command" in line or "can't run this command" in line, line
    assert outcome.stderr == line + "\n"
    assert "secret" not in line


# --- rights that are needed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("denied", ["ping", "hsetnx", "hset", "set", "get", "hgetall"])
def test_without_a_right_that_the_preparations_need_nothing_is_written(
    valkey: Server, valkey_client: Any, valkey_user: User, tmp_path: Path, denied: str
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)

    valkey_user.may_do_everything_but(denied)
    failed = load(*_command(valkey.port), "--quiet", cwd=tmp_path)
    written = task_keys(valkey_client)
    valkey_user.may(*EVERYTHING)
    resumed = load(*_command(valkey.port), cwd=tmp_path)

    line = assert_one_error(
        failed, denied.upper() if denied == "multi" else f"permissions to run the '{denied}' command"
    )
    assert failed.stderr == line + "\n"
    assert "secret" not in line
    assert written == set()
    _assert_loaded_by(resumed, valkey_client, lines)


@pytest.mark.parametrize("denied", ["eval", "lpush", "llen", "getbit", "setbit", "setrange"])
def test_without_a_right_that_a_commit_needs_no_task_is_pushed_until_it_is_granted(
    server: Server, client: Any, user: User, tmp_path: Path, denied: str
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)

    user.may_do_everything_but(denied)
    failed = load(*_command(server.port), "--quiet", cwd=tmp_path)
    pushed = client.llen(PENDING)
    user.may(*EVERYTHING)
    resumed = load(*_command(server.port), cwd=tmp_path)

    _assert_refused(failed, denied)
    assert pushed == 0
    assert resumed.report["loaded"] == 300
    _assert_loaded_by(resumed, client, lines)


@pytest.mark.parametrize("denied", ["eval", "lpush", "llen", "getbit", "setbit", "setrange", "exists"])
def test_a_script_that_is_refused_leaves_none_of_the_ids_from_the_records_behind(
    server: Server, client: Any, user: User, tmp_path: Path, denied: str
) -> None:
    # A hash that stayed behind would make its id one that is taken: the resume would reject its own records.
    lines = numbered(tmp_path / "in.jsonl", 300)

    user.may_do_everything_but(denied)
    failed = load(*_command(server.port, "--id-field", "n"), "--quiet", cwd=tmp_path)
    again = load(*_command(server.port, "--id-field", "n"), "--quiet", cwd=tmp_path)
    written, pushed = task_keys(client), client.llen(PENDING)
    user.may(*EVERYTHING)
    resumed = load(*_command(server.port, "--id-field", "n"), cwd=tmp_path)

    _assert_refused(failed, denied)
    _assert_refused(again, denied)
    assert (written, pushed) == (set(), 0)
    assert resumed.report["loaded"] == 300
    _assert_loaded_by(resumed, client, lines)


@ID_KINDS
@pytest.mark.parametrize(
    "keys",
    [
        ("~asynq:*", "~{asynq:*"),
        ("~asynq:*", "~runqy-loader:*"),
        ("~{asynq:*", "~runqy-loader:*"),
        ("~asynq:t:*", "~{asynq:*", "~runqy-loader:*"),
        ("~asynq:q.default:pending", "~{asynq:*", "~runqy-loader:*"),
    ],
    ids=["the job's", "the ledger's", "all of the queue's", "the pending list", "the tasks'"],
)
def test_keys_that_a_user_may_not_touch_end_the_load_until_it_may(
    valkey: Server, valkey_client: Any, valkey_user: User, tmp_path: Path, keys: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)

    valkey_user.may("&*", "+@all", *keys)
    failed = load(*_command(valkey.port, *extra), "--quiet", cwd=tmp_path)
    pushed = valkey_client.llen(PENDING)
    valkey_user.may(*EVERYTHING)
    resumed = load(*_command(valkey.port, *extra), cwd=tmp_path)

    line = assert_one_error(failed, "key")
    assert "permissions to access" in line or "can't access at least one of the keys" in line, line
    assert failed.stderr == line + "\n"
    assert pushed == 0
    _assert_loaded_by(resumed, valkey_client, lines)


@pytest.mark.parametrize("taken", ["lpush", "eval", "hset"])
def test_a_right_that_is_taken_away_during_the_load_ends_it_and_a_resume_completes_it(
    valkey: Server, valkey_client: Any, valkey_user: User, valkey_proxy: Proxy, tmp_path: Path, taken: str
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_proxy.rule = nth_of_workers(b"'LPUSH'", 5, Verdict.WAIT)

    with Load(*_command(valkey_proxy.port, "-w", "1"), "--quiet", cwd=tmp_path) as running:
        running.until(lambda: valkey_proxy.waiting, "some batches are in")
        valkey_user.may_do_everything_but(taken)
        valkey_proxy.go_on()
        failed = running.wait()
    pushed = valkey_client.llen(PENDING)
    valkey_user.may(*EVERYTHING)
    resumed = load(*_command(valkey.port), cwd=tmp_path)

    _assert_refused(failed, taken)
    assert 0 < pushed < 1000
    assert failed.report["loaded"] == resumed.report["already_loaded"] == pushed
    _assert_loaded_by(resumed, valkey_client, lines)


@ID_KINDS
def test_a_user_deleted_during_the_load_ends_it_and_a_resume_completes_it(
    valkey: Server, valkey_client: Any, valkey_user: User, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_proxy.rule = nth_of_workers(b"'LPUSH'", 5, Verdict.WAIT)

    with Load(*_command(valkey_proxy.port, "-w", "1", *extra), cwd=tmp_path) as running:
        running.until(lambda: valkey_proxy.waiting, "some batches are in")
        valkey_user.delete()  # the server closes the user's connections
        valkey_proxy.go_on()
        failed = running.wait()
    pushed = valkey_client.llen(PENDING)
    valkey_user.may(*EVERYTHING)
    resumed = load(*_command(valkey.port, *extra), cwd=tmp_path)

    assert_one_error(failed, "the server refuses this user name or password", "Check the credentials")
    assert "secret" not in failed.stderr
    assert 0 < pushed < 1000
    assert resumed.report["already_loaded"] == pushed
    _assert_loaded_by(resumed, valkey_client, lines)


def test_a_right_that_only_a_resume_needs_is_named_by_the_resume(
    valkey: Server, valkey_client: Any, valkey_user: User, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)
    valkey_user.may_do_everything_but("hget")  # the manifest is read back

    first = load(*_command(valkey.port), cwd=tmp_path)
    refused = load(*_command(valkey.port), "--quiet", cwd=tmp_path)
    valkey_user.may(*EVERYTHING)
    resumed = load(*_command(valkey.port), cwd=tmp_path)

    assert first.status == 0, first.stderr
    _assert_refused(refused, "hget")
    assert resumed.report["already_loaded"] == 300
    _assert_loaded_by(resumed, valkey_client, lines)


# --- rights that are not ----------------------------------------------------------------------------------------------


@ID_KINDS
@pytest.mark.parametrize("denied", ["client|setname", "client|list", "client|kill", "client"])
def test_a_user_without_an_optional_right_loads_without_a_word_about_it(
    valkey: Server, valkey_client: Any, valkey_user: User, tmp_path: Path, denied: str, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)

    valkey_user.may_do_everything_but(denied)
    done = load(*_command(valkey.port, *extra), cwd=tmp_path)
    again = load(*_command(valkey.port, *extra), cwd=tmp_path)

    for outcome in (done, again):
        assert "CLIENT" not in outcome.stderr  # nothing had to be fenced
        _assert_loaded_by(outcome, valkey_client, lines)
    assert again.report["already_loaded"] == 300


@pytest.mark.parametrize(
    "denied",
    [("client|list", "client|kill"), ("client|kill",), ("client",)],
    ids=["no CLIENT LIST and KILL", "no CLIENT KILL", "no CLIENT at all"],
)
def test_a_user_who_may_not_fence_loads_all_the_same_and_is_told_when_it_matters(
    valkey: Server, valkey_client: Any, valkey_user: User, valkey_proxy: Proxy, tmp_path: Path, denied: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    lost: list[Link] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if link.is_worker and b"'LPUSH'" in chunk and len(lost) < 2:
            lost.append(link)
            return Verdict.MUTE  # the server keeps the connection: there is something to kill
        return None

    valkey_user.may_do_everything_but(*denied)
    valkey_proxy.rule = rule
    done = load(*_command(valkey_proxy.port, "--timeout", "1"), cwd=tmp_path)

    told = done.stderr.count("the server refuses CLIENT LIST or CLIENT KILL")
    assert told == (1 if denied != ("client|kill",) else 0)
    _assert_loaded_by(done, valkey_client, lines)


def test_a_lease_that_may_not_be_deleted_keeps_no_resume_waiting(
    valkey: Server, valkey_client: Any, valkey_user: User, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300)
    command = _command(valkey.port, "--job", "shared")

    valkey_user.may_do_everything_but("del")
    first = load(*command, cwd=tmp_path)
    left = valkey_client.exists(LEASE)
    valkey_user.may(*EVERYTHING)
    second = load(*command, cwd=tmp_path)

    assert first.status == 0, first.stderr
    assert left == 1
    assert "took job shared over" in second.stderr
    _assert_loaded_by(second, valkey_client, lines)


def test_where_connections_may_not_be_listed_the_lease_of_a_killed_process_is_waited_out(
    valkey: Server, valkey_client: Any, valkey_user: User, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_user.may_do_everything_but("client|list", "client|kill")
    valkey_proxy.rule = nth_of_workers(b"'LPUSH'", 5, Verdict.WAIT)
    shared = ("-w", "1", "--job", "shared")

    with Load(*_command(valkey_proxy.port, *shared), cwd=tmp_path) as killed:
        killed.until(lambda: valkey_proxy.waiting, "some batches are in")
        killed.process.kill()
        assert killed.wait().status == -9
    valkey_proxy.down()
    valkey_client.persist(LEASE)  # it stays for as long as this test wants
    with Load(*_command(valkey.port, *shared), cwd=tmp_path) as second:
        second.until_it_says(f"for the lease of process {killed.pid}")
        valkey_client.delete(LEASE)  # as it ends by itself
        done = second.wait()

    _assert_loaded_by(done, valkey_client, lines)


# --- the reference ----------------------------------------------------------------------------------------------------


def _documented_rules() -> list[str]:
    """The rules of the example in docs/reference.md."""
    text = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    _, _, rest = text.partition("ACL SETUSER loader ")
    return [rule for rule in shlex.split(rest.partition("```")[0]) if rule not in ("on", ">secret")]


@ID_KINDS
def test_the_rights_in_the_reference_are_enough(
    server: Server, client: Any, user: User, proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    client.sadd("asynq:queues", "q.default")
    proxy.rule = nth_of_workers(b"'LPUSH'", 5, Verdict.MUTE)
    command = _command(proxy.port, *extra, "--queue-check", "redis", "--timeout", "1")

    rules = _documented_rules()
    user.may(*rules)
    done = load(*command, cwd=tmp_path)
    again = load(*command, cwd=tmp_path)

    assert "+lpush" in rules
    assert "reconnecting" in done.stderr or "trying again" in done.stderr  # by what that connection had done before
    for outcome in (done, again):
        assert "refuses" not in outcome.stderr
        _assert_loaded_by(outcome, client, lines)


@pytest.mark.parametrize("denied", ["lpush", "setbit"])
def test_a_right_that_a_script_or_a_transaction_lacks_is_told_as_one_with_the_way_out(
    server: Server,
    user: User,
    tmp_path: Path,
    denied: str,
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    user.may_do_everything_but(denied)

    failed = load(*_command(server.port), "--quiet", cwd=tmp_path)

    assert_one_error(failed, "this user may not run a command that is needed", "Have the ACL extended")


def test_a_live_process_that_may_not_name_its_connections_is_not_taken_for_dead(
    valkey: Server,
    valkey_client: Any,
    valkey_user: User,
    valkey_proxy: Proxy,
    tmp_path: Path,
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_user.may_do_everything_but("client|setname")
    valkey_proxy.rule = nth_of_workers(LPUSH, 5, Verdict.WAIT)
    shared = ("-w", "1", "--job", "shared")

    with Load(*_command(valkey_proxy.port, *shared), cwd=tmp_path) as one:
        one.until(lambda: valkey_proxy.waiting, "it is in the middle of the load")
        with Load(*_command(valkey.port, *shared), cwd=tmp_path) as two:
            two.until(lambda: not two.running, "it is refused")  # or says that it waits for the lease to end
            other = two.wait()
        valkey_proxy.go_on()
        done = one.wait()

    assert_one_error(other, f"job shared is being loaded by process {one.pid} on ")
    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=1000)
    assert_each_once(valkey_client, lines)
