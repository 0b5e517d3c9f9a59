"""``watch`` beside asynq itself: the states that its inspector tells, and the times of tasks that its server runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loader.stored.queue_reader import stored_queue
from tests.cli import command, environment
from tests.conftest import Server
from tests.integration.test_look import look
from tests.interop.asynq_peer import AsynqPeer

pytestmark = pytest.mark.slow


def test_the_states_are_those_that_asynqs_inspector_tells(server: Server, asynq_peer: AsynqPeer) -> None:
    for number in range(6):
        asynq_peer.enqueue("q", "t", b"{}", id=f"t{number}", retention=600, max_retry=1)
    asynq_peer.enqueue("q", "t", b"{}", process_in=3600)

    (before,) = look(server.url, stored_queue("asynq", "q"))

    latency = asynq_peer.queue("q").latency
    assert before.oldest_pending_seconds is not None and 0 < before.oldest_pending_seconds <= latency
    assert (before.pending, before.processed, before.failed) == (6, None, None)
    asynq_peer.serve("q", until=2)
    asynq_peer.serve("q", until=1, fail_times=1, retry_delay=3600)
    asynq_peer.archive("q", "t5")

    (state,) = look(server.url, stored_queue("asynq", "q"))

    told = asynq_peer.queue("q")
    for name in ("pending", "active", "scheduled", "retry", "archived", "completed", "paused"):
        assert getattr(state, name) == getattr(told, name), name
    assert (state.processed, state.failed) == (told.processed_total, told.failed_total)
    assert (state.completed, state.retry, state.scheduled, state.archived) == (2, 1, 1, 1)


@pytest.mark.parametrize("retention", [None, 600], ids=["deleted", "kept"])
def test_tasks_that_asynq_runs_are_timed(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path, retention: float | None
) -> None:
    hold = 0.5
    arguments = command("watch", "--redis", server.url, "--json", "-q", "q", "-i", "0.1", "--sample-tasks", "100")
    asynq_peer.enqueue("q", "t", b"{}", retention=retention)
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None

        def next_look() -> dict[str, Any]:
            assert running.stdout is not None
            found: dict[str, Any] = json.loads(running.stdout.readline())["queues"][0]
            return found

        next_look()
        for _ in range(3):
            asynq_peer.enqueue("q", "t", b"{}", retention=retention)
        while next_look()["times"]["following"] < 3:
            pass
        with asynq_peer.serving("q", folder=tmp_path, hold=hold, concurrency=4):
            while (last := next_look())["times"]["following"] or not last["processed"]:
                pass
        running.terminate()

    times = last["times"]
    assert (times["in_queue"]["sampled"], times["to_completion"]["sampled"], times["failed"]) == (3, 3, 0)
    # Every time is an upper limit, and the server held each task for half a second.
    assert times["to_completion"]["p50"] >= hold
    assert times["to_completion"]["max"] >= times["in_queue"]["max"]
    assert last["completed"] == (0 if retention is None else 4)
