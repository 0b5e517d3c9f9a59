"""What open_sources says of files that cannot be loaded, and which it leaves out."""

from __future__ import annotations

import asyncio
import gzip
import logging
import lzma
from pathlib import Path

import pytest

from loader.errors import LoaderError, SourceError, SourceFormatError, UsageError
from loader.sources.base import Source
from loader.sources.formats import FORMATS
from loader.sources.open_sources import open_sources
from loader.sources.problems import Problems
from loader.sources.recognition.looks import NOT_COMPRESSED, NOT_PIPED
from tests.unit.drain import drain, records
from tests.unit.sources.recognition.content import ARRAY, DOCUMENT, LINES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that tests name files as a user does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(*given: str, forced: str | None = None, force: bool = False, skip: bool = False) -> list[Source]:
    return asyncio.run(open_sources(list(given), forced, (), Problems(skip=skip), force_format=force))


def read(*given: str, forced: str | None = None, force: bool = False, skip: bool = False) -> list[bytes]:
    return [
        record for source in opened(*given, forced=forced, force=force, skip=skip) for record in records(drain(source))
    ]


def test_one_bad_file_has_an_error_of_its_own(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(ARRAY)
    with pytest.raises(SourceFormatError) as caught:
        opened("a.jsonl")
    assert str(caught.value) == (
        "a.jsonl: looks like one JSON array over several lines, not JSON lines. Give --format json-array (each element "
        "is a task) or --format json (the whole array is one task); --force-format loads it all the same"
    )


def test_bad_files_are_told_together_by_what_is_wrong_and_the_frequent_first(folder: Path) -> None:
    for number in range(7):
        (folder / f"{number}.json").write_bytes(LINES)
    (folder / "a.jsonl").write_bytes(DOCUMENT)
    (folder / "b.jsonl").write_bytes(LINES)
    with pytest.raises(SourceFormatError) as caught:
        opened(".")
    assert str(caught.value).splitlines() == [
        "8 of 9 inputs cannot be loaded:",
        "  0.json, 1.json, 2.json, 3.json, 4.json, … (7 files): looks like JSON lines, not one JSON document "
        "(--format jsonl)",
        "  a.jsonl: looks like one JSON document over several lines, not JSON lines (--format json)",
        "Correct these inputs, or leave them out; --skip-bad-files loads the rest",
    ]


def test_bad_files_of_one_kind_have_the_hint_of_that_kind(folder: Path) -> None:
    (folder / "a.json").write_bytes(LINES)
    (folder / "b.json").write_bytes(LINES)
    with pytest.raises(SourceFormatError, match=r"(?s)^none of the 2 inputs .* --format jsonl; --force-format loads"):
        opened("a.json", "b.json")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.jsonl.lzma",
            lzma.compress(LINES, lzma.FORMAT_ALONE),
            "lzma-compressed data, not JSON lines. Run: xz --format=lzma -dc {name} | runqy-loader load - …",
        ),
        (
            "a.json.lzma",
            lzma.compress(DOCUMENT, lzma.FORMAT_ALONE),
            "lzma-compressed data, not one JSON document. "
            "Run: xz --format=lzma -dc {name} | runqy-loader load - --format json-concat …",
        ),
    ],
)
def test_a_file_whose_name_says_nothing_is_told_by_its_content(
    folder: Path, name: str, content: bytes, told: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(SourceFormatError) as caught:
        opened(name)
    assert str(caught.value) == f"{name}: looks like {told.format(name=name)}"


@pytest.mark.parametrize(("content", "form"), [(b"id,name\n1,a\n2,b\n", "csv"), (b"id\tname\n1\ta\n2\tb\n", "tsv")])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_table_whose_name_does_not_say_so_needs_a_format(folder: Path, content: bytes, form: str, name: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(LoaderError, match=rf"looks like {form.upper()}.*\. Give --format {form}"):
        opened(name)
    assert read(name, forced=form) == [b'{"id":"1","name":"a"}', b'{"id":"2","name":"b"}']


@pytest.mark.parametrize("content", [LINES, DOCUMENT, ARRAY, b"", b"what is this"])
def test_json_whose_name_says_nothing_needs_a_format(folder: Path, content: bytes) -> None:
    (folder / "a.txt").write_bytes(content)
    with pytest.raises(
        UsageError, match=r"a\.txt: its name has no known ending(, and it looks like .*)?\. Give --format json"
    ):
        opened("a.txt")


def test_an_unreadable_file_is_told_beside_others(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(ARRAY)
    (folder / "b.jsonl").symlink_to("nothing")
    with pytest.raises(SourceError, match=r"(?s)none of the 2 inputs.*b\.jsonl: is a link that leads to no file"):
        opened(".")


def test_a_file_that_is_not_gzip_is_told_beside_others(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(ARRAY)
    (folder / "b.jsonl.gz").write_bytes(LINES)
    with pytest.raises(SourceError, match=r"(?s)none of the 2 inputs.*b\.jsonl\.gz: is not a gzip file"):
        opened(".")


def test_bad_files_are_left_out_with_a_warning_if_that_is_wanted(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("runqy_loader"), "propagate", True)
    for name, content in (("1", b"1"), ("2", LINES), ("3", b"3"), ("4", b"4")):
        (folder / f"{name}.json").write_bytes(content)
    (folder / "a.jsonl").write_bytes(ARRAY)

    (source,) = opened(".", skip=True)

    assert source.identity.name == "1.json … (3 documents)"
    assert records(drain(source)) == [b"1", b"3", b"4"]
    assert [record.getMessage() for record in caplog.records] == [
        "going on without 2 of 5 inputs, which cannot be loaded"
    ]


def test_there_must_be_a_file_left(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(ARRAY)
    with pytest.raises(SourceError, match="looks like one JSON array"):
        opened("a.jsonl", skip=True)


def test_nothing_is_refused_if_the_format_is_forced(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(b"[\n1\n]\n")
    assert read("a.jsonl", force=True) == [b"[", b"1", b"]"]


@pytest.mark.parametrize(
    ("name", "content", "forced", "found"),
    [
        ("a.jsonl", b"[1]\n", None, [b"[1]"]),
        ("a.json", b"[1]\n", "json", [b"[1]\n"]),
        ("a.json", b'[{"a":1}]\n', "json", [b'[{"a":1}]\n']),
        ("a.json", b'[{"a":1}]\n', "jsonl", [b'[{"a":1}]']),
        ("a.json", b"1\n2\n", "jsonl", [b"1", b"2"]),
        ("a.json", b'{"a":1}\n', "jsonl", [b'{"a":1}']),
        ("a.jsonl", b'{"a":1}\n', "json", [b'{"a":1}\n']),
        ("a.jsonl", b'{"a":1}\n{"b":2}\n', "json-concat", [b'{"a":1}', b'{"b":2}']),
        ("a.json", b"[1, [2]]", "json-array", [b"1", b"[2]"]),
        ("a.json", b"[1, [2]]", "json-concat", [b"[1, [2]]"]),
        ("a.txt", gzip.compress(b"[1, [2]]", mtime=0), "json-array", [b"1", b"[2]"]),
        ("a.txt", gzip.compress(b"[1, [2]]", mtime=0), "json-array.gz", [b"1", b"[2]"]),
    ],
)
def test_a_given_format_is_believed_where_it_can_be(
    folder: Path, name: str, content: bytes, forced: str | None, found: list[bytes]
) -> None:
    (folder / name).write_bytes(content)
    assert read(name, forced=forced) == found


def test_a_long_first_line_that_is_an_array_is_one_of_many_lines(folder: Path) -> None:
    vector = b"[" + b"0.5," * 50_000 + b"1]"
    (folder / "a.jsonl").write_bytes(vector + b"\n" + vector + b"\n")
    assert read("a.jsonl") == [vector, vector]


def test_damage_after_the_beginning_is_left_to_the_load(folder: Path) -> None:
    whole = gzip.compress(b"1\n2\n") + gzip.compress(b"3\n" * 100_000)
    (folder / "a.jsonl.gz").write_bytes(whole[:-4])
    (source,) = opened("a.jsonl.gz")
    with pytest.raises(SourceError, match="ends in the middle"):
        drain(source)


def test_many_small_files_leave_no_descriptor_open(folder: Path) -> None:
    for number in range(50):
        (folder / f"{number}.json").write_bytes(b"1" if number else ARRAY)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with pytest.raises(SourceFormatError):
        opened(".")
    after = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    assert after <= before


def test_what_advice_leaves_out_is_what_the_formats_cannot_do() -> None:
    assert {form.name for form in FORMATS.values() if not form.compressible} == NOT_COMPRESSED
    assert {form.name for form in FORMATS.values() if form.open_stdin is None} == set(NOT_PIPED)
    assert all(FORMATS[name].open_stdin for name in NOT_PIPED.values() if name)


def test_a_table_within_a_compression_is_to_be_decompressed(folder: Path) -> None:
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(b"PAR1" + bytes(100) + b"PAR1"))
    with pytest.raises(SourceFormatError, match=r"looks like .*Parquet.*\. Decompress it, and load that"):
        opened("a.jsonl.gz")
