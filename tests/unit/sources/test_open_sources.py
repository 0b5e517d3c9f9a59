"""Opening sources: files that cannot be read are all told at once, or skipped."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader.errors import SourceError
from loader.sources.open_sources import open_sources
from loader.sources.problems import Problems

GOOD = gzip.compress(b"1\n", mtime=0)
LARGE = gzip.compress(random.Random(1).randbytes(60_000).hex().encode(), mtime=0)
"""More than is looked at before a load."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ordinary(folder: Path) -> Iterator[None]:
    """An ordinary user, since root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    folder.chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def opened(*arguments: str, problems: Problems | None = None) -> list[str]:
    """The names of the sources."""
    return [source.identity.name for source in asyncio.run(open_sources(list(arguments), None, (), problems))]


BAD = {
    "empty.jsonl.gz": (b"", "is empty, which no gzip file is"),
    "plain.jsonl.gz": (b"1\n2\n", "is not a gzip file"),
    "method.jsonl.gz": (b"\x1f\x8b\x07" + GOOD[3:], "is a damaged gzip file"),
    "header.jsonl": (GOOD[:7], "ends in the middle of its gzip stream"),
    "cut.json.gz": (GOOD[:-3], "ends in the middle of its gzip stream"),
    "sum.json": (GOOD[:-8] + b"\xff" * 4 + GOOD[-4:], "is a damaged gzip file"),
    "garbage.jsonl": (GOOD + b"x", "has other bytes after the end of its gzip stream"),
    "large.jsonl": (LARGE[:9000] + b"\xff" * 500 + LARGE[9500:], "is a damaged gzip file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_seen_to_be_bad_is_refused_before_the_load(folder: Path, name: str) -> None:
    content, what = BAD[name]
    Path(name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        opened(name)
    assert str(caught.value).startswith(f"{name}: {what}")
    assert "--skip-bad-files" not in str(caught.value)


@pytest.mark.parametrize("argument", ["d", "d/*", "list"])
def test_all_bad_files_are_told_at_once_or_skipped(folder: Path, argument: str) -> None:
    Path("d").mkdir()
    for name, (content, _) in BAD.items():
        Path("d", name).write_bytes(content)
    os.mkfifo("d/pipe.jsonl")
    Path("d/gone.json").symlink_to("nowhere")
    good = {"a.json": b"1", "b.json.gz": GOOD, "c.jsonl": b"1\n", "e.jsonl": b"", "z.jsonl.gz": LARGE[:-1]}
    for name, content in good.items():
        Path("d", name).write_bytes(content)
    arguments = sorted(map(str, Path("d").iterdir())) if argument == "list" else [argument]
    expected = {f"d/{name}" for name in [*BAD, "pipe.jsonl", "gone.json"]}

    with pytest.raises(SourceError) as caught:
        opened(*arguments)
    assert {line.split(":")[0] for line in caught.value.details} == expected

    problems = Problems(skip=True)
    names = ["d/a.json … (2 documents)", "d/c.jsonl", "d/e.jsonl", "d/z.jsonl.gz"]
    assert opened(*arguments, problems=problems) == names
    assert {problem.name for problem in problems.skipped} == expected


@pytest.mark.usefixtures("ordinary")
def test_files_without_permission_are_told_at_once_or_skipped(folder: Path) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.json", "d.json"):
        Path(name).write_bytes(b"1\n")
    for name in ("a.jsonl", "d.json"):
        Path(name).chmod(0)
    with pytest.raises(SourceError) as caught:
        opened(".")
    assert caught.value.details == (
        "a.jsonl: cannot be read: Permission denied",
        "d.json: cannot be read: Permission denied",
    )
    problems = Problems(skip=True)
    assert opened(".", problems=problems) == ["b.jsonl", "c.json"]
    assert len(problems.skipped) == 2


def test_if_no_file_is_left_it_is_an_error_although_files_are_skipped(folder: Path) -> None:
    Path("a.jsonl.gz").write_bytes(b"x")
    with pytest.raises(SourceError, match="none of the 2 inputs can be loaded"):
        opened("a.jsonl.gz", "b.jsonl", problems=Problems(skip=True))


def test_a_large_file_that_is_cut_is_known_only_when_it_is_read(folder: Path) -> None:
    Path("a.jsonl.gz").write_bytes(LARGE[:-1])
    assert opened("a.jsonl.gz") == ["a.jsonl.gz"]


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 512])
def test_padding_after_a_stream_is_no_fault(folder: Path, padding: bytes) -> None:
    Path("a.jsonl.gz").write_bytes(GOOD + padding)
    assert opened("a.jsonl.gz") == ["a.jsonl.gz"]


@pytest.mark.parametrize("name", ["pipe 1.jsonl", "it's.jsonl", "$(x).jsonl"])
def test_the_hint_to_pipe_a_file_can_be_pasted(folder: Path, name: str) -> None:
    os.mkfifo(name)
    with pytest.raises(SourceError) as caught:
        opened(name)
    quoted = "'it'\"'\"'s.jsonl'" if "it's" in name else f"'{name}'"
    assert caught.value.hint == f"Pipe it in: runqy-loader load - < {quoted}"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens but cannot be read")
@pytest.mark.parametrize("beside", ["b.json", "b.jsonl"])
def test_a_file_that_opens_and_cannot_be_read_is_skipped_too(folder: Path, beside: str) -> None:
    # Its type is that of a regular file, and reading it at 0 fails: an error of input and output.
    Path("a.json").symlink_to("/proc/self/mem")
    Path(beside).write_bytes(b"1\n")
    problems = Problems(skip=True)
    assert opened("a.json", beside, problems=problems) == [beside]
    assert [problem.name for problem in problems.skipped] == ["a.json"]


def test_urls_need_a_place_for_copies_that_outlives_the_call() -> None:
    with pytest.raises(TypeError, match="needs a spool"):
        opened("http://127.0.0.1:1/a.jsonl")
