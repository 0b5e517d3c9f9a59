"""Options of a load that is a test: what is made of its report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.outputs.names import HTML
from loader.settings import LoadOptions
from loader.settings.check import check_declared
from loader.settings.option import Option

_GROUP = "Load test (docs/load-reports.md)"
_SECONDS = 1.0
"""``--series`` if another option needs it."""


def _condition_problem(text: str) -> str | None:
    from loader.reports.conditions import condition_problem  # only for loads with this option

    return condition_problem(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTestOptions:
    """Options of what is made of a load's report."""

    html: Annotated[
        Path | None,
        Option(
            help="Write a page with charts to this file: rate, latencies and queue over time, and what was measured "
            "on what. One file, which needs no network.",
            group=_GROUP,
            unit="FILE",
            writes=HTML,
        ),
    ] = None
    fail_if: Annotated[
        tuple[str, ...],
        Option(
            help="End with status 4 if a figure of the report is so: such as 'p99>50ms', 'tasks_per_second<1000', "
            "'rejected>1%' or 'pending>10000'. May be repeated.",
            group=_GROUP,
            unit="CONDITION",
            rule=_condition_problem,
        ),
    ] = ()

    def settle(self, options: LoadOptions) -> LoadOptions:
        """The options of a load whose report will have what these need.

        Raises:
            UsageError: It cannot have that, or a package is missing.
        """
        check_declared(self)
        needs_series = False
        if self.html is not None:
            from loader.extras import require

            if str(self.html) == "-":
                raise UsageError("--html must be a file, not standard output", "Name a file, such as report.html")
            require("html", "--html")
            needs_series = True
        if self.fail_if:
            needs_series |= self._require_figures(options)
        if needs_series and options.series is None and not options.writes_nothing:
            return replace(options, series=_SECONDS)
        return options

    def _require_figures(self, options: LoadOptions) -> bool:
        """Makes sure that the conditions can be judged. Returns whether this takes ``--series``."""
        from loader.reports.conditions import Condition, missing
        from loader.reports.figures import Needs
        from loader.wire.target import ToEmbedded, ToRedis

        there: set[Needs] = set()
        if isinstance(options.target, ToRedis | ToEmbedded) and not options.writes_nothing:
            there.add("queue")
        if options.scheduled_by is not None and not options.writes_nothing:
            there |= {"latency", "pace"}
        conditions = [Condition.parse(text) for text in self.fail_if]
        for condition in conditions:
            if (lacks := missing(condition, there)) is not None:
                raise UsageError(f"--fail-if {condition.text}: {lacks[0]}", lacks[1])
            if condition.figure.name == "oldest_pending" and options.layout == "documented":
                raise UsageError(
                    f"--fail-if {condition.text}: layout documented keeps no times of tasks",
                    "Use 'pending>N', or layout asynq",
                )
        return any(condition.figure.needs == "queue" for condition in conditions)
