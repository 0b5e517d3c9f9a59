"""The commands that a load runs, their keys, and whether the user has the right to run them (ACL).

This is the only list of these commands. The lines for ``ACL SETUSER`` in docs/reference.md are made from it (a test
compares them). Before a load, ``ACL DRYRUN`` (Redis and Valkey from 7.0 on) checks each command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import hiredis

from loader.jobs.index import JOBS_KEY
from loader.jobs.ledger import QueueLedger
from loader.jobs.standing import job_key, lease_key
from loader.layouts.base import QueueEncoder
from loader.preflight.ask import Command, Question
from loader.preflight.checks import Finding
from loader.queues.existing import QUEUES_KEY
from loader.settings import LoadOptions
from loader.wire.faults import cause_and_hint, no_command

KEY_PATTERNS = ("asynq:*", "{*}:runqy-loader:*", "runqy-loader:*")
"""All keys of a load in any layout: the tasks, the ledger (in the slot of the pending list), the job."""

When = Callable[[LoadOptions], bool]


def _always(options: LoadOptions) -> bool:
    return True


def _asynq(options: LoadOptions) -> bool:
    return options.layout_name == "asynq"


def _reverse(options: LoadOptions) -> bool:
    return _asynq(options) and options.defaults.reverse_lookup


def _locked(options: LoadOptions) -> bool:
    return _asynq(options) and (options.envelope or bool(options.task_options.unique_ttl))


def _scheduled(options: LoadOptions) -> bool:
    tasks = options.task_options
    return _asynq(options) and (options.envelope or bool(tasks.process_at or tasks.process_in))


def _grouped(options: LoadOptions) -> bool:
    return options.envelope and options.profile == "asynq"


def _inserted(options: LoadOptions) -> bool:
    """Whether a script writes the tasks, and checks first whether each id is free."""
    return options.own_ids is not None or _locked(options) or _scheduled(options)


def _inserted_reverse(options: LoadOptions) -> bool:
    return _inserted(options) and _reverse(options)


def _compact(options: LoadOptions) -> bool:
    return options.compact != "never"


def _waits(options: LoadOptions) -> bool:
    return bool(options.wait_replicas) and not options.wait_fsync


def _waits_for_disk(options: LoadOptions) -> bool:
    return options.wait_fsync


def _paced(options: LoadOptions) -> bool:
    return options.max_replica_lag is not None


def _headroom(options: LoadOptions) -> bool:
    return options.headroom is not None


def _spread(options: LoadOptions) -> bool:
    return options.engine != "local"


def _queue_check(options: LoadOptions) -> bool:
    return options.queue_check == "redis"


@dataclass(frozen=True, slots=True)
class Right:
    """One command that a load runs, alone or within a script.

    Attributes:
        call: The command and its arguments as one line; ``@name`` stands for a key of ``keys_of``. For a script, only
            the keys.
        when: Whether a load with these options runs it.
    """

    call: str
    when: When = _always

    @property
    def rule(self) -> str:
        """The command's name in ``ACL SETUSER``: ``hset``, ``client|kill``."""
        words = self.call.lower().split()
        return "|".join(words[:2]) if words[0] in ("acl", "client", "cluster", "memory") else words[0]


CONNECTING = (Right("PING"), Right("SELECT 0"), Right("CLUSTER SLOTS"))
"""The commands that open a connection and detect a cluster. They run before the checks, so they are not checked."""

NEEDED = (
    # the job's record (jobs/job.py) and its lease (jobs/lease.py, also within its scripts)
    Right("HSETNX @job manifest x"),
    Right("HSET @job state x"),
    Right("HGET @job manifest"),
    Right("EVAL @lease @job"),
    Right("GET @lease"),
    Right("SET @lease x PX 1"),
    Right("HINCRBY @job runs 1"),
    # reading the ledger (job.ledger_state), and one bit of it (QueueLedger.is_loaded)
    Right("GET @batches"),
    Right("GET @checksums"),
    Right("HGETALL @skipped"),
    Right("GETBIT @batches 0"),
    # which jobs have loaded a source (jobs/source_index.py, within its script)
    Right("EVAL @source"),
    Right("HGETALL @source"),
    Right("HSETNX @source x 1"),
    # a batch: its hashes, then the script of jobs/ledger.py
    Right("HSET @task x x"),
    Right("EVAL @pending @batches @checksums @skipped @records"),
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
    Right("ZADD @group 1 x", _grouped),
    Right("ZREM @group x", _grouped),
    Right("SADD @groups x", _grouped),
    Right("SREM @groups x", _grouped),
    # loads over several machines (jobs/claims.py, within its scripts)
    Right("EVAL @claim @batches @checksums @skipped", _spread),
    Right("HGET @claim claim", _spread),
    Right("HSET @claim claim x", _spread),
    # --queue-check redis
    Right(f"SMEMBERS {QUEUES_KEY}", _queue_check),
)
"""A load fails without one of these rights."""

CAREFUL = (
    Right("WAIT 0 0", _waits),
    Right("WAITAOF 0 0 0", _waits_for_disk),
    Right("INFO replication", _paced),
    Right("INFO memory", _headroom),
)
"""The rights for ``--wait-replicas``, ``--wait-fsync``, ``--max-replica-lag`` and ``--memory-headroom``. Older servers
do not know WAITAOF."""

OPTIONAL = (
    Right("CLIENT SETNAME x"),
    Right("CLIENT LIST"),
    Right("CLIENT KILL ID 1"),
    Right("DEL @lease"),
    # jobs/keep.py and jobs/index.py
    Right("PERSIST @batches"),
    Right("PEXPIREAT @batches 1"),
    Right(f"ZADD {JOBS_KEY} 1 x"),
    Right("RESTORE @task 0 x", _compact),
)
"""A load works without these rights. But then it cannot make sure that a lost connection is dead (``Lease.fence``),
cannot release its lease at the end, cannot have the job's record end or listed, or cannot write compact tasks
(``preflight.compact``)."""

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
    Right("DUMP @task"),
    # jobs/old_jobs.py
    Right("DBSIZE"),
    Right("SCAN 0"),
)
"""Without one of these rights, a check of this package has no result and returns 'unknown'."""


def user(replies: Sequence[Any]) -> str | None:
    """The name of the user; None if the server has no users, or refuses the command."""
    (reply,) = replies
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    return reply if isinstance(reply, str) else None


WHO: Question[str | None] = Question((("ACL", "WHOAMI"),), user)


def rules(rights: Iterable[Right], but: Iterable[Right] = ()) -> list[str]:
    """The arguments of ``ACL SETUSER`` that allow these commands, each once, except those that ``but`` allows."""
    known = {right.rule for right in but}
    return list(dict.fromkeys(f"+{right.rule}" for right in rights if right.rule not in known))


def keys_of(job: str, encoder: QueueEncoder) -> dict[str, bytes]:
    """The keys that a job writes for a queue, by their names in ``Right.call``."""
    ledger = QueueLedger(job, encoder)
    base = encoder.task_key(b"").removesuffix(b"t:")
    return {
        "@job": job_key(job).encode(),
        "@lease": lease_key(job).encode(),
        "@source": b"runqy-loader:{x.default}:source:x",
        "@batches": ledger.batches_key,
        "@checksums": ledger.checksums_key,
        "@skipped": ledger.skipped_key,
        "@records": ledger.records_key,
        "@claim": ledger.claim_key,
        "@pending": encoder.pending_key,
        "@task": encoder.task_key(b"x"),
        "@reverse": b"asynq:t:x",
        "@lock": base + b"unique:x",
        "@scheduled": base + b"scheduled",
        "@group": base + b"g:x",
        "@groups": base + b"groups",
    }


def asked(options: LoadOptions) -> list[Right]:
    """The rights to check for this load; the optional rights come last."""
    return [right for right in (*NEEDED, *CAREFUL, *OPTIONAL) if right.when(options)]


def allowed(
    user: str | None, rights: Sequence[Right], keys: Mapping[str, bytes], *, keys_known: bool
) -> Question[list[Finding]]:
    """Asks whether a user may run these commands on these keys.

    Args:
        user: The answer to ``WHO``.
        keys_known: Whether the keys are those of the load. If not, a refusal because of a key is ignored.
    """
    if user is None:
        return Question((), lambda _: [unknown_rights()])
    findings = partial(rights_findings, rights, user=user, keys_known=keys_known)
    return Question(dry_runs(user, rights, keys), findings)


def dry_runs(user: str, rights: Sequence[Right], keys: Mapping[str, bytes]) -> list[Command]:
    """The ``ACL DRYRUN`` commands that ask whether this user may run these commands on these keys."""
    questions: list[Command] = []
    for right in rights:
        name, *words = right.call.split()
        arguments: list[str | bytes] = [keys.get(word, word) for word in words]
        if name == "EVAL":
            arguments = ["return 1", str(len(words)), *arguments]
        questions.append(("ACL", "DRYRUN", user, name, *arguments))
    return questions


def rights_findings(rights: Sequence[Right], replies: Sequence[Any], user: str, *, keys_known: bool) -> list[Finding]:
    """The findings from the replies.

    Args:
        replies: The replies to ``dry_runs`` of the same rights.
        keys_known: See ``allowed``.
    """
    if replies and all(isinstance(reply, hiredis.ReplyError) for reply in replies):
        return [unknown_rights()]
    lacking = [right for right, reply in zip(rights, replies, strict=True) if _is_lacking(reply)]
    refused = {right: _refused(right, reply) for right, reply in zip(rights, replies, strict=True)}
    if not keys_known:
        refused = {right: what if what.startswith("+") else "" for right, what in refused.items()}
    needed = list(dict.fromkeys(what for right, what in refused.items() if what and right not in OPTIONAL))
    optional = list(dict.fromkeys(what for right, what in refused.items() if what and right in OPTIONAL))
    findings = [Finding("rights", "ok", f"user {user} may run every command that this load needs")]
    if needed:
        hint = f"{cause_and_hint('NOPERM')[1]}; missing: {' '.join(needed)}"
        findings = [Finding("rights", "error", f"user {user} may not do what this load needs", hint)]
    if names := _names(right for right in lacking if right not in OPTIONAL):
        text, hint = no_command(names)
        findings.insert(0, Finding("commands", "error", text, hint))
    if optional:
        text = f"user {user} lacks {' '.join(optional)}, which a load can do without"
        hint = "See docs/servers.md for what is done without"
        findings.append(Finding("optional", "warning", text, hint))
    if names := _names(right for right in lacking if right in OPTIONAL):
        text = f"{no_command(names)[0]}, which a load can do without"
        findings.append(Finding("optional", "warning", text, "See docs/servers.md for what is done without"))
    return findings


def _names(rights: Iterable[Right]) -> str:
    """The commands of these rights, each once."""
    return ", ".join(dict.fromkeys(right.call.split()[0] for right in rights))


def unknown_rights() -> Finding:
    """The finding for a server that cannot check rights: a missing right then shows only during the load."""
    return Finding("rights", "unknown", "the server does not tell (ACL DRYRUN needs version 7 and the right to it)")


def _is_lacking(reply: Any) -> bool:
    """Whether the server has no such command: ``Command 'EVAL' not found``. It is renamed or disabled."""
    return isinstance(reply, hiredis.ReplyError) and "not found" in str(reply)


def _refused(right: Right, reply: Any) -> str:
    """The missing right, as an argument of ``ACL SETUSER``; empty if the user has the right, or nothing is known."""
    if isinstance(reply, hiredis.ReplyError):
        return ""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    if text == "OK":
        return ""
    key = re.search(r"access the '(.*)' key", text, re.DOTALL)
    return f"~{key[1]}" if key else f"+{right.rule}"
