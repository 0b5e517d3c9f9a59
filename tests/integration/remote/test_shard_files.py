"""Rejects and ids of a load on a Dask cluster as one file a shard, in a folder or a bucket."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from loader.jobs.ids_file import HEADER
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.dask_cluster import DaskCluster, SmallShards
from tests.dask_cluster import client as client
from tests.faults.helpers import numbered, payload, write_lines
from tests.integration.remote.servers import Objects


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, _s3: int) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask"), 2, **Objects("", _s3).env()) as cluster:
        yield cluster


def dask_load(cluster: DaskCluster, server: Server, cwd: Path, *arguments: str | Path, size: int = 3000) -> Outcome:
    with SmallShards(
        size, *arguments, "-b", "10", "-q", "q", "--job", "j", "--redis", server.url, "--report", "-",
        "--engine", "dask", "--scheduler", cluster.address, cwd=cwd,
    ) as running:  # fmt: skip
        return running.wait()


def in_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("j-*")}


def in_bucket(objects: Objects, prefix: str) -> dict[str, bytes]:
    found = objects.client().list_objects_v2(Bucket=objects.bucket, Prefix=prefix).get("Contents", [])
    return {one["Key"].removeprefix(prefix): objects.get(one["Key"]) for one in found}


def lines_of(files: Mapping[str, bytes], ending: str) -> list[bytes]:
    """The lines of all files with this ending, sorted, without the header of ids."""
    whole = b"".join(content for name, content in files.items() if name.endswith(ending))
    return sorted(line for line in whole.splitlines() if not line.startswith(HEADER))


@pytest.mark.parametrize("seed", range(4))
def test_the_files_of_all_shards_have_what_one_gathered_file_has(
    cluster: DaskCluster, valkey: Server, client: Any, objects: Objects, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(f"shard files {seed}")
    bad = chance.choice((0.0, 0.02, 0.3))
    lines = [b"{bad %d" % n if chance.random() < bad else payload(n) for n in range(chance.randint(1, 900))]
    write_lines(tmp_path / "in.jsonl", [payload(0), *lines])
    own = ("--id-field", "n") if chance.random() < 0.5 else ()
    common = ("in.jsonl", "--layout", chance.choice(("documented", "asynq")), "--max-errors", "none", *own)
    place = f"{objects.url}/to/here/" if seed % 2 else "out/"

    done = dask_load(
        cluster, valkey, tmp_path, *common, "--rejects", place, "--ids-out", place, size=chance.randint(500, 9000)
    )
    files = in_bucket(objects, "to/here/") if seed % 2 else in_folder(tmp_path / "out")
    client.flushall()
    one = run(
        "load", *common, "-q", "q", "--job", "j", "--redis", valkey.url, "--report", "-", "--rejects", "r.jsonl",
        "--ids-out", "ids.tsv", cwd=tmp_path,
    )  # fmt: skip

    assert done.status == one.status, done.stderr
    has_rejects = bool(one.report["rejected"])
    gathered = {path.name: path.read_bytes() for path in (tmp_path / "r.jsonl", tmp_path / "ids.tsv") if path.exists()}
    assert lines_of(files, ".rejects.jsonl") == lines_of(gathered, "r.jsonl")
    assert lines_of(files, ".task-ids.tsv") == lines_of(gathered, "ids.tsv")
    assert all(name.startswith("j-0") and content for name, content in files.items()), "nothing else is left there"
    assert done.report["rejects_file"] == (place if has_rejects else None)
    assert done.report["ids_file"] == place


def test_a_job_goes_on_in_the_same_place_and_writes_the_same_bytes(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write_lines(tmp_path / "data" / "in.jsonl", (payload(n) if n % 50 else b"{bad" for n in range(1, 501)))
    arguments = ("data/", "--ids-out", "data/")
    first = dask_load(cluster, valkey, tmp_path, *arguments, "--rejects", "data/out/")
    assert first.status == 3, first.stderr
    before = files_below(tmp_path / "data")
    assert len([name for name in before if name.endswith(".rejects.jsonl")]) > 3
    shown = run("jobs", "show", "j", "--redis", valkey.url, cwd=tmp_path)
    assert f"{tmp_path}/data/out/ (one file a shard)" in shown.stdout + shown.stderr

    # The files of shards in the input directory are no input; else this were another input.
    again = dask_load(cluster, valkey, tmp_path, *arguments)
    after = files_below(tmp_path / "data")
    assert again.status == 3, again.stderr
    assert again.report["already_loaded"] == 490
    assert f"--rejects {tmp_path}/data/out/, as in earlier runs of job j" in again.stderr
    assert after == before
    assert not list(tmp_path.glob("*.rejects.jsonl"))

    other = dask_load(cluster, valkey, tmp_path, *arguments, "--rejects", "other/")
    assert f"earlier runs of job j had --rejects {tmp_path}/data/out/, and this one has not" in other.stderr
    kept = {name: content for name, content in before.items() if name.endswith(".rejects.jsonl")}
    assert in_folder(tmp_path / "other") == kept
    waited = run("wait", "--job", "j", "--out", "-", "--redis", valkey.url, cwd=tmp_path)
    assert waited.status == 1 and "one file a shard" in waited.stderr and "cat" in waited.stderr


def test_the_rejects_that_have_ended_a_load_are_there(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", (payload(n) if n % 10 else b"{bad" for n in range(1, 2001)))

    done = dask_load(cluster, valkey, tmp_path, "in.jsonl", "--max-errors", "20", "--rejects", "out/")

    assert done.status == 1
    assert done.report["rejects_file"] == "out/"
    kept = lines_of(in_folder(tmp_path / "out"), ".rejects.jsonl")
    assert len(set(kept)) == len(kept) > 0

    # The next run has the whole of each shard there, and nothing twice.
    done = dask_load(cluster, valkey, tmp_path, "in.jsonl", "--max-errors", "none", "--rejects", "out/")
    assert done.status == 3, done.stderr
    found = [json.loads(line)["line"] for line in lines_of(in_folder(tmp_path / "out"), ".rejects.jsonl")]
    assert sorted(found) == list(range(10, 2001, 10))


def test_a_bucket_that_workers_cannot_write_is_one_error_before_anything_is_loaded(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 100)

    done = dask_load(cluster, valkey, tmp_path, "in.jsonl", "--rejects", "s3://no-such-bucket/x/")

    assert done.status == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error:")]
    assert "Dask worker w" in error and "cannot write to s3://no-such-bucket/x/: there is no bucket" in error
    assert client.llen("asynq:q.default:pending") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rejects", "out/"), "only --engine dask writes"),
        (("--ids-out", "s3://bucket/x/"), "only --engine dask writes"),
        (("--engine", "dask", "--rejects", "s3://bucket/x"), "with the last /"),
        (("--engine", "dask", "--rejects", "s3://bucket//x/"), "empty part"),
        (("--engine", "dask", "--ids-out", "http://host/x/"), "must be a file, a folder"),
        (("--engine", "dask", "--rejects", "in.jsonl/x/"), "cannot be written: Not a directory"),
    ],
)
def test_places_that_cannot_be_written_are_refused(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    scheduler = ("--scheduler", cluster.address) if "dask" in arguments else ()

    done = run("load", "in.jsonl", *arguments, *scheduler, "-q", "q", "--redis", valkey.url, cwd=tmp_path)

    assert done.status in (1, 2)
    assert words in done.stderr
    assert client.llen("asynq:q.default:pending") == 0
    assert "Traceback" not in done.stderr
