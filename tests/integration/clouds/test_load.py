"""Loads from Google Cloud Storage and Azure: what a URL means, encodings, exact resumes, cuts, changes, and errors."""

from __future__ import annotations

import gzip

import pytest

from tests.integration.clouds.servers import KEY, AzureContainer, Bucket
from tests.integration.remote.cutting import Cutter
from tests.integration.remote.test_s3 import FORMATS, large, lines, numbers
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects


def test_a_prefix_a_pattern_and_an_object_are_read_in_the_order_of_their_keys(
    tool: Tool, db: Redis, bucket: Bucket
) -> None:
    bucket.put("in/b.jsonl", lines(2))
    bucket.put("in/a.jsonl.gz", gzip.compress(lines(0, 1)))
    bucket.put("in/deep/er/c.jsonl", lines(3))
    bucket.put("in/.hidden.jsonl", lines(90))
    bucket.put("in/notes.md", b"# no input")
    bucket.put("day=1/x1.jsonl", lines(4))
    bucket.put("day=2/x1.jsonl", lines(5))
    bucket.put("day=2/y1.jsonl", lines(91))
    bucket.put("day=2/deep/x1.jsonl", lines(92))
    bucket.put("odd %20#+é.jsonl", lines(6))
    tool.write("here.jsonl", lines(7))

    given = (f"{bucket.url}/in/", f"{bucket.url}/day=*/x*.jsonl", f"{bucket.url}/odd %20#+é.jsonl", "here.jsonl")
    done = tool.load(*given, "-q", "q", "-w", "1", env=bucket.env())

    assert_fine(done)
    assert numbers(db) == list(range(8))
    names = [source["name"].removeprefix(bucket.url) for source in done.report["sources"]]
    assert names[:3] == ["/in/a.jsonl.gz", "/in/b.jsonl", "/in/deep/er/c.jsonl"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(tool: Tool, db: Redis, bucket: Bucket, name: str) -> None:
    url = bucket.put(name, FORMATS[name])
    done, again = (tool.load(url, "-q", "q", "-w", "1", env=bucket.env()) for _ in range(2))
    assert_fine(done)
    assert numbers(db) == list(range(50))
    assert (counts(done), counts(again)) == ((50, 50, 0, 0), (50, 0, 50, 0))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("processes", [1, 2])
def test_an_object_that_a_server_would_decompress_is_read_as_it_is_stored(
    tool: Tool, db: Redis, bucket: Bucket, name: str, processes: int
) -> None:
    """With Content-Encoding gzip, Google answers decompressed, and not from a byte on, unless told to leave it."""
    stored = gzip.compress(large(20_000), 1)
    url = bucket.put(name, stored, "gzip")
    with Cutter(bucket.port, after=len(stored) // 2, times=1) as cutter:
        arguments = ("-q", "q", "-w", "1", "--processes", str(processes))
        done = tool.load(url, *arguments, env=bucket.env(cutter.port))
    assert_fine(done)
    assert cutter.cuts == 1
    assert done.report["bytes_read"] == len(stored)
    assert numbers(db) == list(range(20_000))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_load_that_is_cut_off_goes_on_where_it_was(tool: Tool, db: Redis, bucket: Bucket, processes: int) -> None:
    content = large(30_000)
    urls = [bucket.put(f"{name}.jsonl", content) for name in "ab"]
    with Cutter(bucket.port, after=1_000_000, times=4) as cutter:
        done = tool.load(*urls, "-q", "q", "-w", "1", "--processes", str(processes), env=bucket.env(cutter.port))
    assert_fine(done)
    assert cutter.cuts == 4
    assert done.report["bytes_read"] == 2 * len(content)
    assert sorted(numbers(db)) == sorted([*range(30_000)] * 2)


def test_a_cut_that_does_not_end_is_one_error_and_a_resume_is_exact(tool: Tool, db: Redis, bucket: Bucket) -> None:
    url = bucket.put("a.jsonl", large())
    with Cutter(bucket.port, after=3_000_000, times=1, on_cut=lambda: cutter.close_once(lambda: numbers(db))) as cutter:
        cut = tool.load(url, "-q", "q", "-w", "1", "--job", "j", env=bucket.env(cutter.port))
    assert_error(cut, 1, url, "refuses the connection")
    before = numbers(db)
    assert 0 < len(before) < 60_000
    assert before == list(range(len(before)))
    done = tool.load(url, "-q", "q", "-w", "1", "--job", "j", env=bucket.env())
    assert_fine(done)
    assert counts(done) == (60_000, 60_000 - len(before), len(before), 0)
    assert numbers(db) == list(range(60_000))


@pytest.mark.parametrize("change", ["other content of the same size", "deleted"])
def test_an_object_that_changes_while_it_is_read_is_refused(tool: Tool, db: Redis, bucket: Bucket, change: str) -> None:
    content = large()
    url = bucket.put("a.jsonl", content)

    def swap() -> None:
        if change == "deleted":
            bucket.delete("a.jsonl")
        else:
            bucket.put("a.jsonl", content.replace(b"x", b"y"))

    with Cutter(bucket.port, after=3_000_000, times=1, on_cut=swap) as cutter:
        done = tool.load(url, "-q", "q", "-w", "1", env=bucket.env(cutter.port))
    assert_error(done, 1, url, "was changed while it was being loaded")
    assert b"y" * 180 not in b"".join(payloads(db, "q.default"))


def test_a_job_is_not_resumed_with_other_content(tool: Tool, bucket: Bucket) -> None:
    url = bucket.put("a.jsonl", lines(1, 2))
    assert_fine(tool.load(url, "-q", "q", "--job", "j", env=bucket.env()))
    bucket.put("a.jsonl", lines(3, 4))
    done = tool.load(url, "-q", "q", "--job", "j", env=bucket.env())
    assert_error(done, 1, "j", url)


def test_rejects_name_the_url(tool: Tool, db: Redis, bucket: Bucket) -> None:
    url = bucket.put("a.jsonl", lines(0, 1) + b"{\n" + lines(2))
    done = tool.load(url, "-q", "q", "--job", "j", env=bucket.env())
    assert_fine(done, 3)
    assert [(one["source"], one["line"], one["byte_offset"]) for one in rejects(tool, done)] == [(url, 3, 16)]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("none.jsonl", "there is no such object"),
        ("none/", "there is nothing below it"),
        ("none*.jsonl", "no object matches"),
        ("notes/", "no payload file here (passed over: 1 file (1 .md))"),
        ("a.txt", "no known ending"),
    ],
)
def test_each_fault_is_one_line(tool: Tool, bucket: Bucket, key: str, words: str) -> None:
    bucket.put("a.txt", lines(1))
    bucket.put("notes/a.md", b"#")
    done = tool.load(f"{bucket.url}/{key}", "-q", "q", env=bucket.env())
    assert_error(done, done.status, f"{bucket.url}/{key}", words)
    assert done.status in (1, 2)


@pytest.mark.parametrize("key", ["a.jsonl", "", "a*"])
def test_a_container_that_does_not_exist(tool: Tool, azure: AzureContainer, key: str) -> None:
    done = tool.load(f"az://no-such-container/{key}", "-q", "q", env=azure.env())
    assert_error(done, 1, "there is no bucket no-such-container", "AZURE_STORAGE_ENDPOINT")


def test_a_server_that_is_away_and_an_endpoint_that_is_none(tool: Tool, bucket: Bucket) -> None:
    (name,) = (name for name, value in bucket.env().items() if "127.0.0.1" in value)
    for endpoint, words in (
        ("http://127.0.0.1:1", "127.0.0.1:1 refuses the connection"),
        ("ftp://127.0.0.1:9000", "does not begin with https:// or http://"),
        ("http://nobody.invalid", "name of the server is not found"),
    ):
        done = tool.load(f"{bucket.url}/a.jsonl", "-q", "q", env={**bucket.env(), name: endpoint})
        assert_error(done, 1, f"{bucket.url}/a.jsonl", words)
        assert KEY not in done.stderr
