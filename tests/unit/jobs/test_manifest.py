"""What makes a job: its content, and where its tasks go."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from loader.errors import JobMismatchError
from loader.jobs import version_1
from loader.jobs.manifest import adopted, derived_name, manifest_of, order_of
from loader.settings import LoadOptions
from loader.sources.base import SourceIdentity

A = SourceIdentity("a.jsonl", "jsonl", 10, "aa")
B = SourceIdentity("b.jsonl", "jsonl", 20, "bb")
PLAIN = SourceIdentity("c.json", "json", 5, "cc")
EMPTY = SourceIdentity("empty.jsonl", "jsonl", 0, "ee")
BASE: dict[str, Any] = {"queue": "q", "layout": "documented"}
PIPE = SourceIdentity("-", "jsonl", None, "", repeatable=False)


def manifest(sources: list[SourceIdentity] | None = None, **fields: Any) -> dict[str, Any]:
    return manifest_of(LoadOptions(**{**BASE, **fields}), [A, B] if sources is None else sources, 1 << 20)


def name(sources: list[SourceIdentity] | None = None, **fields: Any) -> str:
    options, given = LoadOptions(**{**BASE, **fields}), [A, B] if sources is None else sources
    return derived_name(options, given, manifest_of(options, given, 1 << 20))


@pytest.mark.parametrize(
    "tuning",
    [
        {"batch_size": 7},
        {"max_record_bytes": 99},
        {"max_retry": 9},
        {"type": "other"},
        {"on_conflict": "skip"},
        {"workers": 5, "processes": 3, "queue_depth": 2},
        {"redis": "redis://elsewhere:1/0"},
        {"queue": "q.default"},
    ],
)
def test_tuning_does_not_change_a_job(tuning: dict[str, Any]) -> None:
    assert name(**tuning) == name()
    options = LoadOptions(**{**BASE, **tuning})
    adopted("j", options, manifest(), manifest(**tuning))


def test_neither_do_names_of_files_nor_empty_files() -> None:
    renamed = [replace(A, name="moved/x.ndjson.gz"), B]
    more = [EMPTY, A, replace(EMPTY, name="2"), B, EMPTY]
    assert name(renamed) == name(more) == name()
    for sources in (renamed, more):
        adopted("j", LoadOptions(**BASE), manifest(), manifest(sources))
        adopted("j", LoadOptions(**BASE), manifest(sources), manifest())


def test_neither_does_the_order_of_files_which_a_resume_takes_from_the_job() -> None:
    """A renamed file changes the order of a directory."""
    recorded = manifest([A, B, A, PLAIN])
    now = [PLAIN, EMPTY, A, replace(A, name="copy"), replace(B, name="z")]

    assert name([A, B, A, PLAIN]) == name(now)
    adopted("j", LoadOptions(**BASE), recorded, manifest(now))
    assert order_of(recorded, now) == [2, 4, 3, 0, 1]
    assert order_of(manifest([PIPE, A]), [PIPE, A]) == [0, 1]


@pytest.mark.parametrize(
    ("sources", "fields", "told"),
    [
        ([A, B], {"queue": "r"}, "--queue q.default, not r.default"),
        ([A, B], {"queue_field": "f"}, "--queue-field none, not f"),
        ([A, B], {"id_field": "f"}, "--id-field none, not f"),
        ([A, B], {"envelope": True}, "--envelope False, not True"),
        ([A, B], {"layout": "asynq"}, "--layout documented, not asynq"),
        ([A, B], {"to": "http://h:1"}, "--to none, not http://h:1"),
        ([A], {}, "2 sources, not 1"),
        ([A, replace(B, digest="cc")], {}, "other content in b.jsonl (as long as now)"),
        ([A, replace(B, size=21)], {}, "other content in b.jsonl (20 bytes, now 21)"),
        ([A, replace(B, format="json")], {}, "format jsonl of b.jsonl, not json"),
    ],
)
def test_other_content_or_another_place_is_another_job(
    sources: list[SourceIdentity], fields: dict[str, Any], told: str
) -> None:
    assert name(sources, **fields) != name()
    with pytest.raises(JobMismatchError) as caught:
        adopted("j", LoadOptions(**{**BASE, **fields}), manifest(), manifest(sources, **fields))
    assert told in str(caught.value)


def test_the_profile_counts_where_it_decides_on_queues_and_keys() -> None:
    asynq: dict[str, Any] = {"layout": "asynq", "queue": "q.default", "type": "t"}
    assert name(**asynq) == name(**asynq, profile="runqy") != name(**asynq, profile="asynq")
    recorded = {**manifest(**asynq), "profile": None, "version": 1}
    adopted("j", LoadOptions(**asynq), recorded, manifest(**asynq))
    with pytest.raises(JobMismatchError, match="--profile runqy, not asynq"):
        adopted("j", LoadOptions(**asynq, profile="asynq"), recorded, manifest(**asynq, profile="asynq"))


def test_a_resume_goes_on_with_the_cut_that_the_job_began_with(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "runqy_loader")
    logging.getLogger("runqy_loader").propagate = True
    options = LoadOptions(**BASE, batch_size=5, max_record_bytes=70, max_retry=8, workers=3)
    now = manifest(batch_size=5, max_record_bytes=70, max_retry=8)

    found = adopted("j", options, manifest(batch_size=2, max_record_bytes=60), now)

    assert (found.records_a_batch, found.max_record_bytes) == (2, 60)
    assert (found.max_retry, found.workers) == (8, 3)
    assert caplog.messages == [
        "job j goes on with --batch-size 2 and --max-record-bytes 60, as it began",
        "tasks that are not in yet get --max-retry 8, those before have 3",
    ]


def test_a_lower_limit_for_records_applies_from_now_on() -> None:
    """The server may have refused a record that is longer: then the batches that are in have none."""
    options = LoadOptions(**BASE, max_record_bytes=50)
    assert adopted("j", options, manifest(max_record_bytes=60), manifest(max_record_bytes=50)).max_record_bytes == 50


@pytest.mark.parametrize("before", [False, True])
def test_other_rules_of_what_is_json_are_another_job(before: bool) -> None:
    options = LoadOptions(**BASE, accept_any_json=not before)
    with pytest.raises(JobMismatchError, match=r"with(out)? --accept-any-json.*from its rejects file"):
        adopted("j", options, manifest(accept_any_json=before), manifest(accept_any_json=not before))


def test_the_same_options_need_no_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "runqy_loader")
    logging.getLogger("runqy_loader").propagate = True
    fields: dict[str, Any] = {"layout": "asynq", "header": ("b=2", "a=1"), "process_in": "5m"}
    adopted("j", LoadOptions(**{**BASE, **fields}), manifest(**fields), manifest(**fields))
    assert caplog.messages == []


def test_a_job_of_a_later_version_is_not_touched() -> None:
    with pytest.raises(JobMismatchError, match="later version"):
        adopted("j", LoadOptions(**BASE), {**manifest(), "version": 99}, manifest())


def test_input_that_cannot_be_read_again_has_a_new_name_each_time() -> None:
    assert name([PIPE]) != name([PIPE])
    assert name([PIPE]).startswith("stdin-")
    assert name([replace(PIPE, name="payloads")]).startswith("payloads-")


def test_names_of_jobs_never_change() -> None:
    """A job that was begun before an upgrade is found after it."""
    assert name() == "q-default-a42d1b4c82"
    assert name([A], queue=None, queue_field="f").startswith("load-")
    options = LoadOptions(queue="q", max_retry=5, header=("a=1",), layout="asynq", process_in=3)
    assert version_1.derived_name(options, [A, EMPTY], 1 << 20) == "a-dc05dbd559"
