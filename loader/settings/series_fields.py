"""The option of a load that notes how it goes. docs/load-reports.md describes it."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from typing import Annotated

from loader.settings.limit_fields import LimitFields
from loader.settings.option import DURATION, Excludes, Option

_NOTHING = "Nothing is loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFields(LimitFields):
    """The option of series."""

    series: Annotated[
        float | None,
        Option(
            help="Note once in this time what was loaded, how long it took and how the queue is, for the report.",
            group="Load test (docs/load-reports.md)",
            unit=DURATION,
            at_least=0.1,
            at_most=3600,
            default_text="off; 1s with --html",
            goes_with=(Excludes("dry_run", hint=_NOTHING), Excludes("preview", hint=_NOTHING)),
        ),
    ] = None
