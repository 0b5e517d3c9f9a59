"""Loads from S3, with a real server: what a URL means, exact resumes, cuts, changes, and errors."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from loader.sources.base import Source
from loader.sources.open_sources import open_sources
from loader.sources.remote.spool import Spool
from loader.sources.shards import SHARD_BYTES
from tests.cli import run
from tests.integration.remote.cutting import Cutter
from tests.integration.remote.servers import SECRET, Objects
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"n":%d}\n' % number for number in numbers)


def large(count: int = 60_000) -> bytes:
    """Some MiB, so that an answer does not fit into the buffers of a connection."""
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (number, b"x" * 180) for number in range(count))


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


def tarred(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def numbers(db: Redis, queue: str = "q.default") -> list[int]:
    return [int(json.loads(payload)["n"]) for payload in payloads(db, queue)]


def test_a_prefix_a_pattern_and_an_object_are_read_in_the_order_of_their_keys(
    tool: Tool, db: Redis, objects: Objects
) -> None:
    objects.put("in/b.jsonl", lines(2))
    objects.put("in/a.jsonl.gz", gzip.compress(lines(0, 1)))
    objects.put("in/deep/er/c.jsonl", lines(3))
    objects.put("in/.hidden.jsonl", lines(90))
    objects.put("in/notes.md", b"# no input")
    objects.put("in/folder/", b"")  # as consoles mark folders
    objects.put("day=1/x1.jsonl", lines(4))
    objects.put("day=2/x1.jsonl", lines(5))
    objects.put("day=2/y1.jsonl", lines(91))
    objects.put("day=2/deep/x1.jsonl", lines(92))
    objects.put("odd %20#+é?.jsonl", lines(6))
    tool.write("here.jsonl", lines(7))

    given = (f"{objects.url}/in/", f"{objects.url}/day=*/x*.jsonl", f"{objects.url}/odd %20#+é?.jsonl", "here.jsonl")
    done = tool.load(*given, "-q", "q", "-w", "1", env=objects.env())

    assert_fine(done)
    assert numbers(db) == list(range(8))
    names = [source["name"].removeprefix(objects.url) for source in done.report["sources"]]
    assert names[:3] == ["/in/a.jsonl.gz", "/in/b.jsonl", "/in/deep/er/c.jsonl"]


FORMATS = {
    "a.jsonl": lines(*range(50)),
    "a.jsonl.xz": __import__("lzma").compress(lines(*range(50))),
    "a.csv": b"n\n" + b"".join(b"%d\n" % n for n in range(50)),
    "a.tsv.bz2": __import__("bz2").compress(b"n\n" + b"".join(b"%d\n" % n for n in range(50))),
    "a.tgz": tarred(a_jsonl=lines(*range(20)), b_jsonl=lines(*range(20, 50))),
    "a.zip": zipped(a_jsonl=lines(*range(20)), b_jsonl=lines(*range(20, 50))),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(tool: Tool, db: Redis, objects: Objects, name: str) -> None:
    url = objects.put(name, FORMATS[name])
    done, again = (tool.load(url, "-q", "q", "-w", "1", env=objects.env()) for _ in range(2))
    assert_fine(done)
    assert numbers(db) == list(range(50))
    assert (counts(done), counts(again)) == ((50, 50, 0, 0), (50, 0, 50, 0))
    if name != "a.zip":  # counted by its members
        assert done.report["bytes_read"] == len(FORMATS[name])


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("json-array", json.dumps([{"n": n} for n in range(9)]).encode()),
        ("json-concat", b'{"n":\n0}' + lines(*range(1, 9))),
    ],
)
def test_values_need_their_format(tool: Tool, db: Redis, objects: Objects, form: str, content: bytes) -> None:
    url = objects.put("a.json", content)
    assert_fine(tool.load(url, "-q", "q", "-w", "1", "--format", form, env=objects.env()))
    assert numbers(db) == list(range(9))


def test_documents_are_one_source_and_parquet_is_read_from_a_copy(tool: Tool, db: Redis, objects: Objects) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for number in range(40):
        objects.put(f"docs/{number:02}.json", json.dumps({"n": number}, indent=1).encode())
    out = io.BytesIO()
    parquet.write_table(pa.table({"n": list(range(40, 50))}), out)
    objects.put("docs/z.parquet", out.getvalue())
    copies = tool.folder / "copies"
    copies.mkdir()

    done = tool.load(f"{objects.url}/docs", "-q", "q", "-w", "1", env={**objects.env(), "TMPDIR": str(copies)})

    assert_fine(done)
    assert numbers(db) == list(range(50))
    assert [source["format"] for source in done.report["sources"]] == ["json", "parquet"]
    assert list(copies.iterdir()) == []


def test_a_copy_is_private_and_deleted_after_an_error(
    tool: Tool, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = objects.put("a.zip", zipped(a_jsonl=b"none\n" * 5000))
    copies = tool.folder / "copies"
    copies.mkdir()
    for variable, value in objects.env().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    with Spool() as spool:
        asyncio.run(open_sources([url], None, spool=spool))
        (folder,) = copies.iterdir()
        (copy,) = folder.iterdir()
        assert copy.read_bytes() == objects.get("a.zip")
        assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, copy)] == [0o700, 0o600]
    assert list(copies.iterdir()) == []
    done = tool.load(url, "-q", "q", env={**objects.env(), "TMPDIR": str(copies)})
    assert done.status != 0
    assert list(copies.iterdir()) == []


def test_rejects_and_the_record_of_the_job_name_the_url(tool: Tool, db: Redis, objects: Objects) -> None:
    url = objects.put("a.jsonl", lines(0, 1) + b"{\n" + lines(2))
    done = tool.load(url, "-q", "q", "--job", "j", env=objects.env())
    assert_fine(done, 3)
    assert [(one["source"], one["line"], one["byte_offset"]) for one in rejects(tool, done)] == [(url, 3, 16)]
    shown = run("jobs", "show", "j", "--redis", tool.url, cwd=tool.folder)
    assert url in shown.stdout, shown


@pytest.mark.parametrize("processes", [1, 2])
def test_a_load_that_is_cut_off_goes_on_where_it_was(tool: Tool, db: Redis, objects: Objects, processes: int) -> None:
    content = large()
    urls = [objects.put(f"{name}.jsonl", content) for name in "ab"]
    with Cutter(objects.port, after=3_000_000, times=4) as cutter:
        done = tool.load(*urls, "-q", "q", "-w", "1", "--processes", str(processes), env=objects.env(cutter.port))
    assert_fine(done)
    assert cutter.cuts == 4
    assert counts(done) == (120_000, 120_000, 0, 0)
    assert done.report["bytes_read"] == 2 * len(content)
    assert sorted(numbers(db)) == sorted([*range(60_000)] * 2)


def test_a_cut_that_does_not_end_is_one_error_and_a_resume_is_exact(tool: Tool, db: Redis, objects: Objects) -> None:
    content = large()
    url = objects.put("a.jsonl", content)
    with Cutter(
        objects.port, after=3_000_000, times=1, on_cut=lambda: cutter.close_once(lambda: numbers(db))
    ) as cutter:
        cut = tool.load(url, "-q", "q", "-w", "1", "--job", "j", env=objects.env(cutter.port))
    assert_error(cut, 1, url, "refuses the connection")
    before = numbers(db)
    assert 0 < len(before) < 60_000
    assert before == list(range(len(before)))
    done = tool.load(url, "-q", "q", "-w", "1", "--job", "j", env=objects.env())
    assert_fine(done)
    assert counts(done) == (60_000, 60_000 - len(before), len(before), 0)
    assert numbers(db) == list(range(60_000))


@pytest.mark.parametrize("change", ["other content of the same size", "deleted"])
def test_an_object_that_changes_while_it_is_read_is_refused(
    tool: Tool, db: Redis, objects: Objects, change: str
) -> None:
    content = large()
    url = objects.put("a.jsonl", content)

    def swap() -> None:
        if change == "deleted":
            objects.delete("a.jsonl")
        else:
            objects.put("a.jsonl", content.replace(b"x", b"y"))

    with Cutter(objects.port, after=3_000_000, times=1, on_cut=swap) as cutter:
        done = tool.load(url, "-q", "q", "-w", "1", env=objects.env(cutter.port))
    assert_error(done, 1, url, "was changed while it was being loaded")
    assert b"y" * 180 not in b"".join(payloads(db, "q.default"))


def test_a_job_is_not_resumed_with_other_content(tool: Tool, objects: Objects) -> None:
    url = objects.put("a.jsonl", lines(1, 2))
    assert_fine(tool.load(url, "-q", "q", "--job", "j", env=objects.env()))
    objects.put("a.jsonl", lines(3, 4))
    done = tool.load(url, "-q", "q", "--job", "j", env=objects.env())
    assert_error(done, 1, "j", url)


def test_doctor_preview_verify_and_jobs_read_objects(tool: Tool, objects: Objects) -> None:
    url = objects.put("a.jsonl", lines(*range(500)))
    shared = ("-q", "q", "--redis", tool.url)
    shown = run("load", url, "--preview", "2", *shared, cwd=tool.folder, env=objects.env())
    assert shown.status == 0, shown.stderr
    assert len(shown.stdout.splitlines()) == 2
    examined = run("doctor", url, *shared, "--json", cwd=tool.folder, env=objects.env())
    assert '"estimate"' in examined.stdout, examined
    assert_fine(tool.load(url, "-q", "q", "--job", "j", env=objects.env()))
    for arguments in ((url, *shared, "--job", "j"), ("j", "--redis", tool.url)):
        verified = run("verify", *arguments, cwd=tool.folder, env=objects.env())
        assert verified.status == 0, verified.stderr
        assert "500" in verified.stderr + verified.stdout


@pytest.mark.parametrize(
    ("key", "env", "words"),
    [
        ("none.jsonl", {}, ("there is no such object",)),
        ("none/", {}, ("there is nothing below it",)),
        ("none*.jsonl", {}, ("no object matches",)),
        ("notes/", {}, ("no payload file here (passed over: 1 file (1 .md))",)),
        ("a.jsonl", {"AWS_SECRET_ACCESS_KEY": "wrong"}, ("access is denied",)),
        ("a.jsonl", {"AWS_ACCESS_KEY_ID": "nobody"}, ("XAdminUserNotFound", "AWS_ACCESS_KEY_ID")),
        ("a.jsonl", {"AWS_REGION": "eu-north-1"}, ("region",)),
        ("a.jsonl", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ("127.0.0.1:1 refuses the connection",)),
        ("a.jsonl", {"AWS_ENDPOINT_URL": "ftp://127.0.0.1:9000"}, ("does not begin with https:// or http://",)),
        ("a.jsonl", {"AWS_ENDPOINT_URL": "http://nobody.invalid"}, ("name of the server is not found",)),
        ("a.jsonl", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, ("no credentials", "AWS_PROFILE")),
        ("a.jsonl", {"AWS_PROFILE": "nobody"}, ("no credentials", "nobody")),
        ("a.txt", {}, ("no known ending", "--format jsonl")),
    ],
)
def test_each_fault_is_one_line(
    tool: Tool, objects: Objects, key: str, env: dict[str, str], words: tuple[str, ...]
) -> None:
    objects.put("a.jsonl", lines(1))
    objects.put("a.txt", lines(1))
    objects.put("notes/a.md", b"#")
    done = tool.load(f"{objects.url}/{key}", "-q", "q", env={**objects.env(), **env})
    assert done.status in (1, 2)
    assert_error(done, done.status, f"{objects.url}/{key}" if "AWS_PROFILE" not in env else objects.bucket, *words)
    assert SECRET not in done.stderr


def test_a_bucket_that_does_not_exist(tool: Tool, objects: Objects) -> None:
    for key in ("a.jsonl", "", "a*"):
        done = tool.load(f"s3://no-such-bucket/{key}", "-q", "q", env=objects.env())
        assert_error(done, 1, "there is no bucket no-such-bucket", "AWS_ENDPOINT_URL")


def test_a_login_in_the_url_is_refused_and_not_shown(tool: Tool, objects: Objects) -> None:
    done = tool.load("s3://key:geheim@bucket/a.jsonl", "-q", "q", env=objects.env())
    assert_error(done, 2, "has a login")
    assert "geheim" not in done.stderr


def test_profiles_of_the_files_are_found(tool: Tool, db: Redis, objects: Objects, tmp_path: Path) -> None:
    url = objects.put("a.jsonl", lines(1))
    env = objects.env()
    (tmp_path / "credentials").write_text(
        f"[me]\naws_access_key_id={env['AWS_ACCESS_KEY_ID']}\naws_secret_access_key={SECRET}\n"
    )
    (tmp_path / "config").write_text(f"[profile me]\nregion=us-east-1\nendpoint_url={env['AWS_ENDPOINT_URL']}\n")
    given = {
        "AWS_PROFILE": "me",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    assert_fine(tool.load(url, "-q", "q", env=given))
    assert numbers(db) == [1]


def test_a_program_for_credentials_is_asked_once_for_objects_named_together(
    tool: Tool, db: Redis, objects: Objects, tmp_path: Path
) -> None:
    urls = [objects.put(f"{number}.jsonl", lines(number)) for number in range(40)]
    env = objects.env()
    answer = {"Version": 1, "AccessKeyId": env["AWS_ACCESS_KEY_ID"], "SecretAccessKey": SECRET}
    (tmp_path / "answer").write_text(json.dumps(answer))
    program = f"sh -c 'echo asked >> {tmp_path}/asked; sleep 0.1; cat {tmp_path}/answer'"
    config = f"[profile me]\nregion=us-east-1\nendpoint_url={env['AWS_ENDPOINT_URL']}\ncredential_process={program}\n"
    (tmp_path / "config").write_text(config)
    given = {"AWS_PROFILE": "me", "AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert_fine(tool.load(*urls, "-q", "q", "-w", "1", env=given))
    assert numbers(db) == list(range(40))
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_files_that_cannot_be_loaded_are_skipped_if_that_is_wanted(tool: Tool, db: Redis, objects: Objects) -> None:
    objects.put("in/a.jsonl", lines(1))
    objects.put("in/b.jsonl", b"%PDF-1.7\n\x80\x81")
    refused = tool.load(f"{objects.url}/in/", "-q", "q", env=objects.env())
    assert_error(refused, 1, "b.jsonl", "PDF", "--skip-bad-files")
    done = tool.load(f"{objects.url}/in/", f"{objects.url}/none", "-q", "q", "--skip-bad-files", env=objects.env())
    assert done.status == 3, done.stderr
    assert numbers(db) == [1]


CUT = {
    "lines": large(5_000),
    "long lines": b"".join(b'"%s"\n' % (b"x" * length) for length in (10, 300_000, 7, 150_000, 0, 1_200_000, 5)),
    "no end": b'"a"\n' * 100_000 + b'"b"',
    "one line": b'"%s"' % (b"x" * 400_000),
}


@pytest.mark.parametrize("name", CUT)
def test_an_object_is_cut_like_a_file(tool: Tool, objects: Objects, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in objects.env().items():
        monkeypatch.setenv(variable, value)
    url, path = objects.put("a.jsonl", CUT[name]), tool.write("a.jsonl", CUT[name])

    packed = objects.put("a.jsonl.gz", gzip.compress(CUT[name]))

    async def opened(spool: Spool, forced: str | None, *given: str) -> list[Source]:
        return await open_sources(given, forced, force_format=True, spool=spool)

    with Spool() as spool:
        remote, here = asyncio.run(opened(spool, "jsonl", url, str(path)))
        for size in (1000, 65_536, 99_999, 2_000_000):
            assert remote.cuts(size) == here.cuts(size)
        (compressed,) = asyncio.run(opened(spool, None, packed))
        assert compressed.cuts(1000) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_large_object_is_shared_between_processes_and_places_are_right(
    tool: Tool, db: Redis, objects: Objects, processes: int
) -> None:
    good = large(200_000).splitlines(keepends=True)
    bad = dict.fromkeys((5, 100000, 199990), b"{\n")
    content = b"".join(bad.get(at, line) for at, line in enumerate(good))
    assert len(content) > 2 * SHARD_BYTES
    url = objects.put("a.jsonl", content)
    done = tool.load(url, "-q", "q", "--processes", str(processes), env=objects.env())
    assert_fine(done, 3)
    assert counts(done) == (200_000, 199_997, 0, 3)
    assert done.report["bytes_read"] == len(content)
    offsets = [content.index(b"\n{\n", start) + 1 for start in (0, 10_000_000, 40_000_000)]
    places = {(one["line"], one["byte_offset"]) for one in rejects(tool, done)}
    assert places == {(at + 1, offset) for at, offset in zip(bad, offsets, strict=True)}
