"""Why records and tasks are set aside: codes that programs can count on, with a text for people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loader.tasks.reasons import Reason, ReasonCode, UnusableRecordError
from tests.unit.crossing import crossed

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"


def documented() -> list[str]:
    """The codes of the tables of reasons."""
    section = REFERENCE.read_text().split("### Why a record is rejected\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| [^|]+ \|$", section, re.MULTILINE)


def test_each_code_is_documented_once_and_no_other() -> None:
    assert sorted(documented()) == sorted(ReasonCode)


@pytest.mark.parametrize("code", ReasonCode)
def test_a_code_is_in_snake_case_and_has_a_meaning_of_its_own(code: ReasonCode) -> None:
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code)
    assert [other for other in ReasonCode if other.meaning == code.meaning] == [code]
    assert code.meaning.isprintable() and code.meaning


@pytest.mark.parametrize("code", ReasonCode)
def test_a_reason_without_a_text_of_its_own_says_what_its_code_means(code: ReasonCode) -> None:
    assert Reason.of(code) == Reason(code, code.meaning)


@pytest.mark.parametrize("code", ReasonCode)
def test_a_reason_crosses_processes(code: ReasonCode) -> None:
    reason, _ = crossed(Reason(code, "why"))
    assert reason == Reason(code, "why")
    assert reason.code is code and reason.code.meaning == code.meaning


def test_only_a_task_that_is_there_already_is_a_conflict() -> None:
    assert {code for code in ReasonCode if code.is_conflict} == {"id_taken", "duplicate_unique"}


def test_an_unusable_record_tells_why_as_a_value_and_as_its_text() -> None:
    error = UnusableRecordError(ReasonCode.BAD_ID, "the task id is empty")
    assert (str(error), error.reason) == ("the task id is empty", Reason(ReasonCode.BAD_ID, "the task id is empty"))
