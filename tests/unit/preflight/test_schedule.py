"""Tasks with a start time: every combination of consumers, for one queue and for several."""

from __future__ import annotations

import time
from typing import Any

import pytest

from loader.preflight.consumers import Consumer
from loader.preflight.intended import IntendedLoad
from loader.preflight.schedule import forwarded_queues, schedule_finding
from loader.preflight.usage import QueueSigns, Usage
from loader.settings import LoadOptions

Q, R = "q.default", "r.default"
SERVER = Consumer("asynq:1", "asynq", frozenset({Q}), forwards=True)
WORKER = Consumer("runqy:2", "asynq", frozenset({Q}))
ELSEWHERE = Consumer("asynq:3", "asynq", frozenset({R}), forwards=True)
UNKNOWN = Consumer("asynq:4", "asynq", None, forwards=True)
PLAIN = {"profile": "asynq", "type": "t"}
LATER = {"process_in": "1h"}
BY_RECORD = {"queue": None, "queue_field": "f"}


def load(known: set[str] | None = None, **fields: Any) -> IntendedLoad:
    return IntendedLoad(LoadOptions(layout="asynq", **{"queue": Q, **fields}), "job", known)


def usage(load: IntendedLoad, *living: Consumer) -> Usage:
    return Usage([QueueSigns(queue) for queue in load.queues], list(living))


@pytest.mark.parametrize(
    ("fields", "living", "level"),
    [
        (LATER, [], "error"),
        (LATER, [WORKER], "error"),
        (LATER, [ELSEWHERE], "error"),
        (LATER, [SERVER], "ok"),
        (LATER, [SERVER, WORKER], "ok"),
        (LATER, [UNKNOWN], "ok"),
        ({"process_at": "2100-01-01T00:00:00Z"}, [WORKER], "error"),
        ({"process_at": "2000-01-01T00:00:00Z"}, [WORKER], None),  # such tasks are not scheduled
        ({}, [WORKER], None),
        ({**LATER, **PLAIN}, [], None),  # its servers are to come
        ({**LATER, **PLAIN}, [WORKER], "error"),
        ({**LATER, **PLAIN}, [SERVER], "ok"),
        ({**LATER, "force_schedule": True}, [WORKER], "warning"),
        ({**LATER, **BY_RECORD}, [WORKER], "error"),
        ({**LATER, **BY_RECORD}, [ELSEWHERE], "warning"),
        ({**LATER, **PLAIN, **BY_RECORD}, [ELSEWHERE], "ok"),
    ],
)
def test_a_start_time_is_refused_where_nothing_would_run_the_tasks(
    fields: dict[str, Any], living: list[Consumer], level: str | None
) -> None:
    some = load(**fields)
    found = schedule_finding(some, usage(some, *living), time.time())
    assert (None if found is None else found.level) == level
    if found is not None:
        assert found.name == "schedule"
        assert ("--force-schedule" in str(found)) == (level == "error" or "force_schedule" in fields)


@pytest.mark.parametrize(("living", "level"), [([SERVER], "warning"), ([], "error"), ([SERVER, ELSEWHERE], "ok")])
def test_known_queues_are_looked_at_one_by_one(living: list[Consumer], level: str) -> None:
    some = load({Q, R}, **BY_RECORD, **LATER)
    found = schedule_finding(some, usage(some, *living), time.time())
    assert found is not None and found.level == level
    assert (R in found.text) == (level == "warning")


@pytest.mark.parametrize(
    ("fields", "living", "queues"),
    [
        ({}, [], frozenset()),
        ({}, [WORKER], frozenset()),
        ({}, [SERVER, ELSEWHERE], frozenset({Q, R})),
        ({}, [SERVER, UNKNOWN], None),
        (PLAIN, [], None),
        ({"force_schedule": True}, [], None),
    ],
)
def test_envelopes_may_have_a_start_time_where_asynqs_servers_serve(
    fields: dict[str, Any], living: list[Consumer], queues: frozenset[str] | None
) -> None:
    some = load(envelope=True, **fields)
    assert forwarded_queues(some, usage(some, *living)) == queues


def test_without_envelopes_nothing_is_restricted() -> None:
    assert forwarded_queues(load(), usage(load())) is None
