"""Rejects and ids of a load on a Dask cluster as one blob a shard in a container of Azure, and its input from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.dask_cluster import DaskCluster, SmallShards
from tests.dask_cluster import client as client
from tests.faults.helpers import assert_each_once, payload, rejected_lines, tasks
from tests.integration.clouds.servers import AzureContainer, GoogleBucket


def test_the_files_of_all_shards_are_blobs_and_a_second_run_leaves_them(
    valkey: Server, client: Any, azure: AzureContainer, tmp_path: Path
) -> None:
    lines = [payload(n) if n % 50 else b"{bad" for n in range(1, 501)]
    url = azure.put("in/in.jsonl", b"".join(line + b"\n" for line in lines))
    place = f"{azure.url}/to/here/"
    arguments = (url, "-b", "10", "-q", "q", "--job", "j", "--redis", valkey.url, "--report", "-")
    with DaskCluster(tmp_path, 2, **azure.env()) as cluster:

        def load() -> Outcome:
            engine = ("--engine", "dask", "--scheduler", cluster.address, "--rejects", place, "--ids-out", place)
            with SmallShards(3000, *arguments, *engine, cwd=tmp_path, env=azure.env()) as running:
                return running.wait()

        done = load()
        written = azure.contents("to/here/")
        again = load()

    assert done.status == again.status == 3, done.stderr + again.stderr
    assert (done.report["already_loaded"], again.report["already_loaded"]) == (0, 490)
    assert azure.contents("to/here/") == written
    assert_each_once(client, [line for line in lines if line != b"{bad"])
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    bad = [one for path in tmp_path.glob("*.rejects.jsonl") for one in rejected_lines(path)]
    assert sorted(bad) == [(url, n) for n in range(50, 501, 50)]
    ids = [line for path in tmp_path.glob("*.tsv") for line in path.read_text().splitlines() if line[0] != "#"]
    assert sorted(line.split("\t")[0] for line in ids) == sorted(one for one, _ in tasks(client)["q.default"])


def test_a_bucket_that_takes_nothing_is_one_error_before_anything_is_loaded(
    valkey: Server, client: Any, google: GoogleBucket, tmp_path: Path
) -> None:
    """The server knows no writes of this API. That is an answer of it: no credentials of the machine are looked for."""
    url = google.put("in.jsonl", payload(1))
    with DaskCluster(tmp_path, 1, **google.env()) as cluster:
        done = run(
            "load", url, "-q", "q", "--redis", valkey.url, "--engine", "dask", "--scheduler", cluster.address,
            "--rejects", f"{google.url}/out/", cwd=tmp_path, env=google.env(),
        )  # fmt: skip
    assert done.status == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
    assert f"cannot write to {google.url}/out/: the server answers 400" in error
    assert client.llen("asynq:q.default:pending") == 0
