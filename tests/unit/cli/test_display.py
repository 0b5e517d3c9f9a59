"""What the display makes of messages about a server that is waited for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from loader.cli.display import Display, done_bytes
from loader.cli.progress import one_line, with_waiting
from loader.jobs.report import LoadReport, SourceReport

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Lost:
    """As the retries log it."""

    text: str

    def line(self, now: float) -> str:
        return f"{self.text}, for some time"


def lose(text: str = "h:1: connection lost") -> None:
    waiting = Lost(text)
    log.warning("%s", waiting.text, extra={"waiting": waiting})


@pytest.fixture(autouse=True)
def logger() -> Iterator[None]:
    """A display takes over the loader's logger; other tests get it back as it was."""
    before = log.level, log.propagate, log.handlers[:]
    yield
    level, log.propagate, log.handlers[:] = before
    log.setLevel(level)  # an assignment would leave what a logger remembers of its level: other tests saw no warning


@pytest.fixture
def display() -> Display:
    return Display(quiet=False, verbose=False, progress=True)


def test_on_a_terminal_a_lost_server_is_one_line_that_is_kept_up_to_date(
    display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    with display.is_live():
        for _ in range(18):
            lose()
        rows = [str(row) for row in with_waiting(display, one_line("counts")).renderables]
        log.info("the server answers again", extra={"waiting": None})
        after = [str(row) for row in with_waiting(display, one_line("counts")).renderables]

    assert rows == ["counts", "h:1: connection lost, for some time"]
    assert after == ["counts"]
    assert capsys.readouterr().err == "runqy-loader: the server answers again\n"


def test_elsewhere_each_message_is_a_line(display: Display, capsys: pytest.CaptureFixture[str]) -> None:
    lose()
    log.info("the server answers again", extra={"waiting": None})
    assert capsys.readouterr().err.splitlines() == [
        "runqy-loader: h:1: connection lost",
        "runqy-loader: the server answers again",
    ]


def test_other_messages_stay_lines_of_their_own(display: Display, capsys: pytest.CaptureFixture[str]) -> None:
    with display.is_live():
        lose()
        log.info("resuming job %s", "j")
    assert capsys.readouterr().err == "runqy-loader: resuming job j\n"


def test_a_quiet_run_shows_neither(capsys: pytest.CaptureFixture[str]) -> None:
    Display(quiet=True, verbose=False, progress=False)
    lose()
    assert capsys.readouterr().err == ""


def test_progress_is_what_is_dealt_with_and_not_what_is_read() -> None:
    source = SourceReport("in.jsonl", "jsonl", 1000)
    report = LoadReport(job="j", layout="asynq", sources=[source])
    assert done_bytes(report) == 0

    source.bytes_read, source.records_read = 1000, 20  # a load that is held back has read all of a small input
    source.loaded, source.rejected = 4, 1
    assert done_bytes(report) == 250

    source.bytes_read, source.loaded = 1010, 19  # the size of generated records is an estimate
    assert done_bytes(report) == 1000


def test_quiet_shows_errors(capsys: pytest.CaptureFixture[str]) -> None:
    Display(quiet=True, verbose=False, progress=False)
    log.warning("a warning")
    log.error("an error")
    assert capsys.readouterr().err == "runqy-loader: an error\n"
