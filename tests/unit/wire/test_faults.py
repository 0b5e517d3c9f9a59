"""What the server says, and what a user is told: the same for both clients that the loader uses."""

from __future__ import annotations

import errno

import pytest
import redis
from redis._parsers.base import BaseParser
from redis.backoff import NoBackoff
from redis.retry import Retry

from loader.errors import ConnectionFailedError, SinkError, TransientError
from loader.wire.faults import from_os_error, from_redis_py, from_reply

TRANSIENT = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
]
FATAL = [
    ("OOM command not allowed when used memory > 'maxmemory'.", "memory limit"),
    ("OOM command not allowed when used memory > 'maxmemory'. script: 9f1c, on @user_script:3.", "memory limit"),
    ("READONLY You can't write against a read only replica.", "read-only replica"),
    ("NOAUTH Authentication required.", "wants a password"),
    ("WRONGPASS invalid username-password pair or user is disabled.", "refuses this user name or password"),
    ("ERR invalid password", "refuses this user name or password"),
    (
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?",
        "user name or password",
    ),
    ("NOPERM this user has no permissions to run the 'eval' command", "may not run a command"),
    ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", "cannot save to disk"),
    ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", "holds another type"),
    ("ERR DB index is out of range", "no such database"),
    ("ERR unknown command 'EVAL'", "the server refuses"),
]
WRAPPED_IN_A_SCRIPT_ERROR = [
    (
        "ERR Error running script (call to f_9f1c): @user_script:3: WRONGTYPE Operation against a key holding the "
        "wrong kind of value",
        "holds another type",
    ),
    (
        "ERR Error running script (call to f_9f1c): @user_script:3: @user_script: 3: -OOM command not allowed when "
        "used memory > 'maxmemory'.",
        "memory limit",
    ),
    (
        "ERR Error running script (call to f_9f1c): @user_script:3: -READONLY You can't write against a read only "
        "replica.",
        "read-only replica",
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


@pytest.mark.parametrize("reply", TRANSIENT + [reply for reply, _ in FATAL] + ["ERR max number of clients reached"])
def test_redis_pys_exception_for_a_reply_gets_the_verdict_of_the_reply(reply: str) -> None:
    raised = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]

    error, expected = from_redis_py(raised, "here"), from_reply(reply, "here")

    assert type(error) is type(expected)
    assert error.hint == expected.hint
    assert str(error).split("(")[0] == str(expected).split("(")[0]


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


def test_redis_py_failing_to_connect_tells_the_networks_reason() -> None:
    with (
        redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.exceptions.ConnectionError) as caught,
    ):
        client.ping()
    found = from_redis_py(caught.value, "here")
    assert isinstance(found, ConnectionFailedError)
    assert str(found).startswith("here: connection refused")


@pytest.mark.parametrize(
    "error", [redis.exceptions.TimeoutError("Timeout reading"), redis.exceptions.ConnectionError("gone")]
)
def test_redis_py_losing_its_connection_is_a_failed_connection(error: redis.exceptions.RedisError) -> None:
    assert isinstance(from_redis_py(error, "here"), ConnectionFailedError)
