"""Archives, as users load them: their members' places in rejects, resumes, and what is skipped."""

from __future__ import annotations

import json

import pytest

from tests.cli import run
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads
from tests.unit.sources.archives.test_archives import ARCHIVES

BOTH = pytest.mark.parametrize("name", ["in.tar.zst", "in.zip"])


@BOTH
def test_the_members_of_an_archive_are_loaded_once(tool: Tool, db: Redis, name: str) -> None:
    files = [("a/1.jsonl", b'{"n":1}\nbad\n{"n":2}\n'), ("a/README", b"words"), ("b.json", b'{"n":3}')]
    tool.write(name, ARCHIVES[name](files))

    first = tool.load(name, "-q", "q", "-w", "1", "--rejects", "r.jsonl")
    again = tool.load(name, "-q", "q", "-w", "1", "--rejects", "r.jsonl")

    assert_fine(first, 3)
    assert_fine(again, 3)
    assert payloads(db, "q.default") == [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    (reject,) = map(json.loads, (tool.folder / "r.jsonl").read_text().splitlines())
    assert (reject["source"], reject["line"], reject["byte_offset"]) == (f"{name}:a/1.jsonl", 2, 8)
    assert [source["format"] for source in first.report["sources"]] == [name.rpartition(".")[2].replace("zst", "tar")]


@BOTH
def test_what_is_passed_over_is_told_once_although_the_load_is_estimated(tool: Tool, db: Redis, name: str) -> None:
    tool.write(name, ARCHIVES[name]([("a.jsonl", b"1\n"), ("README", b"words")]))
    done = run("load", name, "-q", "q", "--redis", tool.url, cwd=tool.folder)
    assert done.status == 0
    assert done.stderr.count(f"passed over in {name}: 1 file (1 without an ending)") == 1


@BOTH
@pytest.mark.parametrize("bad", [("a.png", b"1"), ("a.jsonl", b"id,n\n1,2\n3,4\n")], ids=["no input", "CSV"])
def test_an_archive_that_cannot_be_loaded_is_skipped_if_that_is_wanted(
    tool: Tool, db: Redis, name: str, bad: tuple[str, bytes]
) -> None:
    tool.write(name, ARCHIVES[name]([bad]))
    tool.write("z.jsonl", b"1\n")

    refused = tool.load(name, "z.jsonl", "-q", "q")
    skipping = tool.load(name, "z.jsonl", "-q", "q", "--skip-bad-files")

    assert_error(refused, 1, name, "--skip-bad-files goes on with the other files")
    assert skipping.status == 3 and f"{name}" in skipping.stderr + skipping.stdout
    assert payloads(db, "q.default") == [b"1"]


def test_several_processes_load_archives_and_compressed_files(tool: Tool, db: Redis) -> None:
    for number in range(4):
        lines = b"".join(b"%d\n" % (number * 1000 + n) for n in range(1000))
        tool.write(f"{number}.tar.zst", ARCHIVES["in.tar.zst"]([("a.jsonl", lines)]))

    done = tool.load(".", "-q", "q", "--processes", "2")

    assert_fine(done)
    assert counts(done)[1] == 4000
    assert sorted(map(int, payloads(db, "q.default"))) == list(range(4000))
