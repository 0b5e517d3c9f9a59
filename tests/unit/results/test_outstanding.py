"""The ids that are waited for, and how a result is written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.results.outstanding import GONE, Waiting, WaitingIds
from loader.results.result import TaskResult


@pytest.fixture
def waiting() -> Iterator[WaitingIds]:
    ids = WaitingIds()
    yield ids
    ids.close()


def pages(waiting: WaitingIds, size: int, *, gone: bool = False) -> list[Waiting]:
    found: list[Waiting] = []
    while page := waiting.page(found[-1].id if found else "", size, gone=gone):
        found += page
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)), st.integers(1, 7))
def test_each_id_is_kept_once_and_pages_hold_all(ids: list[str], size: int) -> None:
    waiting = WaitingIds()

    waiting.add(Waiting(task_id, f"q{n % 3}", False, None) for n, task_id in enumerate(ids))
    waiting.drop(ids[:2])

    assert sorted(task.id for task in pages(waiting, size)) == sorted(set(ids) - set(ids[:2]))
    assert waiting.count == len(set(ids) - set(ids[:2]))
    waiting.close()


def test_what_is_learnt_is_kept_and_those_that_are_gone_can_be_asked_for(waiting: WaitingIds) -> None:
    tasks = [Waiting(name, None, False, None) for name in "abc"]
    waiting.add(tasks)

    waiting.update([tasks[1]._replace(queue="q", known=True, state=GONE)])
    waiting.add([tasks[1]])

    assert pages(waiting, 9) == [tasks[0], Waiting("b", "q", True, GONE), tasks[2]]
    assert pages(waiting, 9, gone=True) == [Waiting("b", "q", True, GONE)]
    assert waiting.count == 3


@given(st.binary())
def test_any_result_is_one_line_and_is_read_back(content: bytes) -> None:
    line = TaskResult("a", "completed", result=content).to_json()

    assert line.endswith(b"\n") and line.count(b"\n") == 1 and b"\r" not in line
    read = json.loads(line)
    if "result_base64" in read:
        assert base64.b64decode(read["result_base64"]) == content
    else:
        assert read["result"] == json.loads(content)


def test_json_is_kept_as_it_stands_but_for_line_breaks() -> None:
    line = TaskResult("a", "completed", result=b'{"a":\r\n 1.10,"b":"\\n"}').to_json()

    assert line == b'{"id":"a","status":"completed","result":{"a":   1.10,"b":"\\n"}}\n'
