"""Runs a scenario and writes its results."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from benchmarks import binaries, machine
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.measure import ROOT
from benchmarks.results import Result
from benchmarks.runner import Runner, say
from benchmarks.scenarios.base import Scenario
from benchmarks.server import Server
from benchmarks.table import markdown

_COMMON = Group("Common", sort_key=1)
PUBLISHED = ROOT / "docs" / "benchmarks"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Options of every scenario."""

    out: Annotated[Path, Parameter(group=_COMMON)] = ROOT / "benchmarks" / "out"
    """Folder for the results."""

    publish: Annotated[bool, Parameter(group=_COMMON, negative="")] = False
    """Also write the table and the plots to docs/benchmarks/."""

    transport: Annotated[Literal["tcp", "unix"], Parameter(group=_COMMON)] = "tcp"
    """How contestants reach the server."""

    server: Annotated[tuple[str, ...], Parameter(group=_COMMON)] = ()
    """redis (the one on PATH), redis-8.2, redis-6.2, valkey-9.1, or a program's path. Some scenarios take several."""

    scratch: Annotated[Path | None, Parameter(group=_COMMON)] = None
    """Folder for large files, which are deleted afterwards; by default the system's temporary directory."""


def execute(scenario: Scenario, common: Common) -> Result:
    """Runs the measurements, then writes JSON, Markdown and plots."""
    say(f"{scenario.name}: {scenario.title}")
    found, left_out = programs(common.server or scenario.servers, several=scenario.several_servers)
    for name, reason in left_out.items():
        say(f"  {name}: not available here: {reason}")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runqy-bench-", dir=common.scratch)))
        servers = {
            name: stack.enter_context(Server(program, unix=common.transport == "unix", options=scenario.server_options))
            for name, program in found.items()
        }
        result = Result(
            scenario=scenario.name,
            title=scenario.title,
            date=time.strftime("%Y-%m-%d %H:%M"),
            command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            machine=machine.describe({name: each.info() for name, each in servers.items()}, common.transport),
            cases=[],
            left_out=left_out,
        )
        result.cases = scenario.measure(Runner(servers, scratch), next(iter(servers.values())), scratch)
    written = write(result, type(scenario), common.out)
    if common.publish and not result.failed:
        publish(written)
    return result


def programs(names: Sequence[str], *, several: bool) -> tuple[dict[str, str], dict[str, str]]:
    """The servers' programs by name, and the reasons why servers are left out.

    Raises:
        BenchmarkError: There is none, or there are several where one is wanted.
    """
    names = list(dict.fromkeys(names))
    if len(names) > 1 and not several:
        raise BenchmarkError(f"this scenario takes one --server, not {', '.join(names)}")
    found: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for given in names:
        name = Path(given).name
        if name in found:
            raise BenchmarkError(f"two servers are named {name}")
        try:
            found[name] = binaries.find(given)
        except UnavailableError as error:
            left_out[name] = str(error)
    if not found:
        raise BenchmarkError("; ".join(left_out.values()))
    return found, left_out


def write(result: Result, scenario: type[Scenario], folder: Path) -> list[Path]:
    """Writes NAME.json, NAME.md and the plots as PNG and SVG. Returns what it wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{scenario.name}.json"]
    result.save(written[0])
    if not result.measured:
        return written
    table = markdown(result, scenario)
    try:
        figures = scenario.draw(result)
    except ImportError as error:
        say(f"  no plots: {error} (pip install matplotlib)")
        figures = {}
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        table += f"\n![{result.title}]({name}.svg)\n"
        written += [folder / f"{name}.png", folder / f"{name}.svg"]
    written.append(folder / f"{scenario.name}.md")
    written[-1].write_text(table)
    say(table)
    say(f"written to {folder}")
    return written


def publish(written: Sequence[Path]) -> None:
    """Copies a scenario's files to the documentation."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    for path in written:
        shutil.copyfile(path, PUBLISHED / path.name)
