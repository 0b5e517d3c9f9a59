"""Problems of inputs: collected, told in one error or skipped."""

from __future__ import annotations

import pytest

from loader.errors import LoaderError, SourceError, UsageError
from loader.sources.problems import Problem, Problems


def collected(*found: Problem, skip: bool = False) -> Problems:
    problems = Problems(skip=skip)
    for problem in found:
        problems.add(problem)
    return problems


GONE = Problem("a.jsonl", "no such file", "Check the path")
UNKNOWN = Problem("b.txt", "its name has no known ending", "Give --format", UsageError)


@pytest.mark.parametrize("good", [0, 3])
@pytest.mark.parametrize("skip", [False, True])
def test_without_problems_nothing_is_raised(good: int, skip: bool) -> None:
    collected(skip=skip).settle(good)


def test_one_problem_is_one_line() -> None:
    with pytest.raises(SourceError) as caught:
        collected(GONE).settle(0)
    assert str(caught.value) == "a.jsonl: no such file. Check the path"


def test_the_way_to_load_the_rest_is_told_if_there_is_a_rest() -> None:
    with pytest.raises(SourceError, match=r"a\.jsonl: no such file\. Check the path; --skip-bad-files loads the rest"):
        collected(GONE).settle(1)


def test_many_problems_are_a_line_each() -> None:
    with pytest.raises(SourceError) as caught:
        collected(GONE, UNKNOWN).settle(5)
    assert str(caught.value).splitlines() == [
        "2 of 7 inputs cannot be loaded:",
        "  a.jsonl: no such file",
        "  b.txt: its name has no known ending",
        "Correct these inputs, or leave them out; --skip-bad-files loads the rest",
    ]


def test_very_many_problems_do_not_fill_the_screen() -> None:
    with pytest.raises(SourceError) as caught:
        collected(*(Problem(f"{n}", f"{n} is gone", "Look") for n in range(1234))).settle(0)
    lines = str(caught.value).splitlines()
    assert (lines[0], lines[-2:]) == ("none of the 1,234 inputs can be loaded:", ["  … and 1,184 more", "Look"])
    assert len(lines) == 53


def test_inputs_with_the_same_fault_are_one_line_and_the_most_frequent_fault_is_the_first() -> None:
    arrays = [Problem(f"{n}.json", "looks like an array", f"Convert {n}", SourceError, "--format x") for n in range(7)]
    with pytest.raises(SourceError) as caught:
        collected(GONE, *arrays).settle(1)
    assert str(caught.value).splitlines() == [
        "8 of 9 inputs cannot be loaded:",
        "  0.json, 1.json, 2.json, 3.json, 4.json, … (7 files): looks like an array (--format x)",
        "  a.jsonl: no such file",
        "Correct these inputs, or leave them out; --skip-bad-files loads the rest",
    ]
    with pytest.raises(SourceError, match=r"Convert 0$"):
        collected(*arrays).settle(0)


@pytest.mark.parametrize(
    ("found", "kind"), [([UNKNOWN, UNKNOWN], UsageError), ([UNKNOWN, GONE], SourceError), ([UNKNOWN], UsageError)]
)
def test_it_is_wrong_use_only_if_all_of_it_is(found: list[Problem], kind: type[LoaderError]) -> None:
    with pytest.raises(LoaderError) as caught:
        collected(*found).settle(1)
    assert type(caught.value) is kind


def test_problems_are_skipped_if_that_is_wanted_and_something_is_left(caplog: pytest.LogCaptureFixture) -> None:
    problems = collected(GONE, UNKNOWN, skip=True)
    problems.settle(1)
    assert problems.skipped == (GONE, UNKNOWN)
    assert [record.getMessage() for record in caplog.records] == [
        "going on without 2 of 3 inputs, which cannot be loaded"
    ]
    with pytest.raises(SourceError, match="none of the 2 inputs can be loaded"):
        problems.settle(0)


@pytest.mark.parametrize(
    ("message", "what"),
    [("a is gone", "is gone"), ("a: is gone", "is gone"), ("other words", "other words"), ("aa is gone", "aa is gone")],
)
def test_the_problem_of_an_error_does_not_repeat_the_name(message: str, what: str) -> None:
    assert Problem.of("a", SourceError(message, "Look")) == Problem("a", what, "Look")
