"""The manifests in deploy/: valid by the schemas of Kubernetes and of Compose, and run here as they stand.

Only names that are those of a cluster (hosts, buckets, folders) are replaced, and the ports.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import redis
import yaml

from tests.cli import environment, run
from tests.conftest import RedisServer, Server, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSE = DEPLOY / "compose.yaml"
RECORDS = 3000
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def _containers(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container of a manifest, with the specification of its pod."""
    for document in _documents(path):
        if document["kind"] in ("Job", "Deployment"):
            pod = document["spec"]["template"]["spec"]
            for container in pod["containers"]:
                yield container, pod


def _compose() -> dict[str, Any]:
    """The Compose file with the defaults of its variables, as Compose reads it."""
    found: dict[str, Any] = yaml.safe_load(VARIABLE.sub(r"\1", COMPOSE.read_text()))
    return found


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_a_manifest_is_valid_for_kubernetes(path: Path) -> None:
    for document in _documents(path):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_manifest_with_a_mistake_is_not() -> None:
    """The schema would see a misspelt field."""
    document = _documents(KUBERNETES[0])[0]
    document["spec"]["replikas"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_have_no_rights_and_write_only_to_volumes(path: Path) -> None:
    for container, pod in _containers(path):
        assert container["image"] == "runqy-loader"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["securityContext"]["runAsNonRoot"]
        assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        assert {"/tmp", "/work"} <= {one["mountPath"] for one in container["volumeMounts"]}  # noqa: S108


def test_the_scheduler_is_found_where_workers_and_the_load_look_for_it() -> None:
    service = next(one for one in _documents(DEPLOY / "kubernetes" / "dask.yaml") if one["kind"] == "Service")
    address = f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    named = [
        container["name"]
        for container, _ in _containers(DEPLOY / "kubernetes" / "dask.yaml")
        if address in container["args"]
    ]
    assert named == ["worker", "load"]


def test_the_compose_file_is_valid() -> None:
    found = compose_spec.PyCompose.from_yaml(yaml.safe_dump(_compose()))
    found.validate()
    assert sorted(found.service_names()) == ["load", "redis", "scheduler", "worker"]


def test_the_indexed_job_loads_its_part_into_each_server(
    tmp_path: Path, redis_server: Callable[..., RedisServer]
) -> None:
    ((container, _),) = _containers(DEPLOY / "kubernetes" / "indexed-job.yaml")
    (tmp_path / "password").write_text("secret\n")
    servers = [redis_server("--requirepass", "secret", kind="valkey").start() for _ in range(2)]
    for index, server in enumerate(servers):
        _write(tmp_path / f"part-{index}" / "in.jsonl", RECORDS + index)
        arguments = _replaced(
            [word.replace("$(INDEX)", str(index)) for word in container["args"]],
            {
                "s3://bucket/exports/": f"{tmp_path}/",
                f"redis-{index}.redis:6379": f"127.0.0.1:{server.port}",
                "/etc/runqy-loader/redis-password": str(tmp_path / "password"),
                "/work/": f"{tmp_path}/",
            },
        )
        outcome = run(*arguments, cwd=tmp_path)
        assert outcome.status == 0, outcome.stderr
    for index, server in enumerate(servers):
        with redis.Redis(port=server.port, password="secret") as client:
            assert client.llen("asynq:inference.default:pending") == RECORDS + index


@pytest.fixture
def with_dask(tmp_path: Path) -> None:
    if "--engine" not in run("load", "--help", cwd=tmp_path).stdout:
        pytest.skip("load has no --engine")


@pytest.mark.usefixtures("with_dask")
@pytest.mark.parametrize("form", ["compose", "kubernetes"])
def test_the_load_runs_on_a_dask_cluster_as_the_manifest_says(tmp_path: Path, valkey: Server, form: str) -> None:
    commands = _of_compose() if form == "compose" else _of_kubernetes()
    _write(tmp_path / "data" / "in.jsonl", RECORDS)
    (tmp_path / "password").write_text("\n")
    port = free_port()
    replaced = {
        "tcp://scheduler:8786": f"tcp://127.0.0.1:{port}",
        "tcp://runqy-loader-scheduler:8786": f"tcp://127.0.0.1:{port}",
        "redis://redis:6379/0": valkey.url,
        "s3://bucket/exports/": f"{tmp_path}/data",
        "/data": f"{tmp_path}/data",
        "/work/": f"{tmp_path}/",
        "0.0.0.0": "127.0.0.1",  # noqa: S104
    }
    scheduler, worker = (_replaced(commands[name], replaced) for name in ("scheduler", "worker"))
    scheduler = [str(port) if word == "8786" else word for word in scheduler]
    load = _without(_replaced(commands["load"], replaced), "--redis-password-file")
    with _running(scheduler, tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0"), _running(worker, tmp_path):
        outcome = run(*load, cwd=tmp_path, timeout=240)
    assert outcome.status == 0, outcome.stderr
    assert json.loads((tmp_path / "report.json").read_text())["loaded"] == RECORDS
    with valkey.client() as client:
        assert client.llen("asynq:inference.default:pending") == RECORDS


def _of_compose() -> dict[str, list[str]]:
    return {name: service["command"] for name, service in _compose()["services"].items()}


def _of_kubernetes() -> dict[str, list[str]]:
    return {container["name"]: container["args"] for container, _ in _containers(DEPLOY / "kubernetes" / "dask.yaml")}


def _replaced(words: list[str], by: dict[str, str]) -> list[str]:
    """The words of a command with other names. A name that is replaced is not looked at again."""
    pattern = re.compile("|".join(map(re.escape, sorted(by, key=len, reverse=True))))
    return [pattern.sub(lambda match: by[match[0]], word) for word in words]


def _without(words: list[str], option: str) -> list[str]:
    """The words of a command without an option and its value."""
    if option not in words:
        return words
    at = words.index(option)
    return words[:at] + words[at + 2 :]


@contextmanager
def _running(words: list[str], folder: Path, **variables: str) -> Iterator[None]:
    """A program of Dask, until it is ended."""
    with (folder / f"{words[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words], cwd=folder, env=environment(**variables), stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()


def _write(path: Path, records: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(records)))
