"""The package ``runqy_loader``, as programs import it: names, types, defaults from the environment, errors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import loader
import runqy_loader
from tests.cli import environment
from tests.conftest import Server
from tests.integration.tool import Redis, Tool, payloads

ROOT = Path(__file__).parents[2]


def python(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def load(**keywords: Any) -> runqy_loader.LoadReport:
    return asyncio.run(runqy_loader.load([1, 2], **keywords))


def test_it_has_the_public_names_of_the_package_loader() -> None:
    assert runqy_loader.__all__ == loader.__all__
    for name in loader.__all__:
        assert getattr(runqy_loader, name) is getattr(loader, name)
    assert set(dir(runqy_loader)) == set(loader.__all__)
    with pytest.raises(AttributeError, match="module 'runqy_loader' has no attribute 'nothing'"):
        runqy_loader.nothing  # noqa: B018


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    done = python("-m", "runqy_loader", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{loader.__version__}\n", "")


def test_another_module_of_the_name_loader_is_told(tmp_path: Path) -> None:
    (tmp_path / "loader.py").write_text("")
    done = python("-c", "import runqy_loader", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: runqy_loader needs its package 'loader', but ")
    assert str(tmp_path / "loader.py") in last


@pytest.mark.slow
def test_the_wheel_has_both_packages_and_their_types(tmp_path: Path) -> None:
    done = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for package in ("loader", "runqy_loader"):
        assert {f"{package}/__init__.py", f"{package}/__main__.py", f"{package}/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


@pytest.mark.slow
def test_a_program_that_uses_it_has_types(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        """
import asyncio
from datetime import timedelta
from runqy_loader import Loader, LoaderError, LoadReport, load, wait_for_result

async def main() -> LoadReport:
    async with Loader(queue="q", timeout="5m", retry_for=timedelta(minutes=5), processes="auto") as loads:
        first: LoadReport = await loads.load(["a.jsonl"])
    result = await wait_for_result("id", timeout="1m")
    reveal_type(result.status)
    try:
        return await load([{"n": 1}], queue="q", rejects="r.jsonl", task_timeout=30)
    except LoaderError as error:
        raise SystemExit(error.hint) from None

asyncio.run(load([1], queue="q", batch_size="many"))
asyncio.run(load([1], quue="q"))
"""
    )
    done = python("-m", "mypy", "--strict", "program.py", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert "note: Revealed type is" in lines[0] and "Literal['completed']" in lines[0], done.stdout
    assert [line.split(":")[1] for line in lines[1:] if ": error: " in line] == ["16", "17"], done.stdout


def test_the_server_comes_from_redis_url_unless_it_is_given(
    tool: Tool, db: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", tool.url)
    assert load(queue="q").loaded == 2
    assert runqy_loader.LoadOptions(queue="q").redis == tool.url

    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert load(queue="r", redis=tool.url).loaded == 2
    with pytest.raises(runqy_loader.ConnectionFailedError, match=r"127\.0\.0\.1:1"):
        load(queue="q")
    assert load(queue="q", dry_run=True).valid == 2

    monkeypatch.setenv("REDIS_URL", "")
    assert runqy_loader.LoadOptions(queue="q").redis == "redis://localhost:6379/0"
    assert payloads(db, "q.default") == payloads(db, "r.default") == [b"1", b"2"]


def test_a_result_is_looked_up_on_the_server_of_redis_url(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    with valkey.client() as client:
        client.set("asynq:result:1", "{}")
    assert asyncio.run(runqy_loader.wait_for_result("1", timeout="1m")).value == {}


def test_an_address_in_redis_url_that_cannot_be_used_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "ftp://x")
    with pytest.raises(runqy_loader.UsageError, match=r"^REDIS_URL: redis is not a usable URL"):
        load(queue="q")
    with pytest.raises(runqy_loader.UsageError, match=r"^redis is not a usable URL"):
        load(queue="q", redis="ftp://y")
    with pytest.raises(runqy_loader.UsageError, match=r"^redis is not a usable URL"):
        runqy_loader.Loader(runqy_loader.LoadOptions(queue="q", redis="ftp://y"))
    with pytest.raises(runqy_loader.UsageError, match=r"^REDIS_URL: redis is not a usable URL"):
        runqy_loader.Loader(runqy_loader.LoadOptions(queue="q"))


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({}, "no queue given. Give queue=NAME, or queue_field=FIELD"),
        ({"queue": "q", "batch_size": 0}, "batch_size must be between 1 and 100000, not 0"),
        ({"queue": "q", "profile": "asynq"}, "profile='asynq' needs type="),
        ({"queue": "q", "layout": "asynq", "header": ("x",)}, "header='x' is not of the form NAME=VALUE"),
        ({"queue": "q", "timeout": "soon"}, "timeout must be a duration, not 'soon'"),
        ({"queue": "q", "timeout": timedelta(0)}, "timeout must be above 0"),
        ({"queue": "q", "layout": "asynq", "deadline": datetime(2030, 1, 1)}, "deadline: '2030-01-01T00:00:00' has no"),
        ({"queue": "q", "to": "http://x", "envelope": True}, "envelope=True and to= contradict each other"),
        ({"queue": "q", "ids_out": "no/ids"}, "ids_out no/ids cannot be written: No such file or directory"),
        ({"queue": "q", "rejects": "r.zst"}, "rejects r.zst: a name that ends in .zst says zstd"),
        ({"queue": "q", "redis": "redis://127.0.0.1:1"}, "the address in redis="),
    ],
    ids=str,
)
def test_an_error_names_parameters_and_shows_no_other_error(
    keywords: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(runqy_loader.LoaderError) as caught:
        load(**keywords)
    assert told in str(caught.value)
    assert "--" not in str(caught.value)
    assert "".join(traceback.format_exception(caught.value)).count("Traceback") == 1


def test_the_report_of_a_failed_load_names_parameters_too(tool: Tool) -> None:
    async def failed() -> str | None:
        rejects = tool.folder / "rejects.jsonl"
        async with runqy_loader.Loader(queue="q", redis=tool.url, rejects=rejects, max_errors=0) as loads:
            with pytest.raises(runqy_loader.TooManyRejectsError, match="max_errors=0"):
                await loads.load([b"{"])
        assert loads.report is not None
        return loads.report.error

    assert "max_errors=0" in str(asyncio.run(failed()))


def test_durations_and_times_may_be_text_numbers_and_the_types_of_python() -> None:
    in_2030 = datetime(2030, 1, 1, tzinfo=UTC)
    for given in ("5m", 300, 300.0, timedelta(minutes=5)):
        options = runqy_loader.LoadOptions(queue="q", timeout=given, retry_for=given)  # type: ignore[arg-type]
        options.check()
        assert (options.timeout, options.retry_for) == (300, 300)
    for given in ("5m", "300", 300, timedelta(minutes=5)):
        options = runqy_loader.LoadOptions(queue="q", layout="asynq", task_timeout=given)  # type: ignore[arg-type]
        options.check()
        assert options.task_options.timeout == 300
    for moment in (in_2030, in_2030.timestamp(), int(in_2030.timestamp()), in_2030.isoformat()):
        options = runqy_loader.LoadOptions(queue="q", layout="asynq", deadline=moment)  # type: ignore[arg-type]
        options.check()
        assert options.task_options.deadline == in_2030.timestamp()


def test_options_of_the_wait_command_are_refused_rather_than_passed_over() -> None:
    with pytest.raises(TypeError, match="out is an option of runqy-loader wait"):
        runqy_loader.wait_for_results(["1"], out="x")  # type: ignore[call-arg]


def test_importing_it_imports_no_client(tmp_path: Path) -> None:
    code = "import runqy_loader, sys; print([m for m in ('redis', 'hiredis', 'click', 'asyncio') if m in sys.modules])"
    assert python("-c", code, cwd=tmp_path).stdout == "[]\n"
