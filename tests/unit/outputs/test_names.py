"""What the name of a file to write says about its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.outputs.names import IDS, JOURNAL, JSON, JSON_LINES, RECORDS, is_gzip, wrong_name


@pytest.mark.parametrize(
    ("name", "content", "said", "better"),
    [
        ("q.jsonl.zst", RECORDS, "zstd", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.jsonl.XZ", RECORDS, "xz", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.bz2", RECORDS, "bzip2", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.parquet", RECORDS, "Parquet", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.tar.gz", RECORDS, "a tar archive", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.tgz", RECORDS, "a tar archive", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.json", RECORDS, "one JSON document", "q.jsonl, or q.jsonl.gz for gzip"),
        ("q.json.gz", RECORDS, "one JSON document", "q.jsonl, or q.jsonl.gz for gzip"),
        ("r.csv", JSON_LINES, "CSV", "r.jsonl, or r.jsonl.gz for gzip"),
        ("r.csv.gz", JSON, "CSV", "r.json, or r.json.gz for gzip"),
        ("ids.xlsx", IDS, "a spreadsheet", "ids.tsv, or ids.tsv.gz for gzip"),
        ("j.journal.gz", JOURNAL, "gzip", "j.journal"),
        ("j.db", JOURNAL, "a database", "j.journal"),
    ],
)
def test_a_name_that_says_something_else_is_wrong(name: str, content: str, said: str, better: str) -> None:
    wrong = wrong_name(Path("folder.zip") / name, content)

    assert wrong is not None
    assert f"says {said}, but the file holds {content}" in wrong[0]
    assert wrong[1].replace("folder.zip/", "") == f"Name it {better}"


@pytest.mark.parametrize("content", [RECORDS, JSON_LINES, JSON, IDS, JOURNAL])
@pytest.mark.parametrize("name", ["q", "q.jsonl", "q.log", ".hidden", "v1.2", "q.zst.d/q.txt"])
def test_other_names_are_right(name: str, content: str) -> None:
    assert wrong_name(Path(name), content) is None


@pytest.mark.parametrize(
    ("name", "expected"), [("q.jsonl.gz", True), ("q.GZ", True), ("q.gz.part", False), ("-", False)]
)
def test_a_name_that_ends_in_gz_is_compressed(name: str, expected: bool) -> None:
    assert is_gzip(Path(name)) is expected
