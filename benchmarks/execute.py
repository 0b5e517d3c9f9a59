"""Runs a scenario and writes its results."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from benchmarks import machine
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

    server: Annotated[str | None, Parameter(group=_COMMON)] = None
    """The server's program; by default redis-server, else valkey-server."""

    scratch: Annotated[Path | None, Parameter(group=_COMMON)] = None
    """Folder for large files, which are deleted afterwards; by default the system's temporary directory."""


def execute(scenario: Scenario, common: Common) -> Result:
    """Runs the measurements, then writes JSON, Markdown and plots."""
    say(f"{scenario.name}: {scenario.title}")
    with (
        tempfile.TemporaryDirectory(prefix="runqy-bench-", dir=common.scratch) as scratch,
        Server(common.server, unix=common.transport == "unix", options=scenario.server_options) as server,
    ):
        result = Result(
            scenario=scenario.name,
            title=scenario.title,
            date=time.strftime("%Y-%m-%d %H:%M"),
            command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            machine=dict(machine.describe(server.info(), common.transport)),
            cases=[],
        )
        result.cases = scenario.measure(Runner(server, Path(scratch)), server, Path(scratch))
    write(result, type(scenario), common.out)
    if common.publish and not result.failed:
        publish(scenario.name, common.out)
    return result


def write(result: Result, scenario: type[Scenario], folder: Path) -> None:
    """Writes NAME.json, NAME.md and the plots as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    result.save(folder / f"{scenario.name}.json")
    if not result.measured:
        return
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
    (folder / f"{scenario.name}.md").write_text(table)
    say(table)
    say(f"written to {folder}")


def publish(name: str, folder: Path) -> None:
    """Copies a scenario's files to the documentation."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    for suffix in (".json", ".md", ".png", ".svg"):
        if (path := folder / f"{name}{suffix}").exists():
            shutil.copyfile(path, PUBLISHED / path.name)
