"""Whether tasks are written compact: one scratch task is restored, read back field by field, and deleted.

Servers take dumps in one of two forms. The newer one is tried first; if that has made the task, the other one, sent in
the same round trip, is refused, since the key exists.

The server's word is not enough. miniredis 2.40 answers OK to RESTORE, whatever the dump is, and makes a string of it; a
proxy may have an older server behind it; a user may lack the right (RESTORE is in the category ``@dangerous``).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from loader.errors import TransientError
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import Dumps
from loader.layouts.dump import FORMS, FormName, hash_dump
from loader.layouts.pays import dumps_that_pay, usual_form
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

_OLD_VERSION = "version or checksum"
_TRIES = 100
"""Random keys that are tried for each primary of a cluster, to find one in its slots."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a server has done with the scratch task: replies, or errors in their place.

    Attributes:
        restored: The reply to RESTORE of a listpack.
        restored_old: The reply to RESTORE of a ziplist.
        exists: The reply to EXISTS, which the scripts need as well.
        fields: The reply to HGETALL.
        last: The reply to HGET of the last field.
        dump: The reply to DUMP.
        deleted: The reply to DEL, which a resend needs as well.
    """

    restored: Any
    restored_old: Any
    exists: Any
    fields: Any
    last: Any
    dump: Any
    deleted: Any

    @property
    def form(self) -> FormName:
        """The form of dumps that was tried last: ziplists only where the server does not know listpacks."""
        return "ziplist" if _is_too_new(self.restored) else "listpack"

    @property
    def reply(self) -> Any:
        """The reply to RESTORE in this form."""
        return self.restored_old if self.form == "ziplist" else self.restored


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
            *(("RESTORE", key, SCRATCH_MILLISECONDS, hash_dump(SCRATCH, form)) for form in FORMS.values()),
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
) -> tuple[Dumps | None, Finding]:
    """Which tasks are dumped, and how (None for no dumps), and what to say of it.

    Args:
        options: Settled options.
        scratches: Of the single server, or of each primary of a cluster; none for ``--compact never``.
        infos: The replies to INFO of the same servers, or errors in their place.
        where: The server.
    """
    name, mode = "compact", options.compact
    if mode == "never":
        return None, Finding(name, "ok", "tasks are written by HSET, as --compact never says")
    obstacle = next((found for scratch in scratches if (found := _obstacle(scratch, where))), None)
    forms = _forms(scratches, infos)
    if obstacle is None and len(forms) > 1:
        obstacle = "some of the servers are older than Redis 7.0, and take other dumps", ""
    if obstacle is not None:
        why, hint = obstacle
        if mode == "always":
            hint = hint or "Load with --compact auto"
            return None, Finding(name, "error", f"--compact always cannot be: {why}", hint)
        return None, Finding(name, "ok", f"tasks are written by HSET: {why}", hint)
    compact = min((dumps_that_pay(options, info, min(forms)) for info in infos), key=attrgetter("longest"))
    text = "tasks are written compact"
    if compact.form == "ziplist":
        text += " (as ziplists, since the server is older than Redis 7.0)"
    if mode == "always":
        return compact, Finding(name, "ok", f"{text}, as --compact always says")
    text += f", which takes less memory; by HSET where payloads are over {compact.longest:,} bytes"
    return compact, Finding(name, "ok", text)


async def asked_dumps(servers: Servers, options: LoadOptions, encoder: QueueEncoder) -> Dumps | None:
    """Asks a server which tasks are dumped, and how (None for no dumps), and logs it.

    Raises:
        SinkError: It does not take them, and ``--compact always`` was given.
        LoaderError: The server cannot be reached.
    """
    scratches = scratch_tasks(servers, options, encoder)
    info: Question[Any] = Question((("INFO", "server"),), lambda replies: replies[0])
    with translated(str(servers)):
        answers = await ask(servers, info, *scratches)
    made = [answers[scratch] for scratch in scratches]
    compact, how = compact_finding(options, made, [answers[info]], str(servers))
    if how.level == "error":
        raise refusal(how, str(servers))
    log.info("%s", how)
    return compact


def _forms(scratches: Sequence[Scratch], infos: Sequence[Any]) -> set[FormName]:
    """The forms of dumps that servers take. Where they refuse writes for a time, their versions tell it."""
    taken = {scratch.form for scratch in scratches if not isinstance(scratch.reply, Exception)}
    return taken or {usual_form(info) for info in infos}


def _obstacle(scratch: Scratch, where: str) -> tuple[str, str] | None:
    """Why compact tasks cannot be written to a server, and what to do about it; None if they can.

    A server that refuses writes for a time is not known to refuse dumps. If it does, the load goes on by HSET.
    """
    if isinstance(scratch.reply, Exception):
        if isinstance(from_reply(str(scratch.reply), where), TransientError):
            return None
        return _refusal(scratch.reply)
    for command, reply in (("EXISTS", scratch.exists), ("DEL", scratch.deleted)):
        if isinstance(reply, Exception):
            return f"the server refuses {command} of a task, which compact tasks need ({reply})", ""
    if scratch.fields != dict(SCRATCH):
        return f"the server answers OK to RESTORE, but HGETALL gives {_seen(scratch.fields)}", ""
    if scratch.last != SCRATCH[-1][1]:
        return f"the server answers OK to RESTORE, but HGET gives {_seen(scratch.last)}", ""
    if isinstance(scratch.dump, bytes) and not scratch.dump.startswith(FORMS[scratch.form].RDB_TYPE):
        why = f"the server makes a hash table of {len(SCRATCH)} fields, which saves nothing"
        return why, f"Set the server's hash-max-{scratch.form}-entries to 128 or more"
    return None


def _refusal(error: Exception) -> tuple[str, str]:
    """What an error in place of RESTORE's reply means. The texts are those of Redis 6.2 to 8.2 and Valkey 9.1."""
    text = str(error).removeprefix("ERR ")
    if code_of(error) == "NOPERM":
        if "access" in text:
            why = f"this user may not RESTORE a key of the loader ({text})"
            return why, "Give it the key patterns in docs/reference.md"
        return "this user may not run RESTORE", "Add +restore to the user (ACL SETUSER)"
    if _OLD_VERSION in text:
        return "the server takes dumps neither of RDB version 10 nor of 9 (Redis 6.2 and newer do, and Valkey)", ""
    if "unknown command" in text.lower():
        return "the server has no command RESTORE, or has it renamed", ""
    return f"the server answers to RESTORE: {text}", ""


def _is_too_new(reply: object) -> bool:
    """Whether a reply to RESTORE says that the dump's version is newer than the server."""
    return isinstance(reply, Exception) and _OLD_VERSION in str(reply)


def _seen(reply: object) -> str:
    return f"the error {reply}" if isinstance(reply, Exception) else "something else"
