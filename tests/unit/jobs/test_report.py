"""The report: counts add up over sources, and the exit status follows from them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import LoaderError, SourceChangedError
from loader.jobs.report import LoadReport, SourceReport, Status, peak_rss_bytes
from loader.tasks.reasons import Reason, ReasonCode

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"

GUARANTEED_FIELDS = {
    "job",
    "layout",
    "queues",
    "records_read",
    "loaded",
    "already_loaded",
    "rejected",
    "batches",
    "bytes_read",
    "seconds",
    "tasks_per_second",
    "peak_rss_bytes",
    "sources",
}


def report() -> LoadReport:
    first = SourceReport("a", "jsonl", 100, bytes_read=100, records_read=10, loaded=5, already_loaded=3, rejected=2)
    second = SourceReport("b", "json", None, bytes_read=7, records_read=1, loaded=1)
    return LoadReport("job", "documented", [first, second])


def test_totals_are_sums_over_the_sources() -> None:
    found = report()
    assert (found.records_read, found.loaded, found.already_loaded, found.rejected) == (11, 6, 3, 2)
    assert found.bytes_read == 107


@pytest.mark.parametrize(
    ("status", "rejected", "exit_status"),
    [
        ("completed", 0, 0),
        ("completed", 1, 3),
        ("failed", 0, 1),
        ("failed", 1, 1),
        ("interrupted", 0, 130),
        ("interrupted", 1, 130),
        ("running", 0, 1),
    ],
)
def test_the_exit_status_tells_how_it_ended(status: Status, rejected: int, exit_status: int) -> None:
    found = LoadReport("job", "documented", [SourceReport("a", "jsonl", 1, rejected=rejected)])
    found.status = status
    assert found.exit_status == exit_status


def test_the_json_report_has_every_field_that_users_count_on() -> None:
    found = report()
    found.end("completed")
    read = json.loads(json.dumps(found.to_dict()))
    assert set(read) >= GUARANTEED_FIELDS
    assert read["records_read"] == read["loaded"] + read["already_loaded"] + read["rejected"]
    assert read["sources"][0] == {
        "name": "a",
        "format": "jsonl",
        "size": 100,
        "bytes_read": 100,
        "records_read": 10,
        "loaded": 5,
        "already_loaded": 3,
        "rejected": 2,
        "queue_fallbacks": 0,
        "filtered": 0,
        "not_sampled": 0,
        "duplicates": 0,
        "outside": 0,
    }


def test_only_a_dry_run_reports_valid_records() -> None:
    assert "valid" not in report().to_dict()
    dry = LoadReport("job", "documented", [], dry_run=True, valid=7)
    assert dry.to_dict()["valid"] == 7


def test_the_clock_stops_at_the_end() -> None:
    found = report()
    found.fail(LoaderError("why"))
    seconds, rate = found.seconds, found.tasks_per_second
    time.sleep(0.01)
    assert (found.seconds, found.tasks_per_second) == (seconds, rate)
    assert rate == pytest.approx(6 / seconds)
    assert (found.to_dict()["status"], found.to_dict()["error"]) == ("failed", "why")


def test_peak_memory_is_in_bytes() -> None:
    assert 10 * 2**20 < peak_rss_bytes() < 2**36


def test_peak_memory_is_not_that_of_the_program_that_started_the_process() -> None:
    own = "from loader.jobs.report import peak_rss_bytes; print(peak_rss_bytes())"
    parent = (
        f"import subprocess, sys; b = b'x' * 300_000_000; subprocess.run([sys.executable, '-c', {own!r}], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, check=True)
    assert int(done.stdout) < 200_000_000


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceChangedError("a changed", "Correct it"), "source_changed"), (ZeroDivisionError("by zero"), "unexpected")],
)
def test_a_failed_run_tells_what_kind_of_error_it_was(error: Exception, code: str) -> None:
    found = report()
    assert (found.to_dict()["error"], found.to_dict()["error_code"]) == (None, None)

    found.fail(error)

    assert (found.to_dict()["error"], found.to_dict()["error_code"]) == (str(error), code)
    assert found.exit_status == 1


@given(st.lists(st.sampled_from(ReasonCode)))
def test_rejects_are_counted_by_code_the_most_frequent_first(codes: list[ReasonCode]) -> None:
    found = report()

    for code in codes:
        found.count_reject(Reason.of(code), "in.jsonl:1")

    told = json.loads(json.dumps(found.to_dict()))["rejected_by_code"]
    assert told == {code.value: codes.count(code) for code in codes}
    assert list(told.values()) == sorted(told.values(), reverse=True)


def test_every_field_of_the_report_is_documented() -> None:
    found = LoadReport("job", "http", [SourceReport("a", "jsonl", 1)], dry_run=True, journal="j").to_dict()
    section = REFERENCE.read_text().split("## JSON report")[1].split("\n## ")[0]
    words = set(re.findall(r"\w+", section))
    assert set(found) | set(found["sources"][0]) <= words
