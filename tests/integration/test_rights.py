"""The rights that docs/reference.md gives are enough and none too many, and one that is missing is told beforehand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loader
from loader.errors import LayoutMismatchError, SinkError
from loader.preflight.checks import Finding
from loader.preflight.diagnosis import diagnose
from loader.preflight.rights import CHECKING, CONNECTING, KEY_PATTERNS, NEEDED, OPTIONAL, rules
from loader.settings import LoadOptions
from tests.cli import run
from tests.conftest import Server

Redis = Any
SetUser = Callable[..., str]
REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
LOADING = rules((*CONNECTING, *NEEDED, *OPTIONAL))
CHECKS = rules(CHECKING, but=(*CONNECTING, *NEEDED, *OPTIONAL))
KEYS = [f"~{pattern}" for pattern in KEY_PATTERNS]

ENVELOPES = b'{"payload":1}\n{"payload":2,"process_in":"1h"}\n{"payload":3,"unique_ttl":"1h"}\n'
GROUPED = b'{"payload":1,"group":"g"}\n{"payload":2,"group":"g","unique_ttl":9}\n{"payload":3}\n'
EVERY_KIND_OF_LOAD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "documented": (b"1\n2\n3\n", {"layout": "documented"}),
    "own ids": (b'{"n":"a"}\n{"n":"b"}\n{"n":"a"}\n', {"layout": "documented", "id_field": "n"}),
    "asynq": (b"1\n2\n3\n", {"layout": "asynq"}),
    "asynq, unique and later": (
        b"4\n5\n6\n",
        {"layout": "asynq", "unique_ttl": "1h", "process_in": "1h", "force_schedule": True},
    ),
    "asynq, own ids": (b'{"n":"a"}\n{"n":"b"}\n{"n":"c"}\n', {"layout": "asynq", "id_field": "n"}),
    "asynq, envelopes": (ENVELOPES, {"layout": "asynq", "envelope": True, "force_schedule": True}),
    "plain asynq, groups": (GROUPED, {"layout": "asynq", "profile": "asynq", "type": "t", "envelope": True}),
    "plain asynq": (b"1\n2\n3\n", {"layout": "asynq", "profile": "asynq", "type": "t"}),
    "queue check": (b"1\n2\n3\n", {"layout": "documented", "queue_check": "redis"}),
}


@pytest.fixture
def user(server: Server, client: Redis) -> Any:
    """Gives the user ``loader`` exactly these rights; its URL."""

    def set_user(*rights: str) -> str:
        client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", *rights)
        return f"redis://loader:secret@127.0.0.1:{server.port}/0"

    yield set_user
    client.acl_deluser("loader")


def findings(url: str, **options: Any) -> dict[str, Finding]:
    found = asyncio.run(diagnose(LoadOptions(redis=url, **{"queue": "q", **options}), []))
    return {finding.name: finding for finding in found.findings}


def load_every_kind(url: str, folder: Path, client: Redis) -> None:
    for number, (content, options) in enumerate(EVERY_KIND_OF_LOAD.values()):
        path = folder / f"in-{number}.jsonl"
        path.write_bytes(content)
        queue = f"q{number}"
        if options.get("queue_check"):
            client.sadd("asynq:queues", f"{queue}.default")
        for _ in range(2):  # the second goes on with the job
            report = asyncio.run(loader.load(path, queue=queue, redis=url, rejects=folder / "rejects", **options))
            assert (report.status, report.records_read) == ("completed", 3)


def test_the_reference_has_the_rights_that_the_check_asks_for() -> None:
    blocks = re.findall(r"```\nACL SETUSER loader (.*?)```", REFERENCE.read_text(), re.DOTALL)

    loading, checking = (block.split() for block in blocks)
    assert loading == ["on", ">secret", *KEYS, *LOADING]
    assert checking == CHECKS


def test_a_user_with_just_these_rights_can_load_in_every_way(
    user: SetUser, server: Server, client: Redis, tmp_path: Path
) -> None:
    url = user(*KEYS, *LOADING)
    client.acl_log_reset()

    load_every_kind(url, tmp_path, client)

    assert client.llen("asynq:q0.default:pending") == client.llen("asynq:{q2.default}:pending") == 3
    refused = {entry["object"] for entry in client.acl_log()}
    assert refused <= {rule[1:] for rule in CHECKS} | {"config|get"}


def test_no_right_is_asked_for_that_no_load_needs(user: SetUser, client: Redis, tmp_path: Path) -> None:
    url = user(*KEYS, *LOADING)
    client.config_resetstat()

    load_every_kind(url, tmp_path, client)

    run_commands = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    needed = {rule[1:] for rule in LOADING} - {"select"}  # --redis URL/N
    # Only after a lost connection, where a script must take something back, and where another run holds the lease.
    assert needed - run_commands == {"client|kill", "zrem", "srem"}


def test_a_user_with_the_rights_of_both_blocks_lacks_nothing(user: SetUser, tmp_path: Path) -> None:
    url = user(*KEYS, *LOADING, *CHECKS)

    found = findings(url)

    assert found["rights"].level == "ok" and "optional" not in found
    assert {name for name, finding in found.items() if finding.level == "unknown"} == {"persistence"}  # CONFIG GET


@pytest.mark.parametrize(
    "options", [{"layout": "documented"}, {"layout": "asynq", "envelope": True}], ids=["documented", "asynq"]
)
def test_each_right_that_is_missing_is_named(user: SetUser, options: dict[str, Any]) -> None:
    asked = {right.rule for right in NEEDED if right.when(LoadOptions(queue="q", **options))}
    for rule in asked:
        found = findings(user(*KEYS, *LOADING, *CHECKS, f"-{rule}"), **options)["rights"]

        assert found.level == "error"
        assert f"+{rule}" in found.hint.split()


def test_rights_are_asked_for_as_the_load_needs_them(user: SetUser) -> None:
    url = user(*KEYS, *LOADING, *CHECKS, "-sadd", "-zadd", "-exists", "-smembers")

    assert findings(url)["rights"].level == "ok"
    assert "+exists" in findings(url, id_field="n")["rights"].hint
    assert findings(url, layout="asynq")["rights"].hint.endswith("missing: +sadd")
    assert "+zadd" in findings(url, layout="asynq", process_in="1h")["rights"].hint
    assert "+smembers" in findings(url, queue_check="redis")["rights"].hint


def test_keys_out_of_reach_are_named(user: SetUser) -> None:
    tasks_only = user("~asynq:*", *LOADING, *CHECKS)
    other_queue = user("~asynq:other.default:*", "~asynq:t:*", *KEYS[1:], *LOADING, *CHECKS)

    assert "~asynq:q.default:pending" in findings(other_queue)["rights"].hint
    assert findings(other_queue, queue=None)["rights"].level == "ok"  # it may be another queue that is meant
    user("~asynq:*", *LOADING, *CHECKS)
    assert "~runqy-loader:{doctor}:job" in findings(tasks_only)["rights"].hint


def test_a_load_that_lacks_a_right_is_refused_before_it_writes(user: SetUser, client: Redis, tmp_path: Path) -> None:
    url = user(*KEYS, *LOADING, *CHECKS, "-setbit")

    with pytest.raises(SinkError, match=r"may not do what this load needs.* missing: \+setbit"):
        asyncio.run(loader.load(_input(tmp_path), queue="q", redis=url))

    assert client.dbsize() == 0


@pytest.mark.parametrize("missing", ["client|setname", "client|list", "client|kill", "del"])
def test_a_right_that_a_load_can_do_without_is_warned_of_by_doctor_only(
    user: SetUser, tmp_path: Path, missing: str
) -> None:
    url = user(*KEYS, *LOADING, *CHECKS, f"-{missing}")
    path = _input(tmp_path)

    done = run("load", path.name, "-q", "q", "--redis", url, cwd=tmp_path)
    found = findings(url)

    assert found["rights"].level == "ok"
    assert found["optional"].level == "warning" and f"lacks +{missing}," in found["optional"].text
    assert done.status == 0
    assert "lacks" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "unknown"),
    [
        (("-acl|dryrun",), {"rights"}),
        (("-acl",), {"rights"}),
        (("-info",), {"version", "role", "cluster", "memory", "persistence"}),
        (("-time",), {"clock"}),
        (("-zrevrange",), {"layout"}),
        (("-sismember",), {"layout"}),
    ],
    ids=lambda names: " ".join(sorted(names)),  # a set's own text has another order in every process
)
def test_what_cannot_be_checked_is_unknown_and_the_load_goes_on(
    user: SetUser, tmp_path: Path, missing: tuple[str, ...], unknown: set[str]
) -> None:
    url = user("~*", "&*", "+@all", *missing)

    found = findings(url, layout="documented")
    report = asyncio.run(loader.load(_input(tmp_path), queue="q", redis=url, layout="documented"))

    assert {name for name, finding in found.items() if finding.level == "unknown"} == unknown
    assert report.loaded == 3


@pytest.mark.parametrize("missing", ["zrevrange", "srandmember", "exists", "sismember"])
def test_auto_chooses_no_layout_where_the_signs_cannot_be_read(user: SetUser, tmp_path: Path, missing: str) -> None:
    url = user("~*", "&*", "+@all", f"-{missing}")

    with pytest.raises(LayoutMismatchError, match=r"the user may not read who consumes.* layout='documented'"):
        asyncio.run(loader.load(_input(tmp_path), queue="q", redis=url))
    assert findings(url)["layout"].level == "error"
    assert findings(url, retention="1h")["layout"].level == "unknown"  # this option decides


def _input(folder: Path) -> Path:
    path = folder / "in.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    return path
