"""``python -m benchmarks SCENARIO``: see README.md in this folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from benchmarks.errors import BenchmarkError
from benchmarks.execute import Common, execute, write
from benchmarks.results import Result
from benchmarks.runner import say
from benchmarks.scenarios.base import Scenario
from benchmarks.scenarios.registry import SCENARIOS

app = App(
    name="benchmarks",
    help="Measures runqy-loader and other ways to load side by side, on servers of its own.",
    default_parameter=Parameter(negative=""),
    version_flags=[],
)


def _command(kind: type[Scenario]) -> Callable[..., int]:
    """The command of a scenario: its fields are options."""

    def run(scenario: Scenario | None = None, common: Common | None = None) -> int:
        return int(execute(scenario or kind(), common or Common()).failed)

    run.__annotations__["scenario"] = kind | None
    run.__annotations__["common"] = Common | None
    run.__doc__ = kind.__doc__
    return run


for each in SCENARIOS:
    app.command(_command(each), name=each.name)


@app.command
def quick(
    common: Common | None = None,
    part: Annotated[
        str, Parameter(help="Only a part of the scenarios, such as 2/3: the second of three, which together are all.")
    ] = "1/1",
) -> int:
    """Runs all scenarios with little data, to show that the harness works. The figures mean nothing."""
    common = common or Common()
    number, _, parts = part.partition("/")
    if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        raise BenchmarkError(f"--part {part} is no part: write it like 2/3")
    chosen = SCENARIOS[int(number) - 1 :: int(parts)]
    common = replace(common, out=common.out / "quick", publish=False)
    one_server = replace(common, server=common.server[:1])
    failed = [
        kind.name for kind in chosen if execute(kind.quick(), common if kind.several_servers else one_server).failed
    ]
    if failed:
        say(f"FAILED: {', '.join(failed)}")
    return int(bool(failed))


@app.command
def render(results: Annotated[tuple[Path, ...], Parameter(help="JSON files of earlier runs.")]) -> int:
    """Writes the table and the plots again, from earlier measurements."""
    kinds = {kind.name: kind for kind in SCENARIOS}
    for path in results:
        result = Result.load(path)
        write(result, kinds[result.scenario], path.parent)
    return 0


def main() -> int:
    """Runs a command. Exit status: 0 all measured; 1 a result was wrong, or the harness could not go on."""
    try:
        status = app(result_action="return_value")
    except BenchmarkError as error:
        say(f"benchmarks: error: {error}")
        return 1
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
