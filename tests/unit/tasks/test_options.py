"""A task's options: what stands for none, and what a job records of them."""

from __future__ import annotations

import orjson
import pytest

from loader.settings import LoadOptions
from loader.tasks.options import LIFECYCLE, TaskOptions

ASYNQ: dict[str, object] = {"queue": "q", "layout": "asynq"}


def of_load(**given: object) -> TaskOptions:
    return LoadOptions(**{**ASYNQ, **given}).task_options  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LIFECYCLE)
@pytest.mark.parametrize("zero", [0, "0", "0s"])
def test_zero_of_the_lifecycle_is_given_and_absent_is_not(name: str, zero: int | str) -> None:
    assert of_load(**{name: zero}).lifecycle == [(name, 0)]
    assert of_load().lifecycle == []


@pytest.mark.parametrize(
    ("given", "timeout", "deadline", "retention", "max_retry"),
    [
        ({}, 30, 0, 86_400, 3),
        ({"task_timeout": 0}, 0, 0, 86_400, 3),
        ({"deadline": "0"}, 30, 0, 86_400, 3),
        ({"deadline": "9"}, 0, 9, 86_400, 3),
        ({"retention": 0}, 30, 0, 0, 3),
        ({"max_retry": 0}, 30, 0, 86_400, 0),
    ],
)
def test_zero_takes_the_place_of_the_profiles_default_and_a_deadline_of_zero_is_none(
    given: dict[str, object], timeout: int, deadline: int, retention: int, max_retry: int
) -> None:
    own = of_load(**given)
    assert (own.timeout, own.deadline, own.retention, own.max_retry) == (timeout, deadline, retention, max_retry)


@pytest.mark.parametrize("given", [{"process_in": 0}, {"process_at": "0"}, {"unique_ttl": 0}])
def test_zero_of_a_start_or_a_lock_is_none(given: dict[str, object]) -> None:
    assert of_load(**given) == of_load()


@pytest.mark.parametrize("name", LIFECYCLE)
def test_a_job_records_zero_and_absent_as_two_things(name: str) -> None:
    assert of_load().recorded()[name] is None
    assert of_load(**{name: 0}).recorded()[name] == 0
    assert of_load(**{name: 60}).recorded()[name] == 60


def test_what_a_job_records_is_json_and_names_what_a_load_can_set() -> None:
    recorded = of_load(header=("a=b",)).recorded()
    assert orjson.loads(orjson.dumps(recorded))["headers"] == [["a", "b"]]
    assert set(recorded) == {
        *("type", "max_retry", "timeout", "deadline", "retention", "headers", "unique_ttl", "process_at"),
        *("process_in", *LIFECYCLE),
    }
