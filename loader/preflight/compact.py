"""Whether tasks are written compact: one scratch task is restored, read back field by field, and deleted.

The server's word is not enough. miniredis 2.40 answers OK to RESTORE, whatever the dump is, and makes a string of it; a
proxy may have an older server behind it; a user may lack the right (RESTORE is in the category ``@dangerous``).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loader.errors import TransientError
from loader.layouts.base import QueueEncoder
from loader.layouts.dump import hash_dump
from loader.layouts.pays import longest_dump
from loader.preflight.ask import Question, ask
from loader.preflight.checks import Finding
from loader.preflight.refusal import refusal
from loader.preflight.scratch_key import scratch_key
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.wire.faults import code_of, from_reply, translated

log = logging.getLogger("runqy_loader")

SCRATCH_MILLISECONDS = 10_000
"""How long the scratch task lives at most, if it is not deleted: a connection is lost, or DEL is not allowed."""

SCRATCH = (
    (b"type", b"task"),
    (b"payload", b'{"runqy-loader": "' + b"scratch " * 600 + b'"}'),  # beyond 4096 bytes, a string's longest form
    (b"retry", b"0"),
    (b"max_retry", b"25"),
    (b"timeout", b"1800"),
    (b"retention", b"86400"),
    (b"negative", b"-20000"),
    (b"deadline", b"1790000000"),
    (b"pending_since", b"1790000000000000000"),
    (b"not an integer", b"007"),
    (b"empty", b""),
    (b"queue", b"inference.default"),
)
"""Fields of every kind that a task may have: strings of each form, integers of each width. No task has more fields."""

_IN_LISTPACK = b"\x10"
_NEWEST_NEEDED = "Redis 7.0 and newer do, and Valkey"
_TRIES = 100
"""Random keys that are tried for each primary of a cluster, to find one in its slots."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a server has done with the scratch task: replies, or errors in their place.

    Attributes:
        restored: The reply to RESTORE.
        exists: The reply to EXISTS, which the scripts need as well.
        fields: The reply to HGETALL.
        last: The reply to HGET of the last field.
        dump: The reply to DUMP.
        deleted: The reply to DEL, which a resend needs as well.
    """

    restored: Any
    exists: Any
    fields: Any
    last: Any
    dump: Any
    deleted: Any


def scratch_tasks(servers: Servers, options: LoadOptions, encoder: QueueEncoder) -> list[Question[Scratch]]:
    """Makes a scratch task on each server, reads it and deletes it. None for ``--compact never``."""
    if options.compact == "never":
        return []
    if not servers.is_cluster:
        return [scratch_task(scratch_key(encoder.slot_tag, b"scratch"))]
    keys: dict[object, bytes] = {}
    primaries = servers.primaries()
    for _ in range(_TRIES * len(primaries)):
        key = scratch_key(b"{%d}" % secrets.randbits(32), b"scratch")
        if servers.serves(key):
            keys.setdefault(servers.address_of(key), key)
        if len(keys) == len(primaries):
            break
    return [scratch_task(key) for key in keys.values()]


def scratch_task(key: bytes) -> Question[Scratch]:
    """Makes a scratch task, reads it and deletes it.

    Args:
        key: A key that nothing else uses.
    """
    return Question(
        (
            ("RESTORE", key, SCRATCH_MILLISECONDS, hash_dump(SCRATCH)),
            ("EXISTS", key),
            ("HGETALL", key),
            ("HGET", key, SCRATCH[-1][0]),
            ("DUMP", key),
            ("DEL", key),
        ),
        lambda replies: Scratch(*replies),
        may_fail=True,
    )


def compact_finding(
    options: LoadOptions, scratches: Sequence[Scratch], infos: Sequence[Any], where: str
) -> tuple[int, Finding]:
    """The longest payload whose task is a dump, in bytes (0 for no dumps), and what to say of it.

    Args:
        options: Settled options.
        scratches: Of the single server, or of each primary of a cluster; none for ``--compact never``.
        infos: The replies to INFO of the same servers, or errors in their place.
        where: The server.
    """
    name, mode = "compact", options.compact
    if mode == "never":
        return 0, Finding(name, "ok", "tasks are written by HSET, as --compact never says")
    obstacle = next((found for scratch in scratches if (found := _obstacle(scratch, where))), None)
    if obstacle is not None:
        why, hint = obstacle
        if mode == "always":
            hint = hint or "Load with --compact auto"
            return 0, Finding(name, "error", f"--compact always cannot be: {why}", hint)
        return 0, Finding(name, "ok", f"tasks are written by HSET: {why}", hint)
    longest = min(longest_dump(options, info) for info in infos)
    if mode == "always":
        return longest, Finding(name, "ok", "tasks are written compact, as --compact always says")
    text = f"tasks are written compact, which takes less memory; by HSET where payloads are over {longest:,} bytes"
    return longest, Finding(name, "ok", text)


async def asked_longest_dump(servers: Servers, options: LoadOptions, encoder: QueueEncoder) -> int:
    """Asks a server up to which length of payloads tasks are dumps (0 for no dumps), and logs it.

    Raises:
        SinkError: It does not take them, and ``--compact always`` was given.
        LoaderError: The server cannot be reached.
    """
    scratches = scratch_tasks(servers, options, encoder)
    info: Question[Any] = Question((("INFO", "server"),), lambda replies: replies[0])
    with translated(str(servers)):
        answers = await ask(servers, info, *scratches)
    made = [answers[scratch] for scratch in scratches]
    longest, how = compact_finding(options, made, [answers[info]], str(servers))
    if how.level == "error":
        raise refusal(how, str(servers))
    log.info("%s", how)
    return longest


def _obstacle(scratch: Scratch, where: str) -> tuple[str, str] | None:
    """Why compact tasks cannot be written to a server, and what to do about it; None if they can.

    A server that refuses writes for a time is not known to refuse dumps. If it does, the load goes on by HSET.
    """
    if isinstance(scratch.restored, Exception):
        if isinstance(from_reply(str(scratch.restored), where), TransientError):
            return None
        return _refusal(scratch.restored)
    for command, reply in (("EXISTS", scratch.exists), ("DEL", scratch.deleted)):
        if isinstance(reply, Exception):
            return f"the server refuses {command} of a task, which compact tasks need ({reply})", ""
    if scratch.fields != dict(SCRATCH):
        return f"the server answers OK to RESTORE, but HGETALL gives {_seen(scratch.fields)}", ""
    if scratch.last != SCRATCH[-1][1]:
        return f"the server answers OK to RESTORE, but HGET gives {_seen(scratch.last)}", ""
    if isinstance(scratch.dump, bytes) and not scratch.dump.startswith(_IN_LISTPACK):
        why = f"the server makes a hash table of {len(SCRATCH)} fields, which saves nothing"
        return why, "Set the server's hash-max-listpack-entries to 128 or more"
    return None


def _refusal(error: Exception) -> tuple[str, str]:
    """What an error in place of RESTORE's reply means. The texts are those of Redis 6.2 to 8.2 and Valkey 9.1."""
    text = str(error).removeprefix("ERR ")
    if code_of(error) == "NOPERM":
        if "access" in text:
            why = f"this user may not RESTORE a key of the loader ({text})"
            return why, "Give it the key patterns in docs/reference.md"
        return "this user may not run RESTORE", "Add +restore to the user (ACL SETUSER)"
    if "version or checksum" in text:
        return f"the server does not take dumps of RDB version 10 ({_NEWEST_NEEDED})", ""
    if "unknown command" in text.lower():
        return "the server has no command RESTORE, or has it renamed", ""
    return f"the server answers to RESTORE: {text}", ""


def _seen(reply: object) -> str:
    return f"the error {reply}" if isinstance(reply, Exception) else "something else"
