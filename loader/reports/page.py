"""The page that shows a load: one HTML file with all that it needs, from the JSON report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from loader.reports import charts
from loader.reports.charts import Chart, Line
from loader.reports.figures import FIGURES, Report, knee, points
from loader.reports.histogram import bins, percentiles
from loader.tasks.sizes import in_bytes

_TILES = (
    "tasks_per_second",
    "p50",
    "p99",
    "p99.9",
    "max",
    "rejected",
    "rate_error",
    "capacity",
    "pending",
    "oldest_pending",
)
_MOST_SOURCES = 20
_FAR_APART = 30
"""From this ratio of the largest value to the usual one on, a scale is logarithmic."""


@dataclass(frozen=True, slots=True)
class _Tile:
    name: str
    what: str
    value: float
    text: str


def page(report: Report) -> str:
    """The HTML of a report.

    Args:
        report: The JSON report; of one that was made without ``--series`` there is less to show.
    """
    environment = Environment(
        loader=PackageLoader("loader.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        report=report,
        tiles=_tiles(report),
        counts=_counts(report),
        charts=_charts(report),
        rejects=_rejects(report),
        machine=_machine(report.get("machine") or {}),
        server=_server(report.get("server") or {}),
        sources=report["sources"][:_MOST_SOURCES],
        more_sources=max(0, len(report["sources"]) - _MOST_SOURCES),
        has_series=bool(points(report)),
        in_bytes=in_bytes,
    )


def _tiles(report: Report) -> list[_Tile]:
    found = [_Tile("loaded", "tasks loaded", report["loaded"], f"{report['loaded']:,}")]
    for name in _TILES:
        figure = FIGURES[name]
        value = figure.read(report)
        if value is not None:
            found.append(_Tile(name, figure.what, value, figure.text(value)))
    return found


def _counts(report: Report) -> list[tuple[str, str]]:
    rows = [
        ("time", f"{report['seconds']:,.1f} s"),
        ("records read", f"{report['records_read']:,}"),
        ("loaded before", f"{report['already_loaded']:,}"),
        ("batches", f"{report['batches']:,}"),
        ("processes", str(report["processes"])),
        ("layout", report["layout"]),
        ("queues", ", ".join(list(report["queues"])[:_MOST_SOURCES])),
        ("peak memory of the loader", in_bytes(report["peak_rss_bytes"])),
    ]
    size, pace = report.get("server_bytes_a_task"), report.get("pace")
    if size is not None:
        rows.append(("memory of the server", f"{size:,.0f} bytes a task"))
    if pace is not None:
        rows += [("pace", pace["profile"])] if pace["profile"] else []
        rows += [(f"held back by {name}", f"{held:,.1f} s") for name, held in pace["held_seconds"].items()]
        if pace["intended"] is not None:
            rows.append(("tasks due by the end", f"{pace['intended']:,}"))
    return rows


def _rejects(report: Report) -> list[tuple[str, int, Mapping[str, Any] | None]]:
    """The reasons for which records were rejected, how many, and an example of each."""
    examples = {example["code"]: example for example in reversed(report["rejected_examples"])}
    return [(code, count, examples.get(code)) for code, count in report["rejected_by_code"].items()]


def _machine(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not machine:
        return []
    virtual = " (virtual)" if machine["virtual"] == "yes" else ""
    return [
        ("processor", f"{machine['cores']} cores of {machine['cpu']}{virtual}"),
        ("memory", f"{machine['memory_gib']} GiB"),
        ("system", f"{machine['distribution']}, {machine['kernel']}"),
        ("Python", machine["python"]),
    ]


def _server(server: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not server:
        return []
    rows = [("address", server["address"])]
    if "make" in server:
        limit = server["maxmemory_bytes"]
        rows += [
            ("server", f"{server['make']} {server['version']}"),
            ("persistence", server["persistence"] or "not told"),
            ("maxmemory", f"{in_bytes(limit)}, {server['policy']}" if limit else "none"),
        ]
    if server["primaries"]:
        rows.append(("cluster", f"{server['primaries']} primaries"))
    return [*rows, ("round trip", f"{server['round_trip_ms']:g} ms (median of PINGs before the load)")]


# --- charts -----------------------------------------------------------------------------------------------------------


def _charts(report: Report) -> list[Chart]:
    return [*_over_time(points(report), knee(report).get("at")), *_of_latencies(report)]


def _over_time(series: Sequence[Mapping[str, Any]], fell_behind: float | None) -> list[Chart]:
    """Charts over time.

    Args:
        fell_behind: When consumers took less than was loaded from then on; None if they did not.
    """
    if not series:
        return []
    ends = [point["at"] for point in series]
    achieved = [point["loaded"] / point["seconds"] for point in series]
    lines = [Line("achieved", achieved)]
    if any(point["intended"] is not None for point in series):
        lines.append(Line("intended", [_rate(point["intended"], point["seconds"]) for point in series]))
    found = [
        charts.over_time(
            "rate", "Rate", _said("tasks a second", lines), "tasks/s", ends, lines, log=False, mark=fell_behind
        ),
    ]
    latencies = [Line(name, [point[name] for point in series]) for name in ("p50", "p99", "max")]
    if any(value is not None for value in latencies[0].values):
        text = _said("latency of each interval, in milliseconds", latencies)
        found.append(charts.over_time("latency", "Latency", text, "ms", ends, latencies, log=_is_far_apart(latencies)))
    pending = [Line("pending", [point["pending"] for point in series])]
    if any(value is not None for value in pending[0].values):
        text = _said("tasks that wait", pending)
        found.append(
            charts.over_time(
                "pending", "Queue length", text, "tasks pending", ends, pending, log=False, mark=fell_behind
            )
        )
    states = [Line(name, [point[name] for point in series]) for name in ("active", "retry", "scheduled", "archived")]
    if any(value for line in states for value in line.values):
        text = _said("tasks in other states", states)
        found.append(charts.over_time("states", "Other states", text, "tasks", ends, states, log=False))
    if any(point["oldest_pending_seconds"] is not None for point in series):
        oldest = [Line("oldest pending", [_age(point) for point in series])]
        text = _said("time that the next task has waited, in seconds", oldest)
        found.append(charts.over_time("oldest", "Oldest pending task", text, "s", ends, oldest, log=False))
    return found


def _rate(count: int | None, seconds: float) -> float | None:
    return None if count is None else count / seconds


def _age(point: Mapping[str, Any]) -> float | None:
    """How long the next task has waited: not at all, if there is none."""
    age: float | None = point["oldest_pending_seconds"]
    return 0.0 if age is None and point["pending"] == 0 else age


def _said(what: str, lines: Sequence[Line]) -> str:
    """A chart in words."""
    parts = []
    for line in lines:
        known = sorted(value for value in line.values if value is not None)
        if known:
            low, middle, high = known[0], known[len(known) // 2], known[-1]
            parts.append(f"{line.label} from {low:,.4g} to {high:,.4g}, in the middle {middle:,.4g}")
    return f"{what}: {'; '.join(parts)}"


def _is_far_apart(lines: Sequence[Line]) -> bool:
    known = sorted(value for line in lines for value in line.values if value)
    return bool(known) and known[-1] > _FAR_APART * known[len(known) // 2]


def _of_latencies(report: Report) -> list[Chart]:
    histogram = (report.get("latency") or {}).get("histogram")
    if not histogram or not report["latency"]["count"]:
        return []
    from loader.reports.quantiles import counts_of  # a load without latencies need not have the package

    counts = counts_of(histogram)
    shares, values = percentiles(counts)
    edges, bars = bins(counts)
    latency = report["latency"]
    text = f"latencies of {latency['count']:,} tasks: half up to {latency['p50']:g} ms, 99% up to {latency['p99']:g} ms"
    return [
        charts.by_percentile("percentiles", "Latency by percentile", text, "ms", shares, values),
        charts.bars("histogram", "Latency histogram", text, "ms", edges, bars),
    ]
