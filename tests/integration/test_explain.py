"""``load --explain``: what it says is what the load then does, and it writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server, free_port

RECORDS = b'{"id":"a","to":"x","payload":{"n":1}}\n{"id":"b","to":"y","payload":{"n":2}}\n'
TYPES = {b"hash": "hash", b"string": "string", b"list": "list", b"set": "set", b"zset": "sorted set"}
ASYNQ = ("--layout", "asynq")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_bytes(RECORDS)
    (tmp_path / "envelopes.jsonl").write_bytes(
        b'{"payload":1,"unique_ttl":"5m","type":"t"}\n{"payload":2,"process_in":"1h","queue":"other","id":"x"}\n'
    )
    return tmp_path


def explained(*arguments: str, folder: Path, url: str) -> dict[str, Any]:
    done = run("load", *arguments, "--redis", url, "--explain", "--json", cwd=folder)
    assert (done.status, done.stderr) == (0, ""), done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pattern(key: str) -> re.Pattern[str]:
    """Matches the keys that an explained key stands for."""
    return re.compile(
        "".join(".+" if part.startswith("<") else re.escape(part) for part in re.split("(<[a-z0-9]+>)", key))
    )


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("in.jsonl", "-q", "q"),
        ("in.jsonl", "-q", "q", "--id-field", "id", "--ids-out", "ids.tsv"),
        ("in.jsonl", "--queue-field", "to", "--job", "nightly"),
        ("in.jsonl", "-q", "q", *ASYNQ),
        ("in.jsonl", "-q", "q", *ASYNQ, "--profile", "asynq", "--type", "t", "--unique-ttl", "1h"),
        ("in.jsonl", "-q", "q", *ASYNQ, "--process-in", "1h", "--force-schedule"),
        ("envelopes.jsonl", "-q", "q", *ASYNQ, "--envelope", "--force-schedule"),
    ],
    ids=" ".join,
)
def test_the_load_writes_the_keys_and_files_that_were_told_and_no_others(
    folder: Path, valkey: Server, arguments: tuple[str, ...]
) -> None:
    before = entries(folder)
    found = explained(*arguments, folder=folder, url=valkey.url)
    with valkey.client() as client:
        assert client.dbsize() == 0
    assert entries(folder) == before

    done = run("load", *arguments, "--redis", valkey.url, "--json", "--quiet", cwd=folder)

    assert done.status == 0, done
    told = [(pattern(one["key"]), one["type"]) for one in found["keys"]]
    with valkey.client() as client:
        written = {key.decode(): TYPES[client.type(key)] for key in client.scan_iter()}
    for key, kind in written.items():
        assert any(one.fullmatch(key) and kind == its for one, its in told), (key, kind)
    # The lease has ended with the process, and no record was set aside.
    unwritten = [key.pattern for key, _ in told if not any(key.fullmatch(one) for one in written)]
    assert [key for key in unwritten if not key.endswith((":lease", ":skipped"))] == [], unwritten
    assert (found["job"]["name"], found["layout"]["name"]) == (done.report["job"], done.report["layout"])
    files = {one["path"] for one in found["files"]}
    assert entries(folder) - before <= files
    assert f"{done.report['job']}.rejects.jsonl" in files


def test_a_job_that_was_begun_or_finished_is_told_as_that(folder: Path, valkey: Server) -> None:
    (folder / "many.jsonl").write_bytes(b"".join(b"%d\n" % number for number in range(5000)) + b"{\n")
    arguments = ("many.jsonl", "-q", "q", "--batch-size", "1000")
    assert explained(*arguments, folder=folder, url=valkey.url)["job"]["state"] == "new"

    stopped = run("load", *arguments, "--redis", valkey.url, "--max-errors", "0", "--quiet", cwd=folder)
    assert stopped.status == 1
    begun = explained(*arguments, folder=folder, url=valkey.url)["job"]
    assert (begun["state"], begun["batches_in"], begun["is_running"]) == ("begun", 5, False)

    done = run("load", *arguments, "--redis", valkey.url, "--max-errors", "none", "--quiet", cwd=folder)
    assert done.status == 3
    assert explained(*arguments, folder=folder, url=valkey.url)["job"]["state"] == "finished"


def test_what_a_load_would_be_refused_for_is_the_same_error(folder: Path, valkey: Server) -> None:
    (folder / "in.pdf").write_bytes(b"%PDF-1.7")
    (folder / "array.json").write_bytes(b"[1,2]\n")
    load = ("--redis", valkey.url)
    assert run("load", "in.jsonl", "-q", "q", *load, "--job", "first", cwd=folder).status == 0

    def both(*arguments: str) -> tuple[Outcome, Outcome]:
        return tuple(run("load", *arguments, *more, "--quiet", cwd=folder) for more in ((), ("--explain",)))  # type: ignore[return-value]

    for arguments in (
        ("in.jsonl", "-q", "q", "--job", "second", *load),
        ("in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:{free_port()}", "--retry-for", "0"),
        ("in.jsonl", *load),
        ("none.jsonl", "-q", "q", *load),
        ("in.pdf", "-q", "q", *load),
        ("array.json", "-q", "q", *load),
        ("in.jsonl", "-q", "q", "--job", "first", "--layout", "asynq", *load),
        ("in.jsonl", "-q", "q", "--id-field", "id", "--select", "[", *load),
    ):
        as_load, as_told = both(*arguments)
        assert as_told.stdout == "", arguments
        assert (as_told.status, as_told.stderr) == (as_load.status, as_load.stderr), arguments
        assert as_told.status in (1, 2)


def test_targets_without_redis_are_told_as_well(folder: Path) -> None:
    dry = explained("in.jsonl", "-q", "q", "--dry-run", folder=folder, url="redis://127.0.0.1:1")
    assert (dry["target"]["kind"], dry["keys"]) == ("nothing", [])
    gone = explained("in.jsonl", "-q", "q", folder=folder, url="embedded")
    assert gone["target"]["kind"] == "embedded"
    kept = run("load", "in.jsonl", "-q", "q", "--redis", "embedded", "--embedded-dir", "data", "--explain", cwd=folder)
    assert "its data stays in data" in kept.stdout
    http = run("load", "in.jsonl", "-q", "q", "--to", "http://u:secret@127.0.0.1:1", "--explain", cwd=folder)
    assert "127.0.0.1:1" in http.stdout
    assert "secret" not in http.stdout
    assert ".journal" in http.stdout
    assert entries(folder) == {"in.jsonl", "envelopes.jsonl"}


def test_each_option_that_changes_something_is_told(folder: Path, valkey: Server) -> None:
    arguments = ("--where", "payload.n > `1`", "--select", "payload", "--rate", "100/s", "--max-pending", "1000")
    found = explained("in.jsonl", "-q", "q", *arguments, "--sample", "50%", folder=folder, url=valkey.url)
    assert set(found["options"]) - {"says"} == {"--where", "--select", "--rate", "--max-pending", "--sample"}


def words(text: str) -> Iterable[str]:
    return text.split()


@pytest.mark.parametrize("count", [1, 50])
def test_the_text_is_short_and_has_what_the_json_has(folder: Path, valkey: Server, count: int) -> None:
    for number in range(count):
        (folder / f"{number}.jsonl").write_bytes(b"%d\n" % number)
    names = [f"{number}.jsonl" for number in range(count)]
    found = explained(*names, "-q", "q", folder=folder, url=valkey.url)
    done = run("load", *names, "-q", "q", "--redis", valkey.url, "--explain", cwd=folder)
    told = " ".join(words(done.stdout))
    for part in ("input", "target", "layout", "job", "queue", "tasks"):
        for sentence in found[part]["says"]:
            assert " ".join(words(sentence)) in told
    assert len(done.stdout.splitlines()) < 60
    assert len(found["keys"]) == 10 + count - 1
