"""What the server says, and what a user is told."""

from __future__ import annotations

import errno

import hiredis
import pytest

from loader.errors import ConnectionFailedError, OversizedError, RefusedNowError, SinkError, TransientError
from loader.wire.faults import code_of, from_os_error, from_reply, translated

TRANSIENT = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
]
REFUSED_NOW = [
    ("OOM", "OOM command not allowed when used memory > 'maxmemory'.", "memory limit"),
    ("OOM", "OOM command not allowed when used memory > 'maxmemory'. script: 9f1c, on @user_script:3.", "memory limit"),
    ("READONLY", "READONLY You can't write against a read only replica.", "read-only replica"),
    (
        "MISCONF",
        "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
        "cannot save to disk",
    ),
    ("NOREPLICAS", "NOREPLICAS Not enough good replicas to write.", "too few replicas"),
    (
        "MASTERDOWN",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "lost its primary",
    ),
    (
        "OOM",
        "ERR Error running script (call to f_9f1c): @user_script:3: @user_script: 3: -OOM command not allowed when "
        "used memory > 'maxmemory'.",
        "memory limit",
    ),
    (
        "READONLY",
        "ERR Error running script (call to f_9f1c): @user_script:3: -READONLY You can't write against a read only "
        "replica.",
        "read-only replica",
    ),
]
"""The condition, the reply, and what is told."""
NO_COMMAND = [
    ("ERR unknown command 'EVAL', with args beginning with: 'x' '0' ", "no command EVAL"),
    ("ERR unknown command `LPUSH`, with args beginning with: `x`, ", "no command LPUSH"),
    ("ERR unknown command 'HSET'", "no command HSET"),
    ("ERR unsupported command 'client'", "no command CLIENT"),
    ("ERR unknown subcommand 'LIST'. Try CLIENT HELP.", "no command LIST"),
    ("ERR Unknown Redis command called from script script: 3d9f, on @user_script:1.", "no command that a script calls"),
]
TOO_LARGE = ["ERR Protocol error: invalid bulk length", "ERR string exceeds maximum allowed size (proto-max-bulk-len)"]
FATAL = [
    ("NOAUTH Authentication required.", "wants a password"),
    ("WRONGPASS invalid username-password pair or user is disabled.", "refuses this user name or password"),
    ("ERR invalid password", "refuses this user name or password"),
    (
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?",
        "user name or password",
    ),
    ("NOPERM this user has no permissions to run the 'eval' command", "may not run a command"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", "holds another type"),
    ("ERR DB index is out of range", "no such database"),
]
WRAPPED_IN_A_SCRIPT_ERROR = [
    (
        "ERR Error running script (call to f_9f1c): @user_script:3: WRONGTYPE Operation against a key holding the "
        "wrong kind of value",
        "holds another type",
    ),
]


@pytest.mark.parametrize("reply", TRANSIENT)
def test_what_time_may_heal_is_transient(reply: str) -> None:
    error = from_reply(reply, "localhost:6379")
    assert isinstance(error, TransientError)
    assert "localhost:6379: " in str(error)


@pytest.mark.parametrize(("reply", "told"), FATAL + WRAPPED_IN_A_SCRIPT_ERROR)
def test_what_time_does_not_heal_tells_what_to_do(reply: str, told: str) -> None:
    error = from_reply(reply, "localhost:6379")
    assert type(error) is SinkError
    assert told in str(error)
    assert error.hint


@pytest.mark.parametrize(("condition", "reply", "told"), REFUSED_NOW)
def test_a_refusal_that_may_end_by_itself_has_its_condition(condition: str, reply: str, told: str) -> None:
    error = from_reply(reply, "localhost:6379")
    assert isinstance(error, RefusedNowError)
    assert error.condition == condition
    assert told in str(error)
    assert error.hint


@pytest.mark.parametrize(("reply", "told"), NO_COMMAND)
def test_a_command_that_the_server_lacks_is_named(reply: str, told: str) -> None:
    error = from_reply(reply, "localhost:6379")
    assert type(error) is SinkError
    assert f"the server has {told} (renamed or disabled)" in str(error)
    assert "rename-command" in error.hint
    assert "ACL" not in str(error)


@pytest.mark.parametrize("reply", TOO_LARGE)
def test_a_value_that_is_too_large_for_the_server_names_the_option_and_the_limits(reply: str) -> None:
    error = from_reply(reply, "localhost:6379")
    assert isinstance(error, OversizedError)
    for word in ("--max-record-bytes", "proto-max-bulk-len", "client-query-buffer-limit"):
        assert word in error.hint


def test_another_protocol_error_is_not_about_a_size() -> None:
    assert not isinstance(from_reply("ERR Protocol error: unbalanced quotes in request", "here"), OversizedError)


def test_a_database_number_in_a_cluster_is_told_with_the_one_that_it_has() -> None:
    error = from_reply("ERR SELECT is not allowed in cluster mode", "localhost:6379")
    assert str(error) == "localhost:6379: a Redis Cluster has only database 0. Use /0 at the end of the URL"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (hiredis.ReplyError("NOPERM no rights"), "NOPERM"),
        (hiredis.ReplyError("ERR"), "ERR"),
        (b"NOPERM x", ""),
        (1, ""),
    ],
)
def test_only_an_error_reply_has_a_code(reply: object, code: str) -> None:
    assert code_of(reply) == code


def test_an_error_reply_that_is_raised_says_what_it_is_about() -> None:
    reply = hiredis.ReplyError("ERR value is not an integer")
    with pytest.raises(SinkError) as caught, translated("localhost:6379, key k"):
        raise reply
    assert str(caught.value).startswith("localhost:6379, key k: the server refuses (value is not an integer)")
    assert caught.value.__cause__ is reply


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"),
            "here: connection refused",
        ),
        (TimeoutError(), "here: timed out"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "here: Connection reset by peer"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "here: No such file or directory"),
        (BrokenPipeError(), "here: BrokenPipeError"),
    ],
)
def test_a_network_fault_is_a_failed_connection_with_its_reason(error: OSError, told: str) -> None:
    found = from_os_error(error, "here")
    assert isinstance(found, ConnectionFailedError)
    assert str(found).startswith(told)
