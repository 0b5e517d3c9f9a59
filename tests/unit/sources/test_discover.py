"""From the paths a user names to sources: which files, in which order, as which format."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from loader.errors import SourceError, UsageError
from loader.sources.codecs.gzip import GZIP
from loader.sources.discover import discover
from loader.sources.format import FileSource, InputFile
from loader.sources.validate import Reject
from loader.tasks.reasons import Reason, ReasonCode


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that tests name files as a user does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(sources: list[FileSource]) -> list[str]:
    return [file.name for source in sources for file in source.files]


@pytest.mark.parametrize(
    ("name", "record_format", "gzipped"),
    [
        ("a.jsonl", "jsonl", False),
        ("a.ndjson", "jsonl", False),
        ("a.jsonl.gz", "jsonl", True),
        ("a.ndjson.gz", "jsonl", True),
        ("a.json", "json", False),
        ("a.json.gz", "json", True),
        ("A.JSONL.GZ", "jsonl", True),
        ("2024.01.02.jsonl", "jsonl", False),
    ],
)
def test_the_name_tells_the_format(tree: Path, name: str, record_format: str, gzipped: bool) -> None:
    make(name)
    (source,) = discover([name], None)
    (file,) = source.files
    assert (file.name, file.path, file.format) == (name, Path(name), record_format)
    assert file.codec is (GZIP if gzipped else None)


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "jsonl", "a.jsonl.bz2", "a.json.bak"])
def test_a_name_that_tells_no_format_needs_one_said(tree: Path, name: str) -> None:
    make(name)
    with pytest.raises(UsageError, match="--format"):
        discover([name], None)
    assert discover([name], "jsonl.gz")[0].files == (InputFile(name, Path(name), "jsonl", GZIP),)


def test_a_format_that_is_said_outranks_the_names(tree: Path) -> None:
    make("a.json", "d/b.jsonl.gz")
    assert {source.format for source in discover(["a.json", "d"], "jsonl")} == {"jsonl"}
    assert all(file.codec is None for source in discover(["a.json", "d"], "jsonl") for file in source.files)


def test_files_come_in_the_order_in_which_they_are_named(tree: Path) -> None:
    make("b.jsonl", "a.jsonl", "c.jsonl")
    assert names(discover(["c.jsonl", "a.jsonl", "b.jsonl"], None)) == ["c.jsonl", "a.jsonl", "b.jsonl"]


def test_a_directory_is_taken_recursively_and_sorted(tree: Path) -> None:
    make("d/z.jsonl", "d/a.jsonl", "d/sub10/x.ndjson", "d/sub1/y.jsonl", "d/sub1/deep/w.jsonl.gz")
    assert names(discover(["d"], None)) == [
        "d/a.jsonl",
        "d/z.jsonl",
        "d/sub1/y.jsonl",
        "d/sub1/deep/w.jsonl.gz",
        "d/sub10/x.ndjson",
    ]


def test_other_files_in_a_directory_are_passed_over(tree: Path) -> None:
    make("d/a.jsonl", "d/README.md", "d/a.jsonl.md5", "d/data.csv")
    assert names(discover(["d"], None)) == ["d/a.jsonl"]


def test_hidden_files_in_a_directory_are_passed_over(tree: Path) -> None:
    make("d/a.jsonl", "d/.a.jsonl", "d/.hidden.json")
    assert names(discover(["d"], None)) == names(discover(["d"], "jsonl")) == ["d/a.jsonl"]


def test_hidden_folders_in_a_directory_are_passed_over_as_globs_do(tree: Path) -> None:
    make("d/a.jsonl", "d/.ipynb_checkpoints/a-checkpoint.jsonl")
    assert names(discover(["d"], None)) == names(discover(["d/**/*.jsonl"], None)) == ["d/a.jsonl"]


def test_a_hidden_file_that_is_named_is_taken(tree: Path) -> None:
    make(".a.jsonl")
    assert names(discover([".a.jsonl"], None)) == [".a.jsonl"]


def test_a_glob_is_expanded_and_sorted(tree: Path) -> None:
    make("p10.jsonl", "p2.jsonl", "p1.jsonl", "q.jsonl")
    assert names(discover(["p*.jsonl"], None)) == ["p1.jsonl", "p10.jsonl", "p2.jsonl"]
    assert names(discover(["p[12].jsonl"], None)) == ["p1.jsonl", "p2.jsonl"]


def test_two_asterisks_reach_into_subdirectories(tree: Path) -> None:
    make("d/a.jsonl", "d/s/t/b.jsonl")
    assert names(discover(["d/**/*.jsonl"], None)) == ["d/a.jsonl", "d/s/t/b.jsonl"]


def test_directories_that_match_a_glob_are_no_files(tree: Path) -> None:
    make("d1/a.jsonl", "d2.jsonl")
    assert names(discover(["d*"], None)) == ["d2.jsonl"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tree: Path) -> None:
    make("a[1].jsonl", "a1.jsonl")
    assert names(discover(["a[1].jsonl"], None)) == ["a[1].jsonl"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.jsonl", "a.jsonl"],
        ["a.jsonl", "./a.jsonl"],
        ["*.jsonl", "a.jsonl"],
        [".", "a.jsonl"],
        ["a.jsonl", "link.jsonl"],
    ],
)
def test_a_file_that_would_be_loaded_twice_is_refused(tree: Path, arguments: list[str]) -> None:
    make("a.jsonl")
    if "link.jsonl" in arguments:
        Path("link.jsonl").symlink_to("a.jsonl")
    with pytest.raises(UsageError, match="twice"):
        discover(arguments, None)


def test_files_of_equal_content_are_two_files(tree: Path) -> None:
    make("a.jsonl", "b.jsonl")
    assert len(discover(["a.jsonl", "b.jsonl"], None)) == 2


def test_documents_that_follow_each_other_are_one_source(tree: Path) -> None:
    make("1.json", "2.json.gz", "3.jsonl", "4.json")
    sources = discover(["1.json", "2.json.gz", "3.jsonl", "4.json"], None)
    assert [(source.format, len(source.files)) for source in sources] == [("json", 2), ("jsonl", 1), ("json", 1)]
    assert [source.name for source in sources] == ["1.json … (2 documents)", "3.jsonl", "4.json"]


def test_files_of_lines_are_a_source_each(tree: Path) -> None:
    make("1.jsonl", "2.jsonl")
    assert [source.name for source in discover(["1.jsonl", "2.jsonl"], None)] == ["1.jsonl", "2.jsonl"]


def test_a_dash_is_standard_input_with_json_lines(tree: Path) -> None:
    make("a.jsonl")
    first, second = discover(["-", "a.jsonl"], None)
    assert first.files == (InputFile("-", None, "jsonl", None),)
    assert second.name == "a.jsonl"


def test_standard_input_may_be_said_to_be_gzipped() -> None:
    assert discover(["-"], "jsonl.gz")[0].files[0].codec is GZIP


@pytest.mark.parametrize("forced", ["json", "json.gz"])
def test_standard_input_takes_no_documents(forced: str) -> None:
    with pytest.raises(UsageError, match="--format json-concat"):
        discover(["-"], forced)


@pytest.mark.parametrize("arguments", [[], ["-", "-"]])
def test_no_input_and_standard_input_twice_are_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        discover(arguments, None)


@pytest.mark.parametrize(
    "argument", ["none.jsonl", "none*.jsonl", "d", "a.jsonl/b.jsonl", "x" * 5000 + ".jsonl", "a\0b"]
)
def test_what_is_not_there_is_told(tree: Path, argument: str) -> None:
    make("a.jsonl", "d/readme.txt")
    with pytest.raises(SourceError) as caught:
        discover([argument], None)
    assert argument in str(caught.value)


def test_an_empty_path_is_not_the_current_directory(tree: Path) -> None:
    make("a.jsonl")  # what `load "$UNSET"` must not load
    with pytest.raises((SourceError, UsageError)):
        discover([""], None)


def test_a_file_name_that_is_not_utf_8_is_found_and_can_be_shown(tree: Path) -> None:
    name = os.fsdecode(b"d/caf\xe9.jsonl")
    make(name)
    for argument in ("d", "d/*", name):
        ((file,),) = (source.files for source in discover([argument], None))
        assert file.path == Path(name)
        assert file.name == "d/caf\\xe9.jsonl"


@pytest.mark.parametrize("argument", ["d", "d/*"])
def test_what_earlier_runs_left_in_a_directory_is_no_input(tree: Path, argument: str) -> None:
    make("d/a.jsonl", "d/a-0123.rejects.jsonl", "d/report.json", "d/bad.jsonl")
    found = discover([argument], None, passing_over=["d/report.json", Path("d/../d/bad.jsonl")])
    assert names(found) == ["d/a.jsonl"]


def test_a_rejects_file_that_is_named_is_taken(tree: Path) -> None:
    make("a.rejects.jsonl")
    assert names(discover(["a.rejects.jsonl"], None)) == ["a.rejects.jsonl"]


@pytest.mark.parametrize("code", [{}, {"code": "invalid_json"}], ids=["earlier version", "this version"])
def test_a_rejects_file_that_a_shell_has_named_is_passed_over_whichever_version_wrote_it(
    tree: Path, code: dict[str, str]
) -> None:
    make("a.jsonl")
    line = {"source": "a.jsonl", "line": 1, "byte_offset": 0, **code, "reason": "not valid JSON", "record": "bad"}
    Path("a.rejects.jsonl").write_text(json.dumps(line) + "\n")

    assert names(discover(["a.jsonl", "a.rejects.jsonl"], None)) == ["a.jsonl"]


def test_what_a_load_has_rejected_is_known_by_its_lines(tree: Path) -> None:
    make("a.jsonl")
    reject = Reject("a.jsonl", 1, 0, Reason.of(ReasonCode.INVALID_JSON), b"\xff")
    Path("a.rejects.jsonl").write_bytes(reject.to_json())

    assert names(discover(["a.jsonl", "a.rejects.jsonl"], None)) == ["a.jsonl"]
