"""Whether tasks are written compact: one scratch task is restored, read back field by field, and deleted.

The server's word is not enough. miniredis 2.40 answers OK to RESTORE, whatever the dump is, and makes a string of it; a
proxy may have an older server behind it; a user may lack the right (RESTORE is in the category ``@dangerous``).

Not used by a load yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loader.layouts.dump import hash_dump
from loader.preflight.ask import Question
from loader.tasks.profiles import LayoutName
from loader.wire.faults import code_of

Mode = Literal["auto", "always", "never"]

SCRATCH_MILLISECONDS = 10_000
"""How long the scratch task lives at most, if the connection is lost before it is deleted."""

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

PAYS_UP_TO: dict[LayoutName, int] = {"documented": 1000, "asynq": 500}
"""The mean payload, in bytes, up to which a dump saves the server time.

Shares of an HSET's cost, by ``python -m benchmarks compact`` with Redis 7.0 and 8.2, at 110, 300 and 1000 bytes:

- documented: CPU time 0.70, 0.75, 0.93 to 1.01; memory 0.50 to 0.53, 0.61 to 0.64, 0.8
- asynq: CPU time 0.85, 0.88 to 0.95, 1.00 to 1.13; memory 0.67 to 0.70, 0.75, 0.85

At 10 KB, a dump takes a third more CPU time, and saves no memory. Valkey 9.1 (built with libc's malloc) takes about as
much CPU time for either at 110 bytes, and more for a dump from 300 bytes on; its memory is 0.62, 0.70 and 0.85.
"""

_IN_LISTPACK = b"\x10"
_NEWEST_NEEDED = "Redis 7.0 and newer do, and Valkey"


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a server has done with the scratch task: replies, or errors in their place.

    Attributes:
        restored: The reply to RESTORE.
        fields: The reply to HGETALL.
        values: The reply to HMGET of all fields, the last one first.
        dump: The reply to DUMP.
    """

    restored: Any
    fields: Any
    values: Any
    dump: Any


@dataclass(frozen=True, slots=True)
class Choice:
    """How tasks are written.

    Attributes:
        compact: Whether by RESTORE.
        why: The reason, as a clause without a full stop.
        hint: What to do to have it the other way, as one sentence; empty if there is nothing to do.
        refused: Whether the load must not start, because it was asked for what cannot be.
    """

    compact: bool
    why: str
    hint: str = ""
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.why}. {self.hint}" if self.hint else self.why


def scratch_task(key: str) -> Question[Scratch]:
    """Makes a scratch task, reads it and deletes it. In a cluster, each primary must be asked, with a key of its own.

    Args:
        key: A key that nothing else uses.
    """
    names = [name for name, _ in SCRATCH]
    return Question(
        (
            ("RESTORE", key, SCRATCH_MILLISECONDS, hash_dump(SCRATCH)),
            ("HGETALL", key),
            ("HMGET", key, *reversed(names)),
            ("DUMP", key),
            ("DEL", key),
        ),
        lambda replies: Scratch(*replies[:4]),
    )


def choose(mode: Mode, scratches: Sequence[Scratch], layout: LayoutName, mean_payload: float | None) -> Choice:
    """How to write tasks.

    Args:
        scratches: Of the single server, or of each primary of a cluster. They need not be asked for ``never``.
        mean_payload: The mean length of payloads in bytes; None if it is not known.
    """
    if mode == "never":
        return Choice(False, "tasks are written by HSET, as --compact never says")
    obstacle = next((found for scratch in scratches if (found := obstacle_of(scratch))), None)
    if obstacle is not None:
        why, hint = obstacle
        if mode == "always":
            more = hint or "Load with --compact auto"
            return Choice(False, f"--compact always cannot be: {why}", more, refused=True)
        return Choice(False, f"tasks are written by HSET: {why}", hint)
    if mode == "always":
        return Choice(True, "tasks are written compact, as --compact always says")
    if mean_payload is not None and mean_payload > PAYS_UP_TO[layout]:
        why = (
            f"payloads are {mean_payload:,.0f} bytes on average, and above {PAYS_UP_TO[layout]:,} a dump saves no time"
        )
        return Choice(False, f"tasks are written by HSET: {why}", "Use --compact always to save memory")
    return Choice(True, "tasks are written compact: the server takes them, and reads them back the same")


def obstacle_of(scratch: Scratch) -> tuple[str, str] | None:
    """Why compact tasks cannot be written to a server, and what to do about it; None if they can."""
    if isinstance(scratch.restored, Exception):
        return _refusal(scratch.restored)
    if scratch.fields != dict(SCRATCH):
        return f"the server answers OK to RESTORE, but HGETALL gives {_seen(scratch.fields)}", ""
    if scratch.values != [value for _, value in reversed(SCRATCH)]:
        return f"the server answers OK to RESTORE, but HMGET gives {_seen(scratch.values)}", ""
    if isinstance(scratch.dump, bytes) and not scratch.dump.startswith(_IN_LISTPACK):
        why = f"the server makes a hash table of {len(SCRATCH)} fields, which saves nothing"
        return why, "Set the server's hash-max-listpack-entries to 128, which is its default"
    return None


def _refusal(error: Exception) -> tuple[str, str]:
    """What an error in place of RESTORE's reply means. The texts are those of Redis 6.2 to 8.2 and Valkey 9.1."""
    text = str(error).removeprefix("ERR ")
    if code_of(error) == "NOPERM":
        return "this user may not run RESTORE", "Add +restore to the user (ACL SETUSER)"
    if "version or checksum" in text:
        return f"the server does not take dumps of RDB version 10 ({_NEWEST_NEEDED})", ""
    if "unknown command" in text.lower():
        return "the server has no command RESTORE, or has it renamed", ""
    return f"the server answers to RESTORE: {text}", ""


def _seen(reply: object) -> str:
    return f"the error {reply}" if isinstance(reply, Exception) else "something else"
