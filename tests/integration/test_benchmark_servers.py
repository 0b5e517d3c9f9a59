"""The benchmarks with several servers: which are found, in which order they are measured, and what tables say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import binaries, machine, payloads
from benchmarks.contestants.bare import Bare
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.execute import programs
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.throughput import Throughput
from benchmarks.scenarios.whole import Whole
from benchmarks.server import Server
from benchmarks.table import markdown

BASE = Bare("base", "the base", ("-c", "pass"), same_work=False)
OTHER = Bare("other", "the other", ("-c", "pass"), same_work=False)
WRONG = Bare("wrong", "one that loads nothing", ("-c", "pass"), same_work=True)


@pytest.mark.parametrize("name", [name for name in binaries.SERVERS if "-" in name])
def test_a_name_says_the_version(name: str) -> None:
    try:
        program = binaries.find(name)
    except UnavailableError as error:
        pytest.skip(str(error))
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    kind, version = name.split("-")
    assert re.search(rf"{kind}.* v={re.escape(version)}\.", said, re.IGNORECASE)


def test_a_server_that_is_not_there_is_left_out_with_the_reason() -> None:
    found, left_out = programs(["valkey-9.1", "/no/such-server", "valkey-9.1"], several=True)
    assert list(found) == ["valkey-9.1"]
    assert left_out == {
        "such-server": "/no/such-server is no program, and no server of redis, redis-8.2, redis-6.2, valkey-9.1"
    }
    with pytest.raises(BenchmarkError, match="such-server is no program"):
        programs(["such-server"], several=True)


def test_only_some_scenarios_take_several_servers() -> None:
    with pytest.raises(BenchmarkError, match=r"takes one --server, not redis, valkey-9\.1"):
        programs(["redis", "valkey-9.1"], several=False)
    program = binaries.find("valkey-9.1")
    with pytest.raises(BenchmarkError, match="two servers are named valkey-server"):
        programs([program, f"{Path(program).parent}/../{Path(program).parent.name}/valkey-server"], several=True)


@pytest.fixture
def servers() -> Iterator[dict[str, Server]]:
    program = binaries.find("valkey-9.1")
    with Server(program) as first, Server(program) as second:
        yield {"first": first, "second": second}


def measured(servers: dict[str, Server], folder: Path, runs: int) -> list[CaseResult]:
    dataset = payloads.write(folder / "input.jsonl", 110, tasks=3)
    cases = [Case(each.name, each, dataset, limit=BASE.name, base=BASE.name) for each in (BASE, OTHER)]
    return Runner(servers, folder).rounds(cases, runs)


def test_each_round_has_all_contestants_on_a_server_before_those_on_the_next(
    tmp_path: Path, servers: dict[str, Server], capsys: pytest.CaptureFixture[str]
) -> None:
    measured(servers, tmp_path, runs=2)
    order = re.findall(r"round (\d)/2  (\S+)", capsys.readouterr().err)
    keys = ["base/first", "other/first", "base/second", "other/second"]
    assert order == [(number, key) for number in "12" for key in keys]


def test_a_case_is_compared_with_those_on_its_own_server(tmp_path: Path, servers: dict[str, Server]) -> None:
    cases = measured(servers, tmp_path, runs=1)
    assert [case.limit for case in cases] == ["base/first", "base/first", "base/second", "base/second"]
    assert [case.base for case in cases] == [case.limit for case in cases]
    alone = measured({"first": servers["first"]}, _folder(tmp_path / "alone"), runs=1)
    assert [(case.key, case.base, case.server) for case in alone] == [
        ("base", "base", "first"),
        ("other", "base", "first"),
    ]


def test_a_failure_on_one_server_does_not_end_the_round(tmp_path: Path, servers: dict[str, Server]) -> None:
    dataset = payloads.write(tmp_path / "input.jsonl", 110, tasks=3)
    wrong, right = Case(WRONG.name, WRONG, dataset), Case(OTHER.name, OTHER, dataset)
    cases = Runner(servers, tmp_path).rounds([wrong, right], runs=1)
    assert [len(case.failures) for case in cases] == [1, 0, 1, 0]
    assert [len(case.runs) for case in cases] == [0, 1, 0, 1]


def test_a_table_names_servers_and_those_left_out(tmp_path: Path, servers: dict[str, Server]) -> None:
    infos = {name: server.info() for name, server in servers.items()}
    described = machine.describe(infos, "tcp")
    result = Result("x", "X", "now", "benchmarks", described, measured(servers, tmp_path, runs=2), {"redis": "no such"})
    version = f"valkey {infos['first']['valkey_version']}"
    for kind in (Throughput, Whole):
        table = markdown(result, kind)
        assert table.count(f"| {version} |") == len(result.cases)
        assert "- redis: not measured here: no such." in table
        assert f"server: {version}, {infos['first']['mem_allocator']}; {version}, " in table
    result.save(tmp_path / "x.json")
    again = Result.load(tmp_path / "x.json")
    assert again == result
    part = again.on("second")
    assert [case.server for case in part.cases] == ["second", "second"]
    assert machine.headline(part.machine).endswith(f", {version} on the same machine (tcp)")
    assert machine.headline(again.machine).endswith(f", {version} and {version} on the same machine (tcp)")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
