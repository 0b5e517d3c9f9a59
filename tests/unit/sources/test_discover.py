"""From the paths a user names to sources: which files, in which order, as which format."""

from __future__ import annotations

import glob
import json
import logging
import os
import random
import socket
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader.errors import LoaderError, SourceError, UsageError
from loader.sources.base import Place
from loader.sources.codecs.gzip import GZIP
from loader.sources.discover import discover
from loader.sources.format import FileSource, InputFile
from loader.sources.problems import Problems
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
        ("a.jsonlines", "jsonl", False),
        ("a.jsonlines.gz", "jsonl", True),
        # logrotate: numbers from 1 (or `start`), `dateext` with its default and common values of `dateformat`
        ("a.jsonl.1", "jsonl", False),
        ("a.jsonl.10.gz", "jsonl", True),
        ("a.ndjson.0", "jsonl", False),
        ("A.JSONL.2.GZ", "jsonl", True),
        ("a.jsonl-20261128", "jsonl", False),
        ("a.jsonl-20261128.gz", "jsonl", True),
        ("a.jsonl-2026112817", "jsonl", False),
        ("a.jsonl-20261128-1764288000.gz", "jsonl", True),
        ("a.jsonl.2026-11-28", "jsonl", False),
        # Python's TimedRotatingFileHandler, hourly and by the second
        ("a.jsonl.2026-11-28_17", "jsonl", False),
        ("a.jsonl.2026-11-28_17-05-00", "jsonl", False),
        ("a.jsonl.2026-11-28T17:05:00Z", "jsonl", False),
    ],
)
def test_the_name_tells_the_format(tree: Path, name: str, record_format: str, gzipped: bool) -> None:
    make(name)
    (source,) = discover([name], None)
    (file,) = source.files
    assert (file.name, file.path, file.format) == (name, Path(name), record_format)
    assert file.codec is (GZIP if gzipped else None)


@pytest.mark.parametrize(
    "name",
    [
        *("a.txt", "a.gz", "jsonl", "a.jsonl.br", "a.json.bak"),
        *("a.json.1", "a.json.gz.1"),  # an older version of a document, not more records
        *("a.jsonl.1.bak", "a.jsonl.", "a.jsonl.x1", "a.1", "jsonl.1", "1"),
    ],
)
def test_a_name_that_tells_no_format_needs_one_said(tree: Path, name: str) -> None:
    make(name)
    with pytest.raises(UsageError, match="--format"):
        discover([name], None)
    assert discover([name], "jsonl.gz")[0].files == (InputFile(name, Path(name), "jsonl", GZIP),)


def test_a_format_that_is_said_outranks_the_names(tree: Path) -> None:
    make("a.json", "d/b.jsonl.gz")
    assert names(discover(["a.json", "d"], "jsonl")) == ["a.json", "d/b.jsonl.gz"]
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
    make("d/a.jsonl", "d/README.md", "d/a.jsonl.md5", "d/data.xlsx")
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


def test_directories_that_match_a_glob_are_entered_as_those_that_a_shell_names(tree: Path) -> None:
    make("d1/a.jsonl", "d2.jsonl", "d3/s/b.jsonl")
    expected = ["d2.jsonl", "d1/a.jsonl", "d3/s/b.jsonl"]
    assert names(discover(["d*"], None)) == expected
    assert sorted(names(discover(by_shell("d*"), None))) == sorted(expected)


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
        ["d", "d/"],
        ["d", "d/b.jsonl"],
    ],
)
def test_a_file_that_would_be_loaded_twice_is_refused(tree: Path, arguments: list[str]) -> None:
    make("a.jsonl", "d/b.jsonl")
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
    assert argument.replace("\0", "\\x00") in str(caught.value)


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
    reject = Reject(Place("a.jsonl", 1, 0), Reason.of(ReasonCode.INVALID_JSON), b"\xff")
    Path("a.rejects.jsonl").write_bytes(reject.to_json())

    assert names(discover(["a.jsonl", "a.rejects.jsonl"], None)) == ["a.jsonl"]


# --- what a directory or a glob passes over ------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def quoted(argument: str) -> str:
    return f"'{argument}'" if "*" in argument else argument


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "runqy_loader")


@pytest.mark.parametrize("argument", ["d", "d/*", "d/**"])
def test_what_is_passed_over_is_told_in_one_line_by_ending(
    tree: Path, caplog: pytest.LogCaptureFixture, argument: str
) -> None:
    make("d/a.jsonl", "d/b.jsonl.br", "d/c.ZST", "d/README.md", "d/x.json.1", "d/_SUCCESS", "d/y.tar.1")
    assert names(discover([argument], None)) == ["d/a.jsonl"]
    assert told(caplog) == [
        f"passed over in {quoted(argument)}: 6 files (1 .ZST, 1 .br, 1 .json.1, 1 .md, 1 .tar.1, 1 without an ending)"
    ]


def test_more_kinds_than_a_line_holds_are_counted_together(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("d/a.jsonl", *(f"d/{n}.{letter}" for letter in "pqrstuvw" for n in range(2)), "d/3.r")
    discover(["d"], None)
    assert told(caplog) == ["passed over in d: 17 files (3 .r, 2 .p, 2 .q, 2 .s, 2 .t, 2 .u, 4 other)"]


def test_hidden_files_and_folders_own_files_and_rejects_are_told(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("d/a.jsonl", "d/.DS_Store", "d/.a.jsonl.swp", "d/.git/config.json", "d/x.rejects.jsonl", "d/report.json")
    assert names(discover(["d"], None, ["d/report.json"])) == ["d/a.jsonl"]
    assert told(caplog) == [
        "passed over in d: 4 files (2 hidden, 1 rejects, 1 written by this run), 1 folder (1 hidden)"
    ]


def test_a_directory_without_anything_else_is_not_told(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("d/a.jsonl", "d/s/b.json")
    discover(["d"], None)
    discover(["d/*"], None)
    assert told(caplog) == []


@pytest.mark.parametrize("argument", ["d", "d/*"])
def test_a_directory_without_a_payload_says_what_it_has(tree: Path, argument: str) -> None:
    make("d/part-00000", "d/part-00001", "d/a.xls")
    with pytest.raises(SourceError, match=r"passed over: 3 files \(2 without an ending, 1 \.xls\)") as caught:
        discover([argument], None)
    assert "--format" in caught.value.hint


def test_an_ending_that_is_no_ending_does_not_fill_the_line(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("d/a.jsonl", f"d/a.{'x' * 100}", "d/Mr. Smith's notes", "d/new\n.li\nne")
    discover(["d"], None)
    assert told(caplog) == ["passed over in d: 3 files (2 other, 1 .li\\nne)"]


# --- --format on a directory ---------------------------------------------------------------------------------------

STRAYS = [
    *("README.md", "_SUCCESS", "a.jsonl.crc", "a.jsonl.tmp", "SHA256SUMS", "a.md5", "LICENSE", "x.parquet", "a.csv"),
    *("a.jsonl.br", "_committed_123", "a.jsonl~", "notes.pdf"),
]
PLAUSIBLE = [
    *("a.jsonl", "a.jsonl.1", "a.jsonlines", "a.json", "a.ndjson.gz", "a.txt", "a.log.2.gz", "a.txt.gz", "a.dat"),
    *(
        "part-00000",
        "part-r-00001",
        "part-00002.gz",
        "a.jsonl.zst",
        "part-00004.snappy",
        "part-00003-5d7b-c000",
        "000000_0",
        "export-000000000000",
    ),
]


@pytest.mark.parametrize("argument", ["d", "d/*", "d/**"])
@pytest.mark.parametrize("forced", ["jsonl", "json", "jsonl.gz"])
def test_a_format_does_not_make_input_of_each_stray_file(
    tree: Path, caplog: pytest.LogCaptureFixture, argument: str, forced: str
) -> None:
    make(*(f"d/{name}" for name in [*STRAYS, *PLAUSIBLE]))
    found = names(discover([argument], forced))
    assert sorted(found) == sorted(f"d/{name}" for name in PLAUSIBLE)
    (line,) = told(caplog)
    assert line.startswith(f"passed over in {quoted(argument)}: {len(STRAYS)} files (")


def test_a_format_makes_input_of_a_file_that_is_named(tree: Path) -> None:
    make(*STRAYS)
    assert names(discover(STRAYS, "jsonl")) == STRAYS


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("d/x*", ["d/xaa", "d/xab"]),
        ("d/*.csv", ["d/a.csv"]),
        ("d/*.tmp", ["d/x.tmp"]),
        ("d/[!a]*", ["d/part-00000", "d/xaa", "d/xab"]),
    ],
)
def test_a_pattern_that_chooses_files_makes_input_of_them_with_a_format(
    tree: Path, pattern: str, found: list[str]
) -> None:
    make("d/xaa", "d/xab", "d/xab.crc", "d/a.csv", "d/x.tmp", "d/part-00000", "d/part-00000.crc", "d/_SUCCESS")
    assert names(discover([pattern], "jsonl")) == found


# --- directory, glob and list agree --------------------------------------------------------------------------------


def by_shell(pattern: str) -> list[str]:
    """What a shell makes of a pattern."""
    return sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob finds hidden files too


def test_directory_glob_and_list_find_the_same_files(tree: Path) -> None:
    make(
        "d/b.jsonl", "d/a.json", "d/s/c.jsonl.gz", "d/s/t/e.jsonl.1", "d/.hidden.jsonl", "d/.git/x.json", "d/s/.y.json"
    )
    reject = Reject(Place("a.jsonl", 1, 0), Reason.of(ReasonCode.INVALID_JSON), b"x")
    Path("d/old.rejects.jsonl").write_bytes(reject.to_json())
    Path("d/link").symlink_to("s")
    Path("d/link.jsonl").symlink_to("b.jsonl")
    directory = names(discover(["d"], None))
    assert directory == ["d/a.json", "d/b.jsonl", "d/link/c.jsonl.gz", "d/link/t/e.jsonl.1"]
    for arguments in (["d/"], ["d/*"], ["d*"], ["./d"], by_shell("d/*"), by_shell("d*")):
        assert {Path(name) for name in names(discover(arguments, None))} == set(map(Path, directory))
    # Other names of the same files:
    assert {Path(name).resolve() for name in names(discover(["d/**"], None))} == {Path(n).resolve() for n in directory}


def test_directory_glob_and_list_find_the_same_files_with_a_format(tree: Path) -> None:
    make("d/part-00000", "d/part-00001", "d/s/a.txt")
    for arguments in (["d"], ["d/*"], by_shell("d/*")):
        assert sorted(names(discover(arguments, "jsonl"))) == ["d/part-00000", "d/part-00001", "d/s/a.txt"]


def test_what_a_directory_passes_over_is_an_error_if_it_is_named(tree: Path) -> None:
    make("d/a.jsonl", "d/README.md", "d/notes.txt")
    assert names(discover(["d"], None)) == names(discover(["d/*"], None)) == ["d/a.jsonl"]
    with pytest.raises(UsageError) as caught:
        discover(by_shell("d/*"), None)
    assert [line.split(":")[0] for line in caught.value.details] == ["d/README.md", "d/notes.txt"]
    skipping = Problems(skip=True)
    assert names(discover(by_shell("d/*"), None, problems=skipping)) == ["d/a.jsonl"]
    assert [problem.name for problem in skipping.skipped] == ["d/README.md", "d/notes.txt"]


# --- order ---------------------------------------------------------------------------------------------------------

ROTATED = [
    *("a.jsonl", "a.jsonl.1", "a.jsonl.2.gz", "a.jsonl.9", "a.jsonl.10", "a.jsonl.10.gz", "a.jsonl.11.gz"),
    *("a.jsonl-20251231", "a.jsonl-20260101.gz", "a.jsonl-20261128", "a.jsonl.20261129"),
    *("b.jsonl", "b.jsonl.2", "b.jsonl.100", "b.x.jsonl"),
]


@pytest.mark.parametrize("argument", ["d", "d/*", "d/?.*"])
def test_rotated_files_come_by_number_or_date_after_the_file_that_is_written(tree: Path, argument: str) -> None:
    shuffled = [f"d/{name}" for name in ROTATED]
    random.shuffle(shuffled)
    make(*shuffled)
    assert names(discover([argument], None)) == [f"d/{name}" for name in ROTATED]


@pytest.mark.parametrize("argument", ["d", "d/*"])
def test_other_files_come_by_name_as_before(tree: Path, argument: str) -> None:
    stems = {"".join(random.choices(string.ascii_letters + string.digits + "-_.", k=4)) for _ in range(300)}
    files = [f"d/a{stem}{ending}" for stem in stems for ending in random.sample([".jsonl", ".ndjson", ".json.gz"], 2)]
    make(*files)
    assert names(discover([argument], None)) == sorted(map(str, Path("d").iterdir()))


# --- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["d", "d/*"])
def test_a_linked_folder_is_entered(tree: Path, argument: str) -> None:
    make("d/a.jsonl", "elsewhere/b.jsonl", "elsewhere/deep/c.jsonl")
    Path("d/link").symlink_to("../elsewhere")
    assert names(discover([argument], None)) == ["d/a.jsonl", "d/link/b.jsonl", "d/link/deep/c.jsonl"]


@pytest.mark.parametrize("argument", ["d", "d/*"])
@pytest.mark.parametrize("target", [".", "..", "../s", "../../d"])
def test_a_loop_of_links_ends_and_is_told(
    tree: Path, caplog: pytest.LogCaptureFixture, argument: str, target: str
) -> None:
    make("d/a.jsonl", "d/s/b.jsonl")
    Path("d/s/loop").symlink_to(target)
    assert [Path(name).name for name in names(discover([argument], None))] == ["a.jsonl", "b.jsonl"]
    (line,) = told(caplog)
    assert "1 folder (1 reached twice)" in line or "1 file (1 reached twice)" in line


@pytest.mark.parametrize("argument", ["d", "d/*", "d/**"])
def test_what_a_loop_reaches_again_counts_once(tree: Path, caplog: pytest.LogCaptureFixture, argument: str) -> None:
    make("d/a.jsonl", "d/s/b.zst", "d/s/.hidden", "d/s/.folder/x.jsonl")
    Path("d/loop").symlink_to(".")
    assert names(discover([argument], None)) == ["d/a.jsonl"]
    (line,) = told(caplog)
    assert "1 .zst" in line and "1 hidden" in line


@pytest.mark.parametrize(
    "arguments", [["d"], ["d/*"], ["d/a.jsonl", "d/link.jsonl"], ["d/a.jsonl", "d/link.jsonl", "e"]]
)
def test_a_file_that_a_link_reaches_again_is_loaded_once_and_told(
    tree: Path, caplog: pytest.LogCaptureFixture, arguments: list[str]
) -> None:
    make("d/a.jsonl", "e/b.jsonl")
    Path("d/link.jsonl").symlink_to("a.jsonl")
    Path("e/c.jsonl").symlink_to("../d/a.jsonl")
    found = names(discover(arguments, None))
    assert found == ["d/a.jsonl", *(["e/b.jsonl"] if "e" in arguments else [])]
    assert len(told(caplog)) == 1 + ("e" in arguments)
    assert "link" in told(caplog)[0] or "1 reached twice" in told(caplog)[0]


def test_hard_links_are_files_of_their_own(tree: Path) -> None:
    make("a.jsonl")
    Path("b.jsonl").hardlink_to("a.jsonl")  # a tool that saves room may have made one file of two equal ones
    assert len(discover(["a.jsonl", "b.jsonl"], None)) == len(discover(["."], None)) == 2


@pytest.mark.parametrize("argument", ["d", "d/*", "d/gone.jsonl", "d/gone.*"])
@pytest.mark.parametrize("target", ["nothing.jsonl", "gone.jsonl", "a.jsonl/x"])
def test_a_link_to_nothing_is_told(tree: Path, argument: str, target: str) -> None:
    make("d/a.jsonl")
    Path("d/gone.jsonl").symlink_to(target)
    with pytest.raises(SourceError, match=r"d/gone\.jsonl: is a link that leads to no file"):
        discover([argument], None)
    skipping = Problems(skip=True)
    assert names(discover([argument], None, problems=skipping)) in (["d/a.jsonl"], [])
    assert [problem.name for problem in skipping.skipped] == ["d/gone.jsonl"]


def test_a_link_to_nothing_that_would_not_be_input_is_passed_over(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("d/a.jsonl")
    Path("d/latest").symlink_to("nothing")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind("d/socket")
    sock.close()
    assert names(discover(["d"], None)) == ["d/a.jsonl"]
    assert told(caplog) == ["passed over in d: 2 files (1 dangling link, 1 special file)"]


# --- names ---------------------------------------------------------------------------------------------------------


def test_a_name_that_is_a_pattern_too_is_taken_and_told(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("a[1].jsonl", "a1.jsonl", "*.jsonl")
    assert names(discover(["a[1].jsonl"], None)) == ["a[1].jsonl"]
    assert names(discover(["*.jsonl"], None)) == ["*.jsonl"]
    assert told(caplog) == [
        "a[1].jsonl is taken as a name; as a pattern it would match 1 other, such as a1.jsonl",
        "*.jsonl is taken as a name; as a pattern it would match 2 others, such as a1.jsonl",
    ]


@pytest.mark.parametrize("folder", ["runs[1]", "what?", "a*b", "[!a]"])
def test_a_pattern_in_a_folder_whose_name_looks_like_one_is_found(tree: Path, folder: str) -> None:
    make(f"{folder}/s/a.jsonl", f"{folder}/s/b.jsonl", "runs1/s/c.jsonl")
    expected = [f"{folder}/s/a.jsonl", f"{folder}/s/b.jsonl"]
    for pattern in (f"{folder}/s/*.jsonl", f"{folder}/*", f"{folder}/**/*.jsonl", f"./{folder}/s/?.jsonl"):
        assert [os.path.normpath(name) for name in names(discover([pattern], None))] == expected
    assert names(discover([folder], None)) == expected


def test_a_name_with_line_feeds_is_one_line_in_messages(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = "d\n1"
    make(f"{folder}/a\n\tb.jsonl", f"{folder}/c.txt")
    ((file,),) = (source.files for source in discover([folder], None))
    assert (file.path, file.name) == (Path(f"{folder}/a\n\tb.jsonl"), r"d\n1/a\n\tb.jsonl")
    assert told(caplog) == [r"passed over in d\n1: 1 file (1 .txt)"]
    for argument in ("no\nne.jsonl", "no\n*.jsonl", f"{folder}/c.txt"):
        with pytest.raises(LoaderError) as caught:
            discover([argument], None)
        assert "\n" not in str(caught.value)


# --- all problems at once ------------------------------------------------------------------------------------------


def test_everything_that_cannot_be_found_is_told_at_once(tree: Path) -> None:
    make("a.jsonl", "notes.txt", "empty/x.md")
    arguments = ["gone.jsonl", "a.jsonl", "none*.jsonl", "notes.txt", "empty"]
    with pytest.raises(SourceError) as caught:
        discover(arguments, None)
    assert str(caught.value).splitlines() == [
        "4 of 5 inputs cannot be loaded:",
        "  gone.jsonl: no such file or directory",
        "  none*.jsonl: no file matches",
        "  notes.txt: its name has no known ending",
        "  empty: no payload file in this directory (passed over: 1 file (1 .md))",
        "Correct these inputs, or leave them out; --skip-bad-files loads the rest",
    ]


@pytest.fixture
def ordinary(tree: Path) -> Iterator[None]:
    """An ordinary user, since root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    tree.chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("ordinary")
def test_a_folder_that_cannot_be_listed_is_told_and_does_not_hide_the_others(tree: Path) -> None:
    make("d/a.jsonl", "d/s/b.jsonl", "d/t/c.jsonl")
    Path("d/s").chmod(0)
    try:
        with pytest.raises(SourceError, match="d/s: this directory cannot be listed: Permission denied"):
            discover(["d"], None)
        with pytest.raises(SourceError, match="no file matches: d/s: Permission denied"):
            discover(["d/s/*.jsonl"], None)
        assert names(discover(["d"], None, problems=Problems(skip=True))) == ["d/a.jsonl", "d/t/c.jsonl"]
    finally:
        Path("d/s").chmod(0o700)
