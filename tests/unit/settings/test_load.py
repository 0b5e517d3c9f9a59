"""Options out of range are refused, naming the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader.errors import UsageError
from loader.settings import LoadOptions, is_job_name, settled
from loader.tasks.profiles import LayoutName

LAYOUTS: tuple[LayoutName, ...] = ("documented", "asynq")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"batch_size": 0}, "--batch-size must be between 1 and 100000, not 0"),
        ({"batch_size": 100_001}, "--batch-size must be between 1 and 100000, not 100001"),
        ({"workers": 0}, "--workers must be between 1 and 256, not 0"),
        ({"workers": 257}, "--workers must be between 1 and 256, not 257"),
        ({"processes": 0}, "--processes must be between 1 and 256, or auto, not 0"),
        ({"processes": 257}, "--processes must be between 1 and 256, or auto, not 257"),
        ({"queue_depth": 0}, "--queue-depth must be at least 1"),
        ({"max_record_bytes": 0}, "--max-record-bytes must be at least 1"),
        ({"max_retry": -1}, "--max-retry must be between"),
        ({"max_retry": 2**31}, "--max-retry must be between"),
        ({"timeout": 0.0}, "--timeout must be above 0"),
        ({"timeout": float("nan")}, "--timeout must be above 0"),
        ({"retry_for": -0.1}, "--retry-for must not be negative"),
        ({"max_errors": -1}, "--max-errors must not be negative"),
        ({"max_errors": "-1"}, "--max-errors must not be negative"),
        ({"max_errors": "-5%"}, "--max-errors must not be negative"),
        ({"max_errors": "101%"}, "--max-errors must be a share of at most 100%, not '101%'"),
        ({"max_errors": "0.5"}, "--max-errors must be a count such as 100, a share such as 5%, or none, not '0.5'"),
        ({"max_errors": "5%%"}, "--max-errors must be a count such as 100, a share such as 5%, or none, not '5%%'"),
        ({"max_errors": "1_000"}, "--max-errors must be a count"),
        ({"max_errors": ""}, "--max-errors must not be empty"),
        ({"max_errors": 0.5}, "--max-errors must be a count such as 100, a share such as 5%, or none, not 0.5"),
        ({"max_errors": True}, "--max-errors must be a count"),
        ({"accept_any_json": True, "to": "http://localhost:3000"}, "--accept-any-json and --to contradict"),
        ({"id_field": ""}, "--id-field must not be empty"),
        ({"queue_field": ""}, "--queue-field must not be empty"),
        ({"type": ""}, "--type must not be empty"),
        ({"type": "a\nb"}, "--type must not hold control characters"),
        ({"type": "caf\udce9"}, "--type"),
        ({"job": ""}, "--job must not be empty"),
        ({"job": "a b"}, "--job may hold"),
        ({"job": "a/b"}, "--job may hold"),
        ({"job": "x" * 101}, "--job may hold"),
        ({"queue": "a..b"}, "queue name 'a..b'"),
        ({"queue": None}, "no queue given"),
        ({"workers": 2.0}, "--workers must be a whole number, not 2.0"),
        ({"workers": True}, "--workers must be a whole number, not True"),
        ({"workers": "2"}, "--workers must be a whole number, not '2'"),
        ({"workers": None}, "--workers must be a whole number, not None"),
        ({"max_retry": 2.7}, "--max-retry must be a whole number, not 2.7"),
        ({"processes": "many"}, "--processes must be a whole number or 'auto', not 'many'"),
        ({"timeout": "soon"}, "--timeout must be a duration, not 'soon'"),
        ({"dry_run": 1}, "--dry-run must be True or False, not 1"),
        ({"queue": b"q"}, "--queue must be text, not b'q'"),
        ({"header": "A=B"}, "--header must be a list of text, not 'A=B'"),
        ({"header": (1,)}, "--header must be text, not 1"),
        ({"rejects": 3}, "--rejects must be a path, not 3"),
        ({"queue_check": "Redis"}, "--queue-check must be one of 'none', 'redis', not 'Redis'"),
        ({"layout": "asnyq"}, "--layout must be one of 'auto', 'documented', 'asynq', not 'asnyq'"),
        ({"on_conflict": "ignore"}, "--on-conflict must be one of 'fail', 'skip', not 'ignore'"),
        ({"layout": "asynq", "unique_ttl": 0.5}, "--unique-ttl must be a duration, not 0.5"),
        ({"layout": "asynq", "retention": "soon"}, "--retention: 'soon' is no duration"),
        ({"embedded_dir": Path("data")}, "--embedded-dir needs --redis embedded"),
    ],
)
def test_a_value_that_cannot_work_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        LoadOptions(**{"queue": "q", **fields}).check()
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"queue": None, "queue_field": "queue"},
        {"batch_size": 1, "workers": 1, "queue_depth": 1, "max_record_bytes": 1},
        {"batch_size": 100_000, "workers": 256},
        {"processes": 256},
        {"processes": "auto"},
        {"max_retry": 0},
        {"max_retry": 2**31 - 1},
        {"retry_for": 0.0, "max_errors": 0},
        {"job": "Load_2024-01.02"},
        {"type": "résumé: 雪"},
        {"redis": "embedded", "embedded_dir": Path("data")},
    ],
)
def test_values_at_the_edge_are_accepted(fields: dict[str, Any]) -> None:
    LoadOptions(**{"queue": "q", **fields}).check()


def test_the_default_queue_has_its_full_name() -> None:
    assert LoadOptions(queue="q").default_queue == "q.default"
    assert LoadOptions(queue_field="f").default_queue is None


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("x" * 100, True),
        ("", False),
        ("é", False),
        ("٣", False),
        ("a:b", False),
        ("a{b}", False),
        ("a\n", False),
    ],
)
def test_a_job_name_fits_into_keys_connection_names_and_file_names(name: str, good: bool) -> None:
    assert is_job_name(name) is good


# --- the layout, before and after it is chosen ----------------------------------------------------------------------

ASYNQ_ONLY: list[dict[str, Any]] = [
    {"task_timeout": 5},
    {"deadline": "2030-01-01T00:00:00Z"},
    {"retention": "1h"},
    {"header": ("a=b",)},
    {"unique_ttl": 60},
    {"process_in": 60},
    {"pending_timeout": 60},
    {"profile": "asynq", "type": "t"},
]


@pytest.mark.parametrize("fields", ASYNQ_ONLY, ids=lambda fields: next(iter(fields)))
def test_an_option_of_the_asynq_layout_is_accepted_by_auto_and_refused_by_the_other(fields: dict[str, Any]) -> None:
    options = LoadOptions(queue="q", **fields)
    options.check()
    assert options.layout_without_server == "asynq"
    assert options.defaults == settled(options, "asynq").defaults
    assert options.task_options == settled(options, "asynq").task_options
    assert options.default_queue == settled(options, "asynq").default_queue
    with pytest.raises(UsageError, match="needs --layout asynq"):
        LoadOptions(queue="q", layout="documented", **fields).check()


@pytest.mark.parametrize("fields", [{}, {"profile": "runqy"}, {"type": "t", "max_retry": 1}, {"envelope": True}])
def test_other_options_leave_the_choice_open_and_the_queues_name_is_final(fields: dict[str, Any]) -> None:
    options = LoadOptions(queue="q", **fields)
    options.check()
    assert (options.implied_layout, options.layout_without_server) == (None, "documented")
    assert options.task_options == settled(options, "documented").task_options
    assert {settled(options, layout).default_queue for layout in LAYOUTS} == {options.default_queue}


def test_only_settled_options_have_a_layout() -> None:
    with pytest.raises(RuntimeError, match="not chosen"):
        LoadOptions(queue="q").layout_name  # noqa: B018 - raises
    for layout in LAYOUTS:
        assert settled(LoadOptions(queue="q"), layout).layout_name == layout


def test_over_http_no_layout_is_needed() -> None:
    options = LoadOptions(queue="q", to="http://localhost:3000", task_timeout=5)
    options.check()
    assert options.implied_layout is None
