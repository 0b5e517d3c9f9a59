"""The closing lines name a way on only if there is one."""

from __future__ import annotations

import pytest

from loader.cli.closing_lines import closing_lines
from loader.cli.load import name_embedded
from loader.errors import (
    ConnectionFailedError,
    JobBusyError,
    LoaderError,
    RejectStormError,
    SinkError,
    SourceChangedError,
    SourceError,
    TooManyRejectsError,
    UnknownQueueError,
    UsageError,
)
from loader.jobs.report import LoadReport, SourceReport
from loader.settings import LoadOptions

RESUME = "runqy-loader load in.jsonl -q q --job j"


def failed(error: LoaderError) -> list[str]:
    report = LoadReport("j", "documented", [SourceReport("in.jsonl", "jsonl", 100, records_read=10, loaded=5)])
    report.fail(error)
    return closing_lines(report, RESUME, kept=True)


@pytest.mark.parametrize("kind", [SinkError, ConnectionFailedError, LoaderError])
def test_a_failure_that_can_pass_is_followed_by_the_command_to_go_on_with(kind: type[LoaderError]) -> None:
    assert failed(kind("it broke"))[-1] == f"go on with: {RESUME}"


@pytest.mark.parametrize("kind", [TooManyRejectsError, RejectStormError])
def test_a_limit_of_rejects_that_is_reached_again_is_not_gone_on_with_unchanged(kind: type[LoaderError]) -> None:
    report = LoadReport("j", "documented", [SourceReport("in.jsonl", "jsonl", 100, records_read=10)], resumed=True)
    report.fail(kind("too many"))
    assert closing_lines(report, RESUME, kept=True)[-1] == f"go on with another --max-errors: {RESUME}"


def test_who_has_no_server_is_told_of_the_bundled_one() -> None:
    def hint(failure: LoaderError, redis: str, batches: int = 0) -> str:
        name_embedded(failure, LoadOptions(queue="q", redis=redis), LoadReport("j", "asynq", [], batches=batches))
        return failure.hint

    usual = "redis://localhost:6379/0"
    assert hint(ConnectionFailedError("refused", "Check"), usual).startswith(
        "Check. Without a server at hand, try --redis"
    )
    assert hint(ConnectionFailedError("refused", "Check"), "redis://elsewhere:6379/0") == "Check"
    assert hint(ConnectionFailedError("refused", "Check"), usual, batches=1) == "Check"
    assert hint(SourceError("gone", "Check"), usual) == "Check"


def test_a_load_over_http_that_sent_nothing_is_told_by_its_error_alone() -> None:
    read = SourceReport("in.jsonl", "jsonl", 100, records_read=10)
    for report, lines in (
        (LoadReport("j", "http", [read], journal="j.journal"), 0),
        (LoadReport("j", "http", [read]), 6),
    ):
        report.fail(ConnectionFailedError("connection refused"))
        assert len(closing_lines(report, RESUME, kept=True)) == lines


@pytest.mark.parametrize("kind", [UsageError, UnknownQueueError, SourceChangedError, JobBusyError])
def test_what_would_be_refused_again_is_not(kind: type[LoaderError]) -> None:
    assert not [line for line in failed(kind("it is refused")) if "go on" in line]
