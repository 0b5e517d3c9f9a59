"""The rejects file: each bad record once, nothing ever lost from it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from loader.errors import JobBusyError, LoaderError
from loader.jobs.proof import Proof
from loader.jobs.rejects import RejectsFile
from loader.outputs.lines import repair_lines
from loader.sources.base import Place
from loader.sources.validate import Reject
from loader.tasks.reasons import Reason, ReasonCode

INVALID = Reason.of(ReasonCode.INVALID_JSON)


def reject(line: int, record: bytes = b"bad") -> Reject:
    return Reject(Place("in.jsonl", line, 10 * line), INVALID, record)


def write(path: Path, *batches: Sequence[Reject]) -> RejectsFile:
    """One run that rejects these batches."""

    async def run() -> RejectsFile:
        repair_lines(path)
        file = RejectsFile(path)
        for batch in batches:
            await file.add(batch)
        file.close()
        return file

    return asyncio.run(run())


def lines(path: Path) -> list[int]:
    return [json.loads(line)["line"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.rejects.jsonl"


def test_without_rejects_there_is_no_file(path: Path) -> None:
    assert not write(path, [], []).used
    assert not path.exists()


def test_each_reject_is_a_line(path: Path) -> None:
    assert write(path, [reject(1), reject(2)], [reject(9, b"\xff")]).used
    assert path.read_bytes() == reject(1).to_json() + reject(2).to_json() + reject(9, b"\xff").to_json()


def test_a_reject_is_in_the_file_as_soon_as_it_is_added(path: Path) -> None:
    async def run() -> None:
        file = RejectsFile(path)
        await file.add([reject(1)])
        assert lines(path) == [1]
        file.close()

    asyncio.run(run())


def test_a_resume_adds_only_what_is_not_there_yet(path: Path) -> None:
    write(path, [reject(1), reject(2, b"\xff\xfe")])

    second = write(path, [reject(1), reject(2, b"\xff\xfe")], [reject(3)])

    assert lines(path) == [1, 2, 3]
    assert second.used


def test_a_resume_that_meets_known_rejects_only_still_names_the_file(path: Path) -> None:
    write(path, [reject(1)])
    assert write(path, [reject(1)]).used
    assert lines(path) == [1]


def test_equal_records_on_other_lines_or_of_other_files_are_kept_apart(path: Path) -> None:
    write(path, [reject(1), reject(2)])
    elsewhere = Reject(Place("other.jsonl", 1, 10), INVALID, b"bad")
    write(path, [reject(1), reject(2), elsewhere])
    assert [json.loads(line)["source"] for line in path.read_text().splitlines()] == ["in.jsonl"] * 2 + ["other.jsonl"]


def test_another_reason_for_the_same_record_is_another_reject(path: Path) -> None:
    write(path, [reject(1)])
    write(path, [Reject(Place("in.jsonl", 1, 10), Reason.of(ReasonCode.ID_TAKEN), b"bad")])
    assert lines(path) == [1, 1]


@pytest.mark.parametrize("cut", [1, 2, 20, 60])
def test_a_line_torn_by_a_crash_is_written_again_whole_and_runs_into_no_other(path: Path, cut: int) -> None:
    write(path, [reject(1), reject(2)])
    torn = path.read_bytes()[:-cut]
    path.write_bytes(torn)

    write(path, [reject(1), reject(2), reject(3)])

    assert path.read_bytes() == b"".join(reject(n).to_json() for n in (1, 2, 3))


def test_a_torn_line_that_is_all_there_is_or_longer_than_what_is_read_at_once_is_cut_off(path: Path) -> None:
    for kept in (b"", reject(1).to_json()):
        path.write_bytes(kept + b'{"record":"' + b"x" * 200_000)
        repair_lines(path)
        assert path.read_bytes() == kept


def test_a_run_that_may_not_write_any_more_writes_no_reject(path: Path) -> None:
    async def taken_over() -> None:
        raise JobBusyError("taken over")

    async def run() -> None:
        file = RejectsFile(path, Proof(taken_over, lambda: False))
        try:
            await file.add([reject(1)])
        finally:
            file.close()

    with pytest.raises(JobBusyError):
        asyncio.run(run())
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "foreign", [b"notes of mine", b"[1, 2]\n", b"7\n", b'{"a": 1}\n', b'{"record": ["a"]}\n', b"\xff\n"]
)
def test_lines_that_are_not_the_loaders_stay_as_they_are(path: Path, foreign: bytes) -> None:
    path.write_bytes(foreign)
    write(path, [reject(1)])
    assert path.read_bytes() == foreign.removesuffix(b"\n") + b"\n" + reject(1).to_json()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_file_that_cannot_be_written_is_told_by_name(tmp_path: Path, resumed: bool) -> None:
    for path in (tmp_path, tmp_path / "no" / "such.jsonl"):
        with pytest.raises(LoaderError, match=r"rejects file .* cannot be written") as caught:
            write(path, [reject(1)])
        assert str(path) in str(caught.value)


def test_no_path_keeps_no_rejects() -> None:
    async def run() -> RejectsFile:
        file = RejectsFile(None)
        await file.add([reject(1)])
        file.close()
        return file

    assert not asyncio.run(run()).used


def as_the_first_version_wrote(reject: Reject) -> bytes:
    """A line without its code."""
    fields = {"source": reject.at.name, "line": reject.at.line, "byte_offset": reject.at.byte_offset}
    try:
        content = {"record": reject.record.decode()}
    except UnicodeDecodeError:
        content = {"record": base64.b64encode(reject.record).decode(), "encoding": "base64"}
    return json.dumps({**fields, "reason": reject.why.text, **content}).encode() + b"\n"


def test_what_an_earlier_version_has_written_is_not_written_again(path: Path) -> None:
    before = as_the_first_version_wrote(reject(1)) + as_the_first_version_wrote(reject(2, b"\xff"))
    path.write_bytes(before)

    write(path, [reject(1), reject(2, b"\xff"), reject(3)])

    assert path.read_bytes() == before + reject(3).to_json()


def test_each_line_holds_the_code_of_its_reason(path: Path) -> None:
    write(path, [Reject(Place("in.jsonl", 1, 0), Reason.of(code), b"bad") for code in ReasonCode])
    assert [json.loads(line)["code"] for line in path.read_text().splitlines()] == [code.value for code in ReasonCode]
