"""Loads of Parquet and Arrow: from rows to tasks, rejects with their row groups, several processes, resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = 3000


def table(rows: int = ROWS) -> Any:
    return pa.table({"n": pa.array(range(rows)), "x": pa.array([number / 2 for number in range(rows)])})


def tasks(rows: int = ROWS) -> list[bytes]:
    return [b'{"n":%d,"x":%b}' % (n, repr(n / 2).encode()) for n in range(rows)]


def feather(content: Any, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, content.schema) as writer:
        writer.write_table(content, max_chunksize=700)


@pytest.mark.parametrize(("name", "write"), [("in.parquet", pq.write_table), ("in.feather", feather)])
def test_each_row_becomes_a_task_and_a_resume_finds_all_in(tool: Tool, db: Redis, name: str, write: Any) -> None:
    write(table(), tool.folder / name)
    done, again = (tool.load(name, "-q", "q", "-w", "1", "-b", "128") for _ in range(2))
    assert_fine(done)
    assert (counts(done), counts(again)) == ((ROWS, ROWS, 0, 0), (ROWS, 0, ROWS, 0))
    assert payloads(db, "q.default") == tasks()
    (source,) = done.report["sources"]
    assert source["format"] == name.partition(".")[2]


def test_other_row_groups_are_another_file_but_the_same_tasks(tool: Tool, db: Redis) -> None:
    for number, size in enumerate((100, 1000)):
        pq.write_table(table(), tool.folder / f"{number}.parquet", row_group_size=size)
        assert_fine(tool.load(f"{number}.parquet", "-q", f"q{number}", "-w", "1"))
    assert payloads(db, "q0.default") == payloads(db, "q1.default")


def test_processes_share_row_groups(tool: Tool, db: Redis) -> None:
    wide = pa.table({"n": pa.array(range(40)), "text": pa.array([f"{n}" * 500_000 for n in range(10, 50)])})
    pq.write_table(wide, tool.folder / "in.parquet", row_group_size=5, compression="none", use_dictionary=False)
    done = tool.load("in.parquet", "-q", "q", "-p", "2")
    assert_fine(done)
    assert (done.report["processes"], done.report["loaded"]) == (2, 40)
    assert sorted(json.loads(payload)["n"] for payload in payloads(db, "q.default")) == list(range(40))
    again = tool.load("in.parquet", "-q", "q", "-p", "1")
    assert counts(again) == (40, 0, 40, 0)


def test_a_rejected_row_is_told_by_its_row_group(tool: Tool, db: Redis) -> None:
    values = [1.0] * 250
    values[216] = float("nan")
    pq.write_table(pa.table({"x": values}), tool.folder / "in.parquet", row_group_size=100)
    done = tool.load("in.parquet", "-q", "q", "--nan", "reject", "--job", "j")
    assert_fine(done, 3)
    assert counts(done) == (250, 249, 0, 1)
    (reject,) = rejects(tool, done)
    assert reject == {
        "source": "in.parquet",
        "line": 217,
        "byte_offset": None,
        "place": "row group 3, row 17",
        "code": "bad_value",
        "reason": "JSON has no value for NaN",
        "record": '{"x":NaN}',
    }
    assert done.report["rejected_examples"][0]["place"] == "in.parquet: row group 3, row 17"
    again = tool.load("in.parquet", "-q", "q", "--nan", "reject", "--job", "j")
    assert counts(again) == (250, 0, 249, 1)
    assert len(rejects(tool, again)) == 1


def test_a_row_over_the_limit_is_a_reject(tool: Tool) -> None:
    pq.write_table(pa.table({"x": ["a", "b" * 2000, "c"]}), tool.folder / "in.parquet")
    done = tool.load("in.parquet", "-q", "q", "--max-record-bytes", "1000")
    assert_fine(done, 3)
    assert [(one["line"], one["code"]) for one in rejects(tool, done)] == [(2, "too_large")]


def test_another_file_of_the_same_name_is_not_the_same_job(tool: Tool) -> None:
    pq.write_table(table(), tool.folder / "in.parquet")
    assert_fine(tool.load("in.parquet", "-q", "q", "--job", "j"))
    pq.write_table(table(ROWS + 1), tool.folder / "in.parquet")
    assert_error(
        tool.load("in.parquet", "-q", "q", "--job", "j"), 1, "job j was begun with other content in in.parquet"
    )


def test_a_damaged_file_is_one_line_and_may_be_skipped(tool: Tool, db: Redis) -> None:
    pq.write_table(table(), tool.folder / "in.parquet")
    (tool.folder / "bad.parquet").write_bytes((tool.folder / "in.parquet").read_bytes()[:1000])
    assert_error(tool.load("bad.parquet", "-q", "q"), 1, "bad.parquet cannot be read: ", "It is damaged or cut off")
    done = tool.load("bad.parquet", "in.parquet", "-q", "q", "--skip-bad-files")
    assert (done.status, done.report["loaded"]) == (3, ROWS)
    assert [file["name"] for file in done.report["skipped_files"]] == ["bad.parquet"]


def test_standard_input_is_refused(tool: Tool) -> None:
    assert_error(tool.load("-", "-q", "q", "--format", "parquet", stdin=b"PAR1"), 2, "Its end is read first: save it")
