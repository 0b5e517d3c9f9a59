"""The closing lines name a way on only if there is one."""

from __future__ import annotations

import pytest

from loader.cli.closing_lines import closing_lines
from loader.errors import (
    ConnectionFailedError,
    JobBusyError,
    LoaderError,
    RejectStormError,
    SinkError,
    SourceChangedError,
    TooManyRejectsError,
    UnknownQueueError,
    UsageError,
)
from loader.jobs.report import LoadReport, SourceReport

RESUME = "runqy-loader load in.jsonl -q q --job j"


def failed(error: LoaderError) -> list[str]:
    report = LoadReport("j", "documented", [SourceReport("in.jsonl", "jsonl", 100, records_read=10, loaded=5)])
    report.fail(error)
    return closing_lines(report, RESUME, kept=True)


@pytest.mark.parametrize("kind", [SinkError, ConnectionFailedError, JobBusyError, LoaderError])
def test_a_failure_that_can_pass_is_followed_by_the_command_to_go_on_with(kind: type[LoaderError]) -> None:
    assert failed(kind("it broke"))[-1] == f"go on with: {RESUME}"


@pytest.mark.parametrize(
    "kind", [UsageError, UnknownQueueError, SourceChangedError, TooManyRejectsError, RejectStormError]
)
def test_what_would_be_refused_again_is_not(kind: type[LoaderError]) -> None:
    assert not [line for line in failed(kind("it is refused")) if "go on" in line]
