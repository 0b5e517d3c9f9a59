"""Options out of range are refused, naming the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader.errors import UsageError
from loader.settings import LoadOptions, is_job_name


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"batch_size": 0}, "--batch-size must be at least 1, not 0"),
        ({"batch_size": 100_001}, "--batch-size must be at most 100000"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"workers": 257}, "--workers must be at most 256"),
        ({"processes": 0}, "--processes must be 1 to 256, or auto"),
        ({"processes": 257}, "--processes must be 1 to 256, or auto"),
        ({"queue_depth": 0}, "--queue-depth must be at least 1"),
        ({"max_record_bytes": 0}, "--max-record-bytes must be at least 1"),
        ({"max_retry": -1}, "--max-retry must be between"),
        ({"max_retry": 2**31}, "--max-retry must be between"),
        ({"timeout": 0.0}, "--timeout must be above 0"),
        ({"timeout": float("nan")}, "--timeout must be above 0"),
        ({"retry_for": -0.1}, "--retry-for must not be negative"),
        ({"max_errors": -1}, "--max-errors must not be negative"),
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
