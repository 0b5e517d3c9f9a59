"""The scripts that servers run, whole, as files in ``golden``.

After a change of a script, ``RUNQY_LOADER_TESTS_WRITE_GOLDEN=1 pytest tests/unit/test_scripts.py`` writes the files
anew; ``git diff`` then shows what became of each script.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest
import redis

from loader.consume import asynq_scripts, documented_scripts
from loader.gateway import idempotency, push
from loader.jobs import claims, course, keep, lease, ordering, source_index
from loader.jobs.ledger import QueueLedger
from loader.jobs.ledger_scripts import commit_script, insert_script
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import REWRITE, CompactDocumented
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.look_up import DROP_LOOK_UP, SET_LOOK_UP, TASK_TO_LOOK_UP
from loader.layouts.lua import as_sent
from loader.migrate.scattered import LOOK, TAKE_BACK, push_script, write_script
from loader.migrate.source import CLAIM, PUT_BACK, settle_script
from loader.migrate.target import TRIM, place_script
from loader.preflight.estimate import ENTRY, tasks_script
from loader.preflight.rights import NEEDED, OPTIONAL
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import BEHIND
from loader.tasks.options import TaskOptions
from loader.undo.scripts import COPY, SWAP, TRY, TakingScripts, taking_scripts
from tests.conftest import Server

QUEUE = "inference.default"
UNDO: dict[str, TakingScripts] = {
    "documented": taking_scripts("documented", QUEUE, look_up=False, cluster=False),
    "documented-cluster": taking_scripts("documented", QUEUE, look_up=False, cluster=True),
    "asynq": taking_scripts("asynq", QUEUE, look_up=False, cluster=False),
    "asynq-look-up": taking_scripts("asynq", QUEUE, look_up=True, cluster=False),
    "asynq-look-up-cluster": taking_scripts("asynq", QUEUE, look_up=True, cluster=True),
}
GOLDEN = Path(__file__).parent / "golden"
WRITE_GOLDEN = "RUNQY_LOADER_TESTS_WRITE_GOLDEN"

OLDEST = (6, 2)
"""The oldest Redis that the scripts are meant for."""


def documented(*, cluster: bool = False, further_fields: bool = False) -> DocumentedEncoder:
    return DocumentedEncoder(QUEUE, "task", 3, cluster=cluster, further_fields=further_fields)


def asynq(*, reverse_lookup: bool = False, cluster: bool = False) -> AsynqEncoder:
    return AsynqEncoder(QUEUE, TaskOptions(), reverse_lookup=reverse_lookup, cluster=cluster)


ENCODERS: dict[str, QueueEncoder] = {
    "documented": documented(),
    "documented-further-fields": documented(further_fields=True),
    "asynq": asynq(),
    "asynq-look-up": asynq(reverse_lookup=True),
    "documented-compact": CompactDocumented(QUEUE, "task", 3),
    "asynq-compact": CompactAsynq(QUEUE, TaskOptions(), reverse_lookup=False),
    "asynq-compact-look-up": CompactAsynq(QUEUE, TaskOptions(), reverse_lookup=True),
    "asynq-compact-ids": CompactAsynq(QUEUE, TaskOptions(), reverse_lookup=False, own_options=False),
    "asynq-compact-ids-look-up": CompactAsynq(QUEUE, TaskOptions(), reverse_lookup=True, own_options=False),
}
SCRIPTS: dict[str, bytes] = {
    "ledger-commit": commit_script(),
    **{f"ledger-insert-{name}": insert_script(encoder) for name, encoder in ENCODERS.items()},
    "ledger-commit-fenced": commit_script(fenced=True),
    **{f"ledger-insert-{name}-fenced": insert_script(ENCODERS[name], fenced=True) for name in ("documented", "asynq")},
    "claim-take": claims.TAKE,
    "claim-prove": claims.PROVE,
    "job-course": course.NOTE,
    "rewrite-documented": REWRITE,
    "lease-acquire": lease.ACQUIRE,
    "lease-renew": lease.RENEW,
    "lease-release": lease.RELEASE,
    "source-index": source_index.NOTE,
    "source-index-forget": source_index.FORGET,
    "idempotency-push": idempotency.PUSH,
    "gateway-push": push.PUSH,
    "snapshot-behind": BEHIND,
    **{f"migrate-place-{name}": place_script(encoder) for name, encoder in ENCODERS.items()},
    **{
        f"migrate-write-{name}": write_script(encoder)
        for name, encoder in ENCODERS.items()
        if name.startswith("documented")
    },
    "migrate-look": LOOK,
    "migrate-push": push_script(),
    "migrate-take-back": TAKE_BACK,
    "migrate-trim": TRIM,
    "migrate-claim": CLAIM,
    "migrate-put-back": PUT_BACK,
    "migrate-settle-asynq": settle_script(stored_queue("asynq", QUEUE), keeps_hashes=False, look_up=""),
    "migrate-settle-asynq-cluster": settle_script(
        stored_queue("asynq", QUEUE), keeps_hashes=False, look_up="", cluster=True
    ),
    "migrate-settle-documented": settle_script(stored_queue("documented", QUEUE), keeps_hashes=False, look_up=""),
    "migrate-settle-documented-look-up": settle_script(
        stored_queue("documented", QUEUE), keeps_hashes=False, look_up=QUEUE
    ),
    "migrate-settle-documented-kept": settle_script(stored_queue("documented", QUEUE), keeps_hashes=True, look_up=""),
    **{f"estimate-tasks-{name}": tasks_script(encoder) for name, encoder in ENCODERS.items()},
    "estimate-entry": ENTRY,
    "job-strip": keep.STRIP,
    "job-order": ordering.ORDER,
    "source-index-expire": keep.EXPIRE_SOURCE,
    **{f"undo-walk-{name}": scripts.walk for name, scripts in UNDO.items()},
    **{f"undo-end-{name}": scripts.end for name, scripts in UNDO.items()},
    **{f"undo-waiting-{name}": scripts.waiting for name, scripts in UNDO.items() if name.startswith("asynq")},
    "look-up-drop": DROP_LOOK_UP,
    "look-up-set": SET_LOOK_UP,
    "look-up-of-task": TASK_TO_LOOK_UP,
    "undo-try": TRY,
    "undo-copy": COPY,
    "undo-swap": SWAP,
    **{f"undo-drop-{name}": scripts.drop for name, scripts in UNDO.items()},
    **{f"consume-asynq-{name}": script for name, script in asynq_scripts.ALL.items()},
    **{f"consume-documented-{name}": script for name, script in documented_scripts.ALL.items()},
}


def test_no_script_has_two_names() -> None:
    assert len(set(SCRIPTS.values())) == len(SCRIPTS)


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.lua").read_bytes()


def sent(command: bytes) -> bytes:
    """The script of the EVAL in these bytes."""
    reader = hiredis.Reader()
    reader.feed(command)
    name, script, *_ = reader.gets()
    assert name == b"EVAL"
    assert isinstance(script, bytes)
    return script


def commands_of(script: bytes) -> set[str]:
    """What a script calls; 'MEMORY USAGE' counts as its first word."""
    calls = rb"redis\.p?call(?:\(|, )'([A-Z]+)'|undo\[#undo \+ 1\] = \{'([A-Z]+)'"
    return {(first or second).decode() for first, second in re.findall(calls, script)}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def lua_server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of each kind of server."""
    with request.getfixturevalue(f"_{request.param}").client() as client:
        yield client


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_is_the_golden_one(name: str) -> None:
    if os.environ.get(WRITE_GOLDEN):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.lua").write_bytes(SCRIPTS[name])

    assert SCRIPTS[name].decode() == golden(name).decode(), f"see {Path(__file__).name} for how to renew golden files"


def test_no_golden_file_is_left_over() -> None:
    if os.environ.get(WRITE_GOLDEN):
        for path in GOLDEN.iterdir():
            if path.stem not in SCRIPTS:
                path.unlink()

    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.lua" for name in SCRIPTS}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_takes_and_what_it_replies(name: str) -> None:
    script = golden(name).decode()
    head = re.match(r"(--.*\n)+", script)
    assert head is not None
    told, code = head[0], re.sub(r"(?m)^\s*--.*\n", "", script)

    assert "\n-- Reply: " in told
    for number in set(re.findall(r"KEYS\[(\d)\]", code)):
        assert f"\n-- KEYS[{number}]: " in told
    for number in set(re.findall(r"ARGV\[(\d)\]", code)):
        assert f"\n-- ARGV[{number}]" in told


@pytest.mark.parametrize(("name", "encoder"), ENCODERS.items())
def test_the_ledger_sends_the_golden_scripts(name: str, encoder: QueueEncoder) -> None:
    ledger = QueueLedger("job", encoder)

    assert sent(ledger.commit(0, 0, b"", [])) == as_sent(golden("ledger-commit"))
    assert sent(ledger.insert(0, 0, [b"id"], [b"{}"])) == as_sent(golden(f"ledger-insert-{name}"))


def test_an_idempotent_push_sends_the_golden_script() -> None:
    written = (b"first", b"last")
    assert sent(idempotency.Mark(b"mark", 60).push(b"pending", [b"id"], written)) == as_sent(golden("idempotency-push"))


def test_a_push_of_the_gateway_sends_the_golden_script() -> None:
    assert sent(push.push(b"pending", [b"id"], (b"first", b"last"))) == as_sent(golden("gateway-push"))


def test_in_a_cluster_scripts_are_those_without_a_look_up() -> None:
    """The look-up's key is in another slot there, and written by a command of its own."""
    assert insert_script(asynq(reverse_lookup=True, cluster=True)) == SCRIPTS["ledger-insert-asynq"]
    assert place_script(asynq(reverse_lookup=True, cluster=True)) == SCRIPTS["migrate-place-asynq"]
    assert insert_script(documented(cluster=True)) == SCRIPTS["ledger-insert-documented"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_loads(name: str, lua_server: Any) -> None:
    assert lua_server.script_load(golden(name)) == lua_server.script_load(golden(name))
    assert lua_server.script_load(as_sent(golden(name)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_sent_compiles_to_the_same_code_line_by_line(name: str, lua_server: Any) -> None:
    """Lua's own compiler is the judge: its code holds the line of each instruction."""
    compile_both = """
        local function code(text) return string.dump(assert(loadstring(text, '=script'))) end
        return {code(ARGV[1]) == code(ARGV[2]) and 1 or 0, #code(ARGV[1]), code(ARGV[1]) == code('return 1') and 1 or 0}
    """

    same, size, trivial = lua_server.eval(compile_both, 0, golden(name), as_sent(golden(name)))

    assert (same, trivial) == (1, 0) and size > 100


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_sent_that_is_not_run(name: str) -> None:
    lines = as_sent(golden(name)).split(b"\n")

    assert all(line == line.strip() and b"--" not in line for line in lines)


def test_a_script_that_does_not_parse_is_refused(lua_server: Any) -> None:
    """So that the tests above mean something."""
    with pytest.raises(redis.ResponseError, match="compiling"):
        lua_server.script_load(golden("ledger-commit") + b"end")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_calls_only_what_the_oldest_server_has(name: str, valkey: Server) -> None:
    """By the embedded server's own table of commands, which Redis has from 7.0 on."""
    called = commands_of(golden(name))
    assert called
    # As one word: for 'COMMAND' alone redis-py has a parser, which does not know DOCS.
    with valkey.client() as client:
        docs = client.execute_command("COMMAND DOCS", *called)

    assert {command.decode().upper() for command in docs} == called
    for command, told in docs.items():
        since = tuple(int(part) for part in told[b"since"].split(b".")[:2])
        assert since <= OLDEST, command


def test_the_rights_that_a_load_asks_for_are_those_that_its_scripts_use() -> None:
    used = set().union(*(commands_of(golden(name)) for name in SCRIPTS if name.startswith(("ledger-", "lease-"))))

    assert used - {right.call.split()[0] for right in (*NEEDED, *OPTIONAL)} == set()


TEXTS: list[tuple[bytes, bytes]] = [
    (b"return 1", b"return 1"),
    (b"\n  return 1\n", b"return 1"),
    (b"-- what it does\nreturn 1", b"\nreturn 1"),
    (b"if x then\n    -- why\n    y()\nend\n", b"if x then\n\ny()\nend"),
    (b"return '-- no comment'", b"return '-- no comment'"),
    (b"local a = b -- not touched", b"local a = b -- not touched"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_comments_and_indentation_are_not_sent(text: bytes, expected: bytes) -> None:
    assert as_sent(text) == expected
