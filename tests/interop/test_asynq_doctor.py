"""The layout check meets asynq itself: a live server, a stopped one, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.interop.asynq_peer import AsynqPeer

pytestmark = pytest.mark.slow  # builds the Go program first

DOCUMENTED = ("--layout", "documented")


def load(server: Server, folder: Path, queue: str, *arguments: str) -> Outcome:
    (folder / "in.jsonl").write_bytes(b"1\n2\n")
    shared = ("-q", queue, "--redis", server.url, "--quiet", "--report", "-")
    return run("load", "in.jsonl", *shared, *arguments, cwd=folder)


def layout_finding(server: Server, folder: Path, queue: str, *arguments: str) -> tuple[str, str]:
    """Level and text of doctor's finding."""
    done = run("doctor", "-q", queue, "--redis", server.url, "--json", *arguments, cwd=folder)
    (found,) = [finding for finding in json.loads(done.stdout)["findings"] if finding["name"] == "layout"]
    return found["level"], found["text"]


def test_a_documented_load_is_refused_while_a_server_lives_and_only_then(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    with asynq_peer.serving("mail.default", "bills.default", folder=tmp_path) as running:
        refused = load(server, tmp_path, "mail", *DOCUMENTED)
        elsewhere = load(server, tmp_path, "elsewhere", *DOCUMENTED)
        asynq = layout_finding(server, tmp_path, "mail", "--layout", "asynq")
        running.stop()
    after = load(server, tmp_path, "mail", *DOCUMENTED)

    assert refused.status == 1
    assert "queue mail.default is served by 1 worker of the asynq layout" in refused.stderr
    assert elsewhere.status == 1
    assert "other queues are served by 1 worker of the asynq layout" in elsewhere.stderr
    assert ", not elsewhere" in elsewhere.stderr
    assert asynq[0] == "ok" and "queue mail.default is served by" in asynq[1]
    assert (after.status, after.report["loaded"]) == (0, 2)


def test_a_queue_that_a_server_has_emptied_is_still_known_as_asynqs(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    asynq_peer.enqueue("mail.default", "t", b"1")
    assert len(asynq_peer.serve("mail.default")) == 1

    level, text = layout_finding(server, tmp_path, "mail", *DOCUMENTED)

    assert level == "error" and "asynq:{mail.default}:…" in text


@pytest.mark.parametrize("options", [("--type", "t", "--profile", "asynq"), ()], ids=["asynq's profile", "runqy's"])
def test_what_the_loader_wrote_for_asynq_is_known_as_asynqs(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = load(server, tmp_path, "mail.default", "--layout", "asynq", *options)
    assert done.status == 0, done.stderr
    assert asynq_peer.queue("mail.default").pending == 2

    assert layout_finding(server, tmp_path, "mail.default", *DOCUMENTED)[0] == "error"
    assert "auto chooses asynq" in layout_finding(server, tmp_path, "mail.default")[1]
    assert layout_finding(server, tmp_path, "mail.default", "--layout", "asynq", *options)[0] == "ok"


def test_without_a_layout_the_tasks_go_to_the_server_that_lives(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    with asynq_peer.serving("mail.default", folder=tmp_path) as running:
        done = load(server, tmp_path, "mail", "--type", "t")
        executed = {running.execution().payload for _ in range(2)}

    assert (done.status, done.report["layout"]) == (0, "asynq")
    assert executed == {b"1", b"2"}


def test_a_queue_without_sub_queues_needs_asynqs_profile_and_nothing_more(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    with asynq_peer.serving("mail", folder=tmp_path) as running:
        refused = load(server, tmp_path, "mail")
        misspelt = load(server, tmp_path, "mial", "--profile", "asynq", "--type", "t")
        done = load(server, tmp_path, "mail", "--profile", "asynq", "--type", "t")
        executed = {running.execution().payload for _ in range(2)}

    assert (refused.status, refused.report["error_code"]) == (1, "unknown_queue")
    assert "--profile asynq if mail is the whole name" in refused.stderr
    assert (misspelt.status, "did you mean mail?" in misspelt.stderr) == (1, True)
    assert done.status == 0 and executed == {b"1", b"2"}
    assert asynq_peer.queues() == {"mail"}


def test_tasks_with_a_start_time_are_loaded_where_a_server_moves_them_and_run(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    with asynq_peer.serving("mail.default", folder=tmp_path) as running:
        done = load(server, tmp_path, "mail", "--process-in", "2s")
        elsewhere = load(server, tmp_path, "bills", "--process-in", "2s")
        executed = {running.execution().payload for _ in range(2)}

    assert done.status == 0 and executed == {b"1", b"2"}
    assert (elsewhere.status, elsewhere.report["error_code"]) == (1, "never_scheduled")
