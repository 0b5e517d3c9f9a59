"""The options of a load that say what runs its shards. docs/dask.md describes them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from typing import Annotated, Literal

from loader.settings.option import Excludes, Needs, Option
from loader.settings.series_fields import SeriesFields

ENGINE = "Engine (docs/dask.md)"

_IN_ORDER = "It needs all records in their order, which only one process has"
_ONE_PROCESS = "One process sends such a load; runqy-loader jobs rate sets a rate for a cluster"
_NOT_LOCAL = (
    *(Excludes(name, when="dask", hint=_IN_ORDER) for name in ("dedup", "limit", "preview")),
    Excludes("offset", when="dask", hint=_IN_ORDER),
    *(
        Excludes(name, when="dask", hint=_ONE_PROCESS)
        for name in ("rate", "rate_file", "replay", "max_pending", "max_latency", "memory_headroom", "only_between")
    ),
    Excludes("sql", when="dask", hint="The rows of a query are read in one piece"),
    Excludes("sql_file", when="dask", hint="The rows of a query are read in one piece"),
    Excludes("to", when="dask", hint="Over HTTP, one process loads everything"),
)


def _scheduler_problem(value: str) -> str | None:
    if value == "auto" or "://" in value:
        return None
    return "must be an address such as tcp://10.0.0.1:8786 or tls://10.0.0.1:8786, or auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFields(SeriesFields):
    """Options of the engine."""

    engine: Annotated[
        Literal["local", "dask"],
        Option(
            help="What runs the load: 'local' is this machine, in one or several processes (--processes); 'dask' a "
            "Dask cluster, whose workers each read their own parts of the input. A job may be resumed with the "
            "other one.",
            group=ENGINE,
            goes_with=_NOT_LOCAL,
        ),
    ] = "local"
    scheduler: Annotated[
        str | None,
        Option(
            help="Address of the Dask scheduler. 'auto' is the one of DASK_SCHEDULER_ADDRESS or of Dask's own "
            "configuration; without one, a cluster of this machine's processors, for this load only.",
            group=ENGINE,
            unit="URL|auto",
            default_text="auto",
            rule=_scheduler_problem,
            goes_with=(Needs("engine", "dask", hint="It says where the cluster is"),),
        ),
    ] = None
    detach: Annotated[
        bool,
        Option(
            help="Return once the load is under way on the cluster, which goes on without this command; see "
            "runqy-loader jobs attach.",
            group=ENGINE,
            goes_with=(
                Needs("engine", "dask", hint="Only a cluster can go on without this command"),
                Needs("scheduler", hint="The cluster must stay when this command ends"),
                Excludes("redis", "embedded", hint="The embedded server ends with this command"),
                Excludes("redis", "discard", hint="Nothing is written there"),
                Excludes("dry_run", hint="Nothing is loaded"),
                Needs("rejects", hint="Name a file that the machines of the cluster see: bad records go there"),
            ),
        ),
    ] = False
