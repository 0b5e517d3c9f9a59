"""Which commands a load runs, on which keys, and whether the user may (ACL).

This is the one list of them. The lines for ``ACL SETUSER`` in docs/reference.md are made from it (a test compares), and
``ACL DRYRUN`` (Redis and Valkey from 7.0 on) is asked about each before a load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis.exceptions

from loader.jobs.ledger import QueueLedger
from loader.layouts.base import QueueEncoder
from loader.preflight.ask import Command, Question
from loader.preflight.checks import Finding
from loader.queues.existing import QUEUES_KEY
from loader.settings import LoadOptions
from loader.wire.faults import cause_and_hint

KEY_PATTERNS = ("asynq:*", "{*}:runqy-loader:*", "runqy-loader:*")
"""All keys of a load in any layout: the tasks, the ledger (in the slot of the pending list), the job."""

When = Callable[[LoadOptions], bool]


def _always(options: LoadOptions) -> bool:
    return True


def _asynq(options: LoadOptions) -> bool:
    return options.layout == "asynq"


def _reverse(options: LoadOptions) -> bool:
    return _asynq(options) and options.defaults.reverse_lookup


def _locked(options: LoadOptions) -> bool:
    return _asynq(options) and (options.envelope or bool(options.task_options.unique_ttl))


def _scheduled(options: LoadOptions) -> bool:
    tasks = options.task_options
    return _asynq(options) and (options.envelope or bool(tasks.process_at or tasks.process_in))


def _inserted(options: LoadOptions) -> bool:
    """Whether tasks are written by a script that looks first whether each is there."""
    return options.id_field is not None or options.envelope or _locked(options) or _scheduled(options)


def _inserted_reverse(options: LoadOptions) -> bool:
    return _inserted(options) and _reverse(options)


def _queue_check(options: LoadOptions) -> bool:
    return options.queue_check == "redis"


@dataclass(frozen=True, slots=True)
class Right:
    """One command that a load runs, alone or within a script.

    Attributes:
        call: It and its arguments as one line; ``@name`` stands for a key of ``keys_of``. Of a script, only the keys.
        when: Which loads run it.
    """

    call: str
    when: When = _always

    @property
    def rule(self) -> str:
        """How ``ACL SETUSER`` calls the command: ``hset``, ``client|kill``."""
        words = self.call.lower().split()
        return "|".join(words[:2]) if words[0] in ("acl", "client", "cluster", "memory") else words[0]


CONNECTING = (Right("PING"), Right("SELECT 0"), Right("CLUSTER SLOTS"))
"""What every connection runs, and what tells a cluster. Who has come so far has these, so nobody is asked."""

NEEDED = (
    # the job's record (jobs/job.py) and its lease (jobs/lease.py, also within its scripts)
    Right("HSETNX @job manifest x"),
    Right("HSET @job state x"),
    Right("HGET @job manifest"),
    Right("EVAL @lease @job"),
    Right("GET @lease"),
    Right("SET @lease x PX 1"),
    Right("HINCRBY @job runs 1"),
    # what the ledger holds (job.ledger_state), and whether one batch is in (QueueLedger.is_loaded)
    Right("GET @batches"),
    Right("GET @checksums"),
    Right("HGETALL @skipped"),
    Right("GETBIT @batches 0"),
    # a batch: its hashes, then the script of jobs/ledger.py
    Right("HSET @task x x"),
    Right("EVAL @pending @batches @checksums @skipped"),
    Right("HGET @skipped 0"),
    Right("LLEN @pending"),
    Right("SETRANGE @checksums 0 x"),
    Right("HSET @skipped 0 x"),
    Right("SETBIT @batches 0 1"),
    Right("LPUSH @pending x"),
    # tasks that are written by a script
    Right("EXISTS @task", _inserted),
    Right("DEL @task", _inserted),
    # layout asynq
    Right(f"SADD {QUEUES_KEY} x", _asynq),
    Right("HSET @reverse queue x", _reverse),
    Right("EXISTS @reverse", _inserted_reverse),
    Right("DEL @reverse", _inserted_reverse),
    Right("SET @lock x NX EX 1", _locked),
    Right("DEL @lock", _locked),
    Right("ZADD @scheduled 1 x", _scheduled),
    Right("ZREM @scheduled x", _scheduled),
    # --queue-check redis
    Right(f"SMEMBERS {QUEUES_KEY}", _queue_check),
)
"""Without these a load stops."""

OPTIONAL = (Right("CLIENT SETNAME x"), Right("CLIENT LIST"), Right("CLIENT KILL ID 1"), Right("DEL @lease"))
"""Without these a load works, but cannot make sure that a connection it gave up is dead (``Lease.fence``), or give its
lease back at its end."""

CHECKING = (
    Right("INFO"),
    Right("TIME"),
    Right("ACL WHOAMI"),
    Right("ACL DRYRUN default PING"),
    Right("EXISTS @job"),
    Right("SISMEMBER asynq:queues x"),
    Right("ZREVRANGE asynq:servers 0 0"),
    Right("SRANDMEMBER asynq:workers 1"),
    Right("GET asynq:servers:x"),
    Right("HMGET asynq:workers:x queues"),
    Right("MEMORY USAGE @task"),
)
"""Without one of these, a check of this package finds nothing, and says 'unknown'."""


def user(replies: Sequence[Any]) -> str | None:
    """Who asks; None where the server does not know users, or does not tell."""
    (reply,) = replies
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    return reply if isinstance(reply, str) else None


WHO: Question[str | None] = Question((("ACL", "WHOAMI"),), user)


def rules(rights: Iterable[Right], but: Iterable[Right] = ()) -> list[str]:
    """What ``ACL SETUSER`` takes to allow these commands, each once, but for those that others allow already."""
    known = {right.rule for right in but}
    return list(dict.fromkeys(f"+{right.rule}" for right in rights if right.rule not in known))


def keys_of(job: str, encoder: QueueEncoder) -> dict[str, bytes]:
    """The keys that a job writes for a queue, by the names that stand in ``Right.call``."""
    ledger = QueueLedger(job, encoder)
    base = encoder.task_key(b"").removesuffix(b"t:")
    return {
        "@job": b"runqy-loader:{%b}:job" % job.encode(),
        "@lease": b"runqy-loader:{%b}:lease" % job.encode(),
        "@batches": ledger.batches_key,
        "@checksums": ledger.checksums_key,
        "@skipped": ledger.skipped_key,
        "@pending": encoder.pending_key,
        "@task": encoder.task_key(b"x"),
        "@reverse": b"asynq:t:x",
        "@lock": base + b"unique:x",
        "@scheduled": base + b"scheduled",
    }


def asked(options: LoadOptions) -> list[Right]:
    """The rights that this load is asked about; the optional ones come last."""
    return [right for right in NEEDED if right.when(options)] + list(OPTIONAL)


def allowed(
    user: str | None, rights: Sequence[Right], keys: Mapping[str, bytes], *, keys_known: bool
) -> Question[list[Finding]]:
    """Asks whether a user may run these commands on these keys. What the server cannot be asked, the load finds out.

    Args:
        user: The answer to ``WHO``.
        keys_known: Whether the keys are those of the load; where not, a key that is refused tells nothing.
    """
    if user is None:
        return Question((), lambda _: [unknown_rights()])
    findings = partial(rights_findings, rights, user=user, keys_known=keys_known)
    return Question(dry_runs(user, rights, keys), findings)


def dry_runs(user: str, rights: Sequence[Right], keys: Mapping[str, bytes]) -> list[Command]:
    """The questions to the server: may this user run these commands on these keys?"""
    questions: list[Command] = []
    for right in rights:
        name, *words = right.call.split()
        arguments: list[str | bytes] = [keys.get(word, word) for word in words]
        if name == "EVAL":
            arguments = ["return 1", str(len(words)), *arguments]
        questions.append(("ACL", "DRYRUN", user, name, *arguments))
    return questions


def rights_findings(rights: Sequence[Right], replies: Sequence[Any], user: str, *, keys_known: bool) -> list[Finding]:
    """What the answers say.

    Args:
        replies: To ``dry_runs`` of the same rights.
        keys_known: See ``allowed``.
    """
    if replies and all(isinstance(reply, redis.exceptions.RedisError) for reply in replies):
        return [unknown_rights()]
    refused = {right: _refused(right, reply) for right, reply in zip(rights, replies, strict=True)}
    if not keys_known:
        refused = {right: what if what.startswith("+") else "" for right, what in refused.items()}
    needed = list(dict.fromkeys(what for right, what in refused.items() if what and right not in OPTIONAL))
    optional = list(dict.fromkeys(what for right, what in refused.items() if what and right in OPTIONAL))
    findings = [Finding("rights", "ok", f"user {user} may run every command that this load needs")]
    if needed:
        hint = f"{cause_and_hint('NOPERM')[1]}; missing: {' '.join(needed)}"
        findings = [Finding("rights", "error", f"user {user} may not do what this load needs", hint)]
    if optional:
        text = f"user {user} lacks {' '.join(optional)}, which a load can do without"
        hint = "See what for in docs/reference.md"
        findings.append(Finding("optional", "warning", text, hint))
    return findings


def unknown_rights() -> Finding:
    """Where the server cannot be asked, the load finds out by itself."""
    return Finding("rights", "unknown", "the server does not tell (ACL DRYRUN needs version 7 and the right to it)")


def _refused(right: Right, reply: Any) -> str:
    """What is missing, as ``ACL SETUSER`` would give it; empty where nothing is."""
    if isinstance(reply, redis.exceptions.RedisError):
        # "Command 'EVAL' not found": renamed or taken out of the server. Other errors tell nothing of this command.
        return f"+{right.rule}" if "not found" in str(reply) else ""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    if text == "OK":
        return ""
    key = re.search(r"access the '(.*)' key", text, re.DOTALL)
    return f"~{key[1]}" if key else f"+{right.rule}"
