"""``runqy-loader consume`` on a Redis Cluster, and through lost connections."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loader.consume.run import Consumer
from tests.cli import run
from tests.conftest import Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import _shared_cluster as _shared_cluster
from tests.integration.cluster import shared_cluster as shared_cluster
from tests.integration.consuming import LAYOUTS, QUEUE, active, enqueue, list_key, options, pending, registered


def _all(client: Any, pattern: str) -> list[bytes]:
    return sorted(client.scan_iter(pattern, target_nodes=client.PRIMARIES))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_queue_of_a_cluster_is_emptied(shared_cluster: Cluster, tmp_path: Path, layout: str) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{number}\n" for number in range(200)))
    shared = ("-q", "q", "--redis", shared_cluster.url, "--layout", layout, "--quiet", "--report", "-")
    assert run("load", "in.jsonl", *shared, cwd=tmp_path).status == 0

    outcome = (
        run("consume", *shared, "--until-empty", "--fail-rate", "10%", "--retry-delay", "0", cwd=tmp_path)
        if (layout == "asynq")
        else run("consume", *shared, "--until-empty", "--fail-rate", "10%", cwd=tmp_path)
    )

    assert (outcome.status, outcome.stderr) == (0, "")
    report = outcome.report
    assert report["done"] + report["archived"] == 200 and report["retried"] > 0
    with shared_cluster.client() as client:
        assert client.llen(list_key(layout, "pending")) == client.llen(list_key(layout, "active")) == 0
        assert _all(client, "asynq:servers*") == _all(client, "asynq:workers*") == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_in_service_on_a_cluster_is_put_back(shared_cluster: Cluster, tmp_path: Path, layout: str) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{number}\n" for number in range(20)))
    shared = ("-q", "q", "--redis", shared_cluster.url, "--layout", layout, "--quiet", "--report", "-")
    assert run("load", "in.jsonl", *shared, cwd=tmp_path).status == 0
    with shared_cluster.client() as client:
        before = client.lrange(list_key(layout, "pending"), 0, -1)

    timing = ("--service-time", "1h", "--duration", "0.5", "--grace", "0")
    outcome = run("consume", *shared, *timing, cwd=tmp_path)

    assert (outcome.status, outcome.report["put_back"]) == (0, 8)
    with shared_cluster.client() as client:
        assert client.lrange(list_key(layout, "pending"), 0, -1) == before
        assert client.llen(list_key(layout, "active")) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lost_connections_lose_no_task(valkey: Server, layout: str) -> None:
    """Connections are cut again and again while tasks are taken and ended; then each is done once or pending."""

    async def scenario(db: Any) -> dict[str, Any]:
        consumer = Consumer(options(valkey.url, layout, service_time="uniform(0ms, 5ms)", consumers=30, grace=0))
        running = asyncio.ensure_future(consumer.run())
        for _ in range(25):
            await asyncio.sleep(0.02)
            cut = [one for one in db.client_list() if "runqy-loader:consume" in one["name"]]
            for one in cut:
                db.client_kill_filter(_id=one["id"])
        consumer.stop()
        return (await running).to_dict()

    with valkey.client() as db:
        names = enqueue(db, layout, 20_000)
        report = asyncio.run(scenario(db))

        assert active(db, layout) == [] == registered(db)
        waiting = pending(db, layout)
        assert len(waiting) == len(set(waiting))
        assert report["taken"] == report["done"] + report["put_back"] and report["left_active"] == 0
        assert report["done"] == len(names) - len(waiting) > 0
        if layout == "asynq":
            assert int(db.get(f"asynq:{{{QUEUE}}}:processed")) == report["done"]
