"""``runqy-loader plan``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from loader.cli.commands import ALL, Command
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.planning.options import PlanOptions


def plan(paths: tuple[str, ...], options: PlanOptions, shown: JsonOptions) -> int:
    """Plans a large load: how many servers, how much memory, how long, what to set and what to watch.

    Every number is measured, or says its formula. Without --measure nothing is connected to. docs/a-billion-tasks.md is
    a worked plan.
    """
    from loader.cli.plan_page import page
    from loader.cli.signals import run
    from loader.planning.run import make_plan

    made = run(make_plan(options, paths))
    if shown.json:
        print_json(made.to_dict())
    else:
        sys.stdout.write(page(made))
    return 0


def _servers() -> Iterable[str]:
    from loader.planning.figures import known_servers

    return known_servers()


COMMAND = Command(
    run=plan,
    options=(PlanOptions, JsonOptions),
    argument="Files with records like those to load: their number and length are sampled.",
    values={"server": _servers},
    usage="[PATH...] --tasks COUNT --payload SIZE [OPTIONS]",
    exit_status="Exit status: 0 planned; 1 failed; 2 usage; 130 interrupted.",
    own_variables=ALL,
)
