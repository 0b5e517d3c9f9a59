"""Translates errors of Redis and of the network into errors that tell a user what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import hiredis

from loader.errors import (
    ConnectionFailedError,
    LoaderError,
    OversizedError,
    RefusedNowError,
    SinkError,
    TransientError,
)
from loader.wire.tls import explain_tls

RESUME = "run the same command again to go on where it stopped"

CHECK_SERVER = "Check that the server runs there, and the address in --redis"

_TRANSIENT = {
    "LOADING": "the server is loading its data",
    "BUSY": "the server is busy running a script",
    "LOST": "the server has lost what it had just acknowledged",  # from our own scripts
    "TRYAGAIN": "the cluster is moving a slot, and new keys in it wait for the end of the move",
    "CLUSTERDOWN": "the cluster is down",
    "MOVED": "the cluster has moved a key",
    "ASK": "the cluster is moving a slot, and new keys in it wait for the end of the move",
}
_REFUSED_NOW = {
    "OOM": ("the server is at its memory limit", f"Raise maxmemory or let workers drain the queue, then {RESUME}"),
    "READONLY": ("the server is a read-only replica", "Give --redis the primary's address"),
    "MASTERDOWN": ("the server is a replica that has lost its primary", "Give --redis the primary's address"),
    "MISCONF": ("the server cannot save to disk and refuses writes", f"See the server's log; once fixed, {RESUME}"),
    "NOREPLICAS": (
        "the server has too few replicas to accept writes",
        f"Check its replicas (min-replicas-to-write); once they are back, {RESUME}",
    ),
}
"""Refusals that may end without the user; see ``RefusedNowError``."""
_FATAL = {
    "NOAUTH": (
        "the server wants a password",
        "Give --redis-password-file, or put it into the URL: redis://:PASSWORD@HOST:PORT/DB",
    ),
    "WRONGPASS": ("the server refuses this user name or password", "Check the credentials in the URL"),
    "NOPERM": ("this user may not run a command that is needed", "Have the ACL extended (see docs/reference.md)"),
    "WRONGTYPE": ("a key holds another type than a task queue needs", "Rename or delete that key"),
}
_KNOWN = {*_TRANSIENT, *_REFUSED_NOW, *_FATAL, "CLAIMED"}

_NO_COMMAND = re.compile(r"(?:unknown|unsupported) (?:sub)?command[ :]*['`]?([A-Za-z|]+)?", re.IGNORECASE)
"""``unknown command 'EVAL', with args …`` (5.0: in back quotes), ``unknown subcommand 'LIST'. Try CLIENT HELP.``"""

_FULL = "max number of clients"
_TOO_LARGE = re.compile("invalid bulk length|exceeds maximum allowed size|request size exceeded", re.IGNORECASE)
"""Redis (``proto-max-bulk-len``: it closes the connection after this reply), and hosted servers."""

LOWER_MAX_RECORD_BYTES = (
    "Give a lower --max-record-bytes, so that larger records are set aside, or raise proto-max-bulk-len and "
    "client-query-buffer-limit on the server"
)


class ShardTakenOverError(LoaderError):
    """Another run of the same shard has taken it over from this one, which may write nothing more.

    No user meets it: the other run loads the shard.
    """


def no_command(names: str) -> tuple[str, str]:
    """What to say about commands that a server does not have: the problem, and what to do."""
    return (
        f"the server has no command {names} (renamed or disabled)",
        "Remove its rename-command from the server's configuration, or load into a server that has it",
    )


def cause_and_hint(code: str) -> tuple[str, str]:
    """The meaning of a Redis error code, and what a user must do.

    For callers that see the cause before the error occurs.
    """
    return _REFUSED_NOW.get(code) or _FATAL[code]


def is_full(reply: object) -> bool:
    """Whether the server takes no more connections. It says so without being asked, and closes the connection."""
    return _FULL in str(reply)


def code_of(reply: object) -> str:
    """The code of an error reply, such as ``NOPERM``; '' for any other reply."""
    return str(reply).split(" ", 1)[0] if isinstance(reply, hiredis.ReplyError) else ""


def from_reply(text: str, where: str) -> LoaderError:
    """The error for an error reply.

    Args:
        text: The reply, without its leading dash: a code in capitals, then an explanation.
        where: What the reply is about, for the message: an address, a key, a step.
    """
    # The server wraps the error of a command inside a script. It adds "... script: <sha>, on @user_script:3." after the
    # message. Older servers put "ERR Error running script (...): @user_script:3: WRONGTYPE ..." around the message.
    code = text.split(" ", 1)[0]
    if code == "ERR":
        code = next((word for word in text.replace("-", " ").split() if word in _KNOWN), code)
        if "ACL failure in script" in text or "executing the script can't" in text:
            code = "NOPERM"
        elif "invalid password" in text or "AUTH" in text:
            code = "WRONGPASS"
        text = text.removeprefix("ERR ")
    if "SELECT is not allowed in cluster mode" in text:
        return SinkError(f"{where}: a Redis Cluster has only database 0", "Use /0 at the end of the URL")
    if (command := missing_command(text)) is not None:
        what, hint = no_command(command)
        said = re.split(", with args", text, maxsplit=1)[0]  # the arguments may hold a payload
        return SinkError(f"{where}: {what}: {said}", hint)
    if _TOO_LARGE.search(text) is not None:
        return OversizedError(f"{where}: the server refuses the size of a value ({text})", LOWER_MAX_RECORD_BYTES)
    if "DB index" in text:
        return SinkError(f"{where}: the server has no such database", "Check the number at the end of the URL")
    if _FULL in text:
        return TransientError(f"{where}: the server takes no more connections", "Raise its maxclients")
    if code == "CLAIMED":  # from our own scripts
        return ShardTakenOverError(f"{where}: {text}")
    if code in _TRANSIENT:
        return TransientError(f"{where}: {_TRANSIENT[code]} ({text})")
    if code in _REFUSED_NOW:
        what, hint = _REFUSED_NOW[code]
        return RefusedNowError(f"{where}: {what} ({text})", hint, code, f"{what} ({code})")
    what, hint = _FATAL.get(code, ("the server refuses", f"Once the cause is fixed, {RESUME}"))
    return SinkError(f"{where}: {what} ({text})", hint)


def missing_command(text: str) -> str | None:
    """The command that the server does not have, as this error reply says; None if it says something else."""
    if re.search("unknown redis command called|unknown command called", text, re.IGNORECASE):
        return "that a script calls"
    found = _NO_COMMAND.search(text)
    return (found[1] or "that is needed").upper() if found is not None else None


def from_os_error(error: OSError, where: str) -> ConnectionFailedError:
    """The error for a connection that cannot be made or was lost."""
    if (known := explain_tls(error)) is not None:
        return ConnectionFailedError(f"{where}: {known[0]}", known[1])
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error, ConnectionRefusedError):
        reason = "connection refused"
    elif isinstance(error, TimeoutError):
        reason = "timed out"
    return ConnectionFailedError(f"{where}: {reason}", CHECK_SERVER)


def not_redis(text: str, where: str) -> ConnectionFailedError:
    """The error for an answer in another protocol."""
    return ConnectionFailedError(f"{where}: not a Redis reply ({text})", "Check the address in --redis")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turns error replies that are raised within the block into errors of this package.

    Args:
        where: See ``from_reply``.
    """
    try:
        yield
    except hiredis.ReplyError as error:
        raise from_reply(str(error), where) from error
