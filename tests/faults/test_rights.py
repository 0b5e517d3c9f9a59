"""Users without a right (ACL): what is missing is named, and once it is granted the same command loads the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome
from tests.faults.helpers import ID_KINDS, assert_one_error, assert_only_error
from tests.faults.proxy import COMMIT, Link, Verdict, nth_of_workers
from tests.faults.scene import EACH_SERVER, Scene

LEASE = "runqy-loader:{shared}:lease"
SHARED = ("-w", "1", "--job", "shared")
EVERYTHING = ("~*", "&*", "+@all")


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


@pytest.fixture
def user(scene: Scene) -> Iterator[User]:
    """The user as which the scene's loads log in; it may do everything so far."""
    scene.login = "loader:secret@"
    user = User(scene.client)
    user.may(*EVERYTHING)
    yield user
    user.delete()


def _assert_refused(outcome: Outcome, denied: str) -> None:
    """One line says which right is missing, as far as the server tells: Redis 7.0 names no command of a script."""
    line = assert_only_error(outcome)
    assert f"permissions to run the '{denied}' command" in line or "can't run this command" in line, line
    assert "secret" not in line


# --- rights that are needed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("denied", ["ping", "hsetnx", "hset", "set", "get", "hgetall"])
def test_without_a_right_that_the_preparations_need_nothing_is_written(scene: Scene, user: User, denied: str) -> None:
    scene.input(300, "-b", "50")

    user.may_do_everything_but(denied)
    failed = scene.load("--quiet")
    written = scene.hashes
    user.may(*EVERYTHING)
    resumed = scene.load()

    assert "secret" not in assert_only_error(failed, f"permissions to run the '{denied}' command")
    assert written == set()
    scene.assert_all_in(resumed)


@EACH_SERVER
@pytest.mark.parametrize("denied", ["eval", "lpush", "llen", "getbit", "setbit", "setrange"])
def test_without_a_right_that_a_commit_needs_no_task_is_pushed_until_it_is_granted(
    scene: Scene, user: User, denied: str
) -> None:
    scene.input(300, "-b", "50")

    user.may_do_everything_but(denied)
    failed = scene.load("--quiet")
    pushed = scene.pending
    user.may(*EVERYTHING)
    resumed = scene.load()

    _assert_refused(failed, denied)
    assert pushed == 0
    assert resumed.report["loaded"] == 300
    scene.assert_all_in(resumed)


@EACH_SERVER
@pytest.mark.parametrize("denied", ["eval", "lpush", "llen", "getbit", "setbit", "setrange", "exists"])
def test_a_script_that_is_refused_leaves_none_of_the_ids_from_the_records_behind(
    scene: Scene, user: User, denied: str
) -> None:
    # A hash that stayed behind would make its id one that is taken: the resume would reject its own records.
    scene.input(300, "-b", "50", "--id-field", "n")

    user.may_do_everything_but(denied)
    failed = scene.load("--quiet")
    again = scene.load("--quiet")
    written, pushed = scene.hashes, scene.pending
    user.may(*EVERYTHING)
    resumed = scene.load()

    _assert_refused(failed, denied)
    _assert_refused(again, denied)
    assert (written, pushed) == (set(), 0)
    assert resumed.report["loaded"] == 300
    scene.assert_all_in(resumed)


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
    scene: Scene, user: User, keys: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    scene.input(300, "-b", "50", *extra)

    user.may("&*", "+@all", *keys)
    failed = scene.load("--quiet")
    pushed = scene.pending
    user.may(*EVERYTHING)
    resumed = scene.load()

    line = assert_only_error(failed, "key")
    assert "permissions to access" in line or "can't access at least one of the keys" in line, line
    assert pushed == 0
    scene.assert_all_in(resumed)


@pytest.mark.parametrize("taken", ["lpush", "eval", "hset"])
def test_a_right_that_is_taken_away_during_the_load_ends_it_and_a_resume_completes_it(
    scene: Scene, user: User, taken: str
) -> None:
    scene.input(1000, "-b", "50", "--compact", "never")  # RESTORE needs no right to HSET

    with scene.halted(4, "-w", "1", "--quiet") as running:
        user.may_do_everything_but(taken)
        scene.proxy.go_on()
        failed = running.wait()
    pushed = scene.pending
    user.may(*EVERYTHING)
    resumed = scene.load()

    _assert_refused(failed, taken)
    assert 0 < pushed < 1000
    assert failed.report["loaded"] == resumed.report["already_loaded"] == pushed
    scene.assert_all_in(resumed)


@ID_KINDS
def test_a_user_deleted_during_the_load_ends_it_and_a_resume_completes_it(
    scene: Scene, user: User, extra: tuple[str, ...]
) -> None:
    scene.input(1000, "-b", "50", *extra)

    with scene.halted(4, "-w", "1") as running:
        user.delete()  # the server closes the user's connections
        scene.proxy.go_on()
        failed = running.wait()
    pushed = scene.pending
    user.may(*EVERYTHING)
    resumed = scene.load()

    assert_one_error(failed, "the server refuses this user name or password", "Check the credentials")
    assert "secret" not in failed.stderr
    assert 0 < pushed < 1000
    assert resumed.report["already_loaded"] == pushed
    scene.assert_all_in(resumed)


# --- rights that are not ----------------------------------------------------------------------------------------------


@ID_KINDS
@pytest.mark.parametrize("denied", ["client|setname", "client|list", "client|kill", "client"])
def test_a_user_without_an_optional_right_loads_without_a_word_about_it(
    scene: Scene, user: User, denied: str, extra: tuple[str, ...]
) -> None:
    scene.input(300, "-b", "50", *extra)

    user.may_do_everything_but(denied)
    done = scene.load()
    again = scene.load()

    for outcome in (done, again):
        assert "CLIENT" not in outcome.stderr  # nothing had to be fenced
    scene.assert_all_in(done, again)
    assert again.report["already_loaded"] == 300


@pytest.mark.parametrize(
    "denied",
    [("client|list", "client|kill"), ("client|kill",), ("client",)],
    ids=["no CLIENT LIST and KILL", "no CLIENT KILL", "no CLIENT at all"],
)
def test_a_user_who_may_not_fence_loads_all_the_same_and_is_told_when_it_matters(
    scene: Scene, user: User, denied: tuple[str, ...]
) -> None:
    scene.input(1000, "-b", "50", "--timeout", "1")
    lost: list[Link] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if link.is_worker and COMMIT in chunk and len(lost) < 2:
            lost.append(link)
            return Verdict.MUTE  # the server keeps the connection: there is something to kill
        return None

    user.may_do_everything_but(*denied)
    scene.proxy.rule = rule
    done = scene.load()

    told = done.stderr.count("the server refuses CLIENT LIST or CLIENT KILL")
    assert told == (1 if denied != ("client|kill",) else 0)
    scene.assert_all_in(done)


def test_a_lease_that_may_not_be_deleted_keeps_no_resume_waiting(scene: Scene, user: User) -> None:
    scene.input(300, "-b", "50", "--job", "shared")

    user.may_do_everything_but("del")
    first = scene.load()
    left = scene.client.exists(LEASE)
    user.may(*EVERYTHING)
    second = scene.load()

    assert first.status == 0, first.stderr
    assert left == 1
    assert "took job shared over" in second.stderr
    scene.assert_all_in(second)


def test_where_connections_may_not_be_listed_the_lease_of_a_killed_process_is_waited_out(
    scene: Scene, user: User
) -> None:
    scene.input(1000, "-b", "50", *SHARED)
    user.may_do_everything_but("client|list", "client|kill")

    with scene.halted(4) as killed:
        killed.kill()
    scene.proxy.down()
    scene.client.persist(LEASE)  # it stays for as long as this test wants
    with scene.beside(direct=True) as second:
        second.until_it_says(f"for the lease of process {killed.pid}")
        scene.client.delete(LEASE)  # as it ends by itself
        done = second.wait()

    scene.assert_all_in(done)


# --- the reference ----------------------------------------------------------------------------------------------------


def _documented_rules() -> list[str]:
    """The rules of the example in docs/reference.md."""
    text = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    _, _, rest = text.partition("ACL SETUSER loader ")
    return [rule for rule in shlex.split(rest.partition("```")[0]) if rule not in ("on", ">secret")]


@EACH_SERVER
@ID_KINDS
def test_the_rights_in_the_reference_are_enough(scene: Scene, user: User, extra: tuple[str, ...]) -> None:
    scene.input(1000, "-b", "50", *extra, "--queue-check", "redis", "--timeout", "1")
    scene.client.sadd("asynq:queues", "q.default")
    scene.proxy.rule = nth_of_workers(COMMIT, 5, Verdict.MUTE)

    rules = _documented_rules()
    user.may(*rules)
    done = scene.load()
    again = scene.load()

    assert "+lpush" in rules
    assert "reconnecting" in done.stderr or "trying again" in done.stderr  # by what that connection had done before
    for outcome in (done, again):
        assert "refuses" not in outcome.stderr
    scene.assert_all_in(done, again)


@EACH_SERVER
@pytest.mark.parametrize("denied", ["lpush", "setbit"])
def test_a_right_that_a_script_or_a_transaction_lacks_is_told_as_one_with_the_way_out(
    scene: Scene, user: User, denied: str
) -> None:
    scene.input(10, "-b", "50")
    user.may_do_everything_but(denied)

    failed = scene.load("--quiet")

    assert_one_error(failed, "this user may not run a command that is needed", "Have the ACL extended")


@pytest.mark.slow  # a lease ends after 15 s
def test_a_live_process_that_may_not_name_its_connections_is_not_taken_for_dead(scene: Scene, user: User) -> None:
    scene.input(1000, "-b", "50", *SHARED)
    user.may_do_everything_but("client|setname")

    with scene.halted(4) as one:
        other = scene.load(direct=True)  # it waits for the lease to end, in vain
        scene.proxy.go_on()
        done = one.wait()

    assert_one_error(other, f"job shared is being loaded by process {one.pid} on ")
    scene.assert_all_in(done)
