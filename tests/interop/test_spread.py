"""asynq's server with a client for clusters takes the tasks of all sub-queues of ``load --spread``."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.queues.spread import spread_names
from tests.cli import run
from tests.integration.cluster import Cluster
from tests.integration.cluster import _shared_cluster as _shared_cluster
from tests.integration.cluster import shared_cluster as shared_cluster
from tests.interop.asynq_peer import AsynqPeer

pytestmark = pytest.mark.slow  # builds the Go program first

NAMES = spread_names("mail", 6)


def test_a_server_on_a_cluster_executes_each_task_of_all_sub_queues_once(
    shared_cluster: Cluster, asynq_program: Path, tmp_path: Path
) -> None:
    peer = AsynqPeer(asynq_program, f"cluster:127.0.0.1:{shared_cluster.nodes[0].port}")
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(300)))
    shared = ("--queue", "mail", "--profile", "asynq", "--type", "t", "--spread", "6", "--redis", shared_cluster.url)
    given = ("load", "in.jsonl", *shared, "--batch-size", "20", "--report", "-")

    with peer.serving(*NAMES[:5], folder=tmp_path, concurrency=4):
        refused = run(*given, cwd=tmp_path)
    shared_cluster.empty()
    with peer.serving(*NAMES, folder=tmp_path, concurrency=4) as server:
        done = run(*given, cwd=tmp_path)
        executions = [server.execution() for _ in range(300)]
        more = server.stop()

    assert refused.status == 1 and f"no worker serves {NAMES[5]}" in refused.stderr
    assert (done.status, done.report["loaded"]) == (0, 300), done.stderr
    assert sorted(int(one.payload or b"") for one in executions) == list(range(300)) and not more
    assert {one.queue for one in executions} == set(NAMES)
    assert len({shared_cluster.owner(f"asynq:{{{name}}}:pending").port for name in NAMES}) == 3
