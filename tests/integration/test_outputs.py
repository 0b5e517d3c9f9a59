"""Files that commands write: compressed as their names say, and proven writable before anything is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli import run
from tests.conftest import Server
from tests.integration.tool import assert_error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text('{"n":1}\nbad\n{"n":3}\n')
    return tmp_path


def lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines()


def test_every_file_of_a_load_whose_name_ends_in_gz_is_gzip(folder: Path, valkey: Server) -> None:
    load = ("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--quiet", "--report", "report.json.gz")

    for _ in range(2):
        done = run(*load, "--ids-out", "ids.tsv.gz", "--rejects", "rejects.jsonl.gz", cwd=folder)
        assert (done.status, done.stderr) == (3, "")

    assert lines(folder / "ids.tsv.gz")[0].startswith(b"# runqy-loader ids:")
    assert len(lines(folder / "ids.tsv.gz")) == 3
    assert [json.loads(line)["record"] for line in lines(folder / "rejects.jsonl.gz")] == ["bad"]
    assert json.loads(gzip.decompress((folder / "report.json.gz").read_bytes()))["already_loaded"] == 2


def test_an_export_to_gz_is_gzip_and_can_be_loaded_again(folder: Path, valkey: Server) -> None:
    run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, cwd=folder)
    export = ("export", "-q", "q", "--redis", valkey.url)

    plain, done = run(*export, "-o", "q.jsonl", cwd=folder), run(*export, "-o", "q.jsonl.gz", cwd=folder)

    assert (plain.status, done.status) == (0, 0), done.stderr
    assert gzip.decompress((folder / "q.jsonl.gz").read_bytes()) == (folder / "q.jsonl").read_bytes() != b""
    assert list(folder.glob("*.part")) == []
    with valkey.client() as client:
        client.flushall()
    again = run("load", "q.jsonl.gz", "--envelope", "--redis", valkey.url, cwd=folder)
    assert again.status == 0, again.stderr


def test_results_are_appended_to_gz_and_a_torn_end_is_written_again(folder: Path, valkey: Server) -> None:
    with valkey.client() as client:
        for number in range(3):
            client.set(f"asynq:result:{number}", f'{{"n":{number}}}')
    (folder / "ids.txt.gz").write_bytes(gzip.compress(b"0\n1\n"))
    (folder / "more.txt").write_text("0\n1\n2\n")
    wait = ("wait", "--redis", valkey.url, "--out", "out.jsonl.gz", "--timeout", "0")

    first = run(*wait, "--ids", "ids.txt.gz", cwd=folder)
    whole = (folder / "out.jsonl.gz").read_bytes()
    (folder / "out.jsonl.gz").write_bytes(whole + gzip.compress(b'{"id":"2"}\n')[:-5])
    second = run(*wait, "--ids", "more.txt", cwd=folder)

    assert (first.status, second.status) == (0, 0), second.stderr
    assert [json.loads(line)["id"] for line in lines(folder / "out.jsonl.gz")] == ["0", "1", "2"]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_rejects_are_appended_to_gz_after_a_torn_end(folder: Path, valkey: Server, processes: str) -> None:
    (folder / "in.jsonl").write_text("bad\n" * 3 + '{"n":1}\n')
    (folder / "more.jsonl").write_text("worse\n" + '{"n":2}\n')
    before = gzip.compress(b'{"record":"of an earlier run"}\n')
    (folder / "r.jsonl.gz").write_bytes(before + gzip.compress(b'{"record":"torn"}\n')[:-5])

    arguments = ("-q", "q", "--redis", valkey.url, "--rejects", "r.jsonl.gz", "-p", processes, "--quiet")
    done = run("load", "in.jsonl", "more.jsonl", *arguments, cwd=folder)

    assert (done.status, done.stderr) == (3, "")
    records = [json.loads(line)["record"] for line in lines(folder / "r.jsonl.gz")]
    assert records[0] == "of an earlier run"
    assert sorted(records[1:]) == ["bad", "bad", "bad", "worse"]


@pytest.mark.parametrize(
    "command",
    [("load", "in.jsonl", "-q", "q"), ("migrate", "--from-queue", "q", "--to-queue", "r", "--move")],
    ids=lambda command: command[0],
)
def test_a_file_to_append_to_that_is_not_what_its_name_says_is_told(
    folder: Path, valkey: Server, command: tuple[str, ...]
) -> None:
    (folder / "r.jsonl.gz").write_text("plain text\n")

    done = run(*command, "--rejects", "r.jsonl.gz", cwd=folder, env={"REDIS_URL": valkey.url})

    assert_error(done, 2, "--rejects r.jsonl.gz: its content is not gzip")
    assert (folder / "r.jsonl.gz").read_text() == "plain text\n"
    with valkey.client() as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "-q", "q", "-o", "q.jsonl.zst"), "--output q.jsonl.zst: a name that ends in .zst says zstd"),
        (("export", "-q", "q", "-o", "q.parquet"), "Name it q.jsonl, or q.jsonl.gz for gzip"),
        (("export", "-q", "q", "-o", "q.json"), "says one JSON document, but the file holds records as JSON lines"),
        (("load", "in.jsonl", "-q", "q", "--rejects", "r.csv"), "--rejects r.csv: a name that ends in .csv says CSV"),
        (("load", "in.jsonl", "-q", "q", "--ids-out", "i.xz"), "--ids-out i.xz"),
        (("load", "in.jsonl", "-q", "q", "--to", "http://localhost:1", "--journal", "j.gz"), "--journal j.gz"),
        (("load", "in.jsonl", "-q", "q", "--report", "r.json.bz2"), "--report r.json.bz2"),
        (("wait", "--ids", "in.jsonl", "--out", "o.zip"), "--out o.zip"),
        (("migrate", "--from-queue", "q", "--to-queue", "r", "--rejects", "r.tgz"), "--rejects r.tgz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_name_that_says_what_the_file_will_not_hold_is_refused(
    folder: Path, arguments: tuple[str, ...], told: str
) -> None:
    assert_error(run(*arguments, cwd=folder), 2, told)
    assert [path.name for path in folder.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "in.jsonl", "-q", "q", "--report", "no/file"),
        ("load", "in.jsonl", "-q", "q", "--rejects", "no/file"),
        ("load", "in.jsonl", "-q", "q", "--ids-out", "no/file"),
        ("load", "in.jsonl", "-q", "q", "--to", "http://localhost:1", "--journal", "no/file"),
        ("doctor", "in.jsonl", "-q", "q", "--ids-out", "no/file"),
        ("export", "-q", "q", "--report", "no/file"),
        ("migrate", "--from-queue", "q", "--to-queue", "r", "--rejects", "no/file"),
        ("migrate", "--from-queue", "q", "--to-queue", "r", "--report", "no/file"),
        ("wait", "--ids", "in.jsonl", "--out", "no/file"),
        ("wait", "--ids", "in.jsonl", "--out", "o.jsonl", "--missing", "no/file"),
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(
    folder: Path, valkey: Server, arguments: tuple[str, ...]
) -> None:
    (folder / "report.json").write_text("of an earlier run")
    flag = arguments[-2]

    done = run(*arguments, cwd=folder, env={"REDIS_URL": valkey.url} if "--to" not in arguments else {})

    assert_error(done, 2, f"{flag} no/file cannot be written: No such file or directory. Create its directory")
    with valkey.client() as client:
        assert client.dbsize() == 0
    assert sorted(path.name for path in folder.iterdir()) == ["in.jsonl", "report.json"]


def test_a_load_that_is_refused_leaves_no_file_and_keeps_those_that_exist(folder: Path) -> None:
    (folder / "report.json").write_text("of an earlier run")
    (folder / "ids.tsv").write_text("of an earlier run")
    files = ("--report", "report.json", "--ids-out", "ids.tsv", "--rejects", "new.jsonl")

    done = run("load", "none.jsonl", "-q", "q", *files, cwd=folder)

    assert done.status == 1, done.stderr
    assert (folder / "ids.tsv").read_text() == (folder / "report.json").read_text() == "of an earlier run"
    assert not (folder / "new.jsonl").exists()


def test_a_folder_where_the_default_rejects_file_cannot_be_written_is_told_and_loads(
    folder: Path, valkey: Server
) -> None:
    (folder / "good.jsonl").write_text("1\n")
    (folder / "j.rejects.jsonl").mkdir()

    done = run("load", "good.jsonl", "-q", "q", "--job", "j", "--redis", valkey.url, cwd=folder)

    assert done.status == 0, done.stderr
    assert "j.rejects.jsonl cannot be written here (Is a directory): name a file with --rejects" in done.stderr
