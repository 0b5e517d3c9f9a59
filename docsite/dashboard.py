"""Writes the dashboard for Grafana, ``deploy/grafana/runqy-loader.json``: ``python -m docsite.dashboard``.

Grafana's own library makes the JSON, so that it follows Grafana's schema. The names are those of
``loader.telemetry.names``.
"""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableRefresh

from loader.telemetry import names
from loader.telemetry.names import Metric

TARGET = Path(__file__).parent.parent / "deploy" / "grafana" / "runqy-loader.json"

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_RUN = 'job_name=~"$run"'
_RATE = "$__rate_interval"

Query = tuple[str, str]
"""An expression, and the legend of its lines."""


def rate(metric: Metric, by: str, labels: str = "") -> str:
    """The sum of a counter's rate a second."""
    return f"sum by ({by}) (rate({metric.name}{{{labels}}}[{_RATE}]))"


def quantile(share: float, metric: Metric, by: str = "", labels: str = "") -> str:
    """A quantile of a histogram."""
    names_of = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({names_of}) (rate({metric.name}_bucket{{{labels}}}[{_RATE}])))"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    made = (
        dashboard.Dashboard("runqy-loader")
        .uid("runqy-loader")
        .description("Loads, migrations and gateways of runqy-loader. docs/observability.md explains the metrics.")
        .tags(["runqy", "asynq", "redis"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("run")
            .label("Run")
            .datasource(_SOURCE)
            .query(f"label_values({names.RUN_STATUS.name}, job_name)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    return _process(_gateway(_runs(_now(made))))


def _now(made: dashboard.Dashboard) -> dashboard.Dashboard:
    status = names.RUN_STATUS.name
    return (
        made.with_row(dashboard.Row("Now"))
        .with_panel(_stat("Tasks a second, all together", f"sum(rate({names.TASKS_ENQUEUED.name}[{_RATE}]))", "short"))
        .with_panel(_stat("Runs at work", f'sum({status}{{status="running"}}) or vector(0)', "short"))
        .with_panel(_stat("Runs that failed", f'sum({status}{{status="failed"}}) or vector(0)', "short"))
        .with_panel(_stat("Redis answers (0: waited for)", f"min({names.REDIS_UP.name})", "short"))
    )


def _runs(made: dashboard.Dashboard) -> dashboard.Dashboard:
    due, enqueued = names.TASKS_DUE.name, names.TASKS_ENQUEUED.name
    done = f"sum by (job_name) ({names.READ_BYTES.name}{{{_RUN}}})"
    whole = f"sum by (job_name) ({names.INPUT_BYTES.name}{{{_RUN}}} > 0)"
    behind = f"sum by (job_name) ({due}{{{_RUN}}}) - sum by (job_name) ({enqueued}{{{_RUN}}})"
    return (
        made.with_row(dashboard.Row("Loads and migrations"))
        .with_panel(
            _lines(
                "Tasks a second",
                "Tasks that came into Redis, by run.",
                "short",
                [(rate(names.TASKS_ENQUEUED, "job_name", _RUN), "{{job_name}}")],
            )
        )
        .with_panel(
            _lines("Input read", "Share of the input's bytes.", "percentunit", [(f"{done} / {whole}", "{{job_name}}")])
        )
        .with_panel(
            _lines(
                "Set aside a second",
                "Rejected records or tasks, by reason.",
                "short",
                [(rate(names.REJECTED, "job_name, reason", _RUN), "{{job_name}} {{reason}}")],
                stacked=True,
            )
        )
        .with_panel(
            _lines(
                "Latency of paced loads",
                "From a task's due time to the server's acknowledgement.",
                "s",
                [
                    (quantile(0.5, names.LATENCY, "job_name", _RUN), "p50 {{job_name}}"),
                    (quantile(0.99, names.LATENCY, "job_name", _RUN), "p99 {{job_name}}"),
                ],
            )
        )
        .with_panel(
            _lines("Behind the schedule", "Tasks that are due and not in Redis.", "short", [(behind, "{{job_name}}")])
        )
        .with_panel(
            _lines(
                "Held back",
                "Share of the time for which a limit or a pause held a load, by reason.",
                "percentunit",
                [(rate(names.HELD_SECONDS, "job_name, reason", _RUN), "{{job_name}} {{reason}}")],
            )
        )
        .with_panel(
            _lines(
                "Warnings and errors a second",
                "Lines of the log.",
                "short",
                [(rate(names.LOG_RECORDS, "job_name, level", f'{_RUN},level!="info"'), "{{job_name}} {{level}}")],
            )
        )
        .with_panel(
            _lines(
                "Migrations: left in the source",
                "Pending tasks of the source at the beginning, without those that were dealt with.",
                "short",
                [
                    (
                        f"{names.TASKS_WAITING.name}{{{_RUN}}} - on (job_name) sum by (job_name) "
                        f'({enqueued}{{command="migrate",{_RUN}}})',
                        "{{job_name}}",
                    )
                ],
            )
        )
    )


def _gateway(made: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        made.with_row(dashboard.Row("Gateway"))
        .with_panel(
            _lines(
                "Requests a second",
                "By route and status.",
                "reqps",
                [(rate(names.REQUESTS, "route, status"), "{{route}} {{status}}")],
                stacked=True,
            )
        )
        .with_panel(
            _lines(
                "Duration of requests",
                "From a request's headers to its answer.",
                "s",
                [
                    (quantile(0.5, names.REQUEST_SECONDS, "route"), "p50 {{route}}"),
                    (quantile(0.99, names.REQUEST_SECONDS, "route"), "p99 {{route}}"),
                ],
            )
        )
        .with_panel(
            _lines(
                "Tasks a second, by queue",
                "Tasks that came in over HTTP.",
                "short",
                [(rate(names.TASKS_ENQUEUED, "queue", 'command="serve"'), "{{queue}}")],
                stacked=True,
            )
        )
        .with_panel(
            _lines(
                "Requests now",
                "In progress; until others are done; until a task ends.",
                "short",
                [
                    (f"sum({names.IN_PROGRESS.name})", "in progress"),
                    (f"sum({names.QUEUED.name})", "queued"),
                    (f"sum({names.WAITING.name})", "wait for a task"),
                ],
            )
        )
        .with_panel(
            _lines("Bodies in memory", "Bytes of request bodies.", "bytes", [(f"sum({names.BUFFERED.name})", "bodies")])
        )
        .with_panel(
            _lines(
                "Shared writes",
                "Tasks in a write to Redis, which several requests may share.",
                "short",
                [
                    (quantile(0.5, names.WRITE_TASKS), "p50"),
                    (quantile(0.99, names.WRITE_TASKS), "p99"),
                    (f"sum(rate({names.REPLAYS.name}[{_RATE}]))", "answers to repeated requests a second"),
                ],
            )
        )
    )


def _process(made: dashboard.Dashboard) -> dashboard.Dashboard:
    of = f"* on (instance) group_left (version) max by (instance, version) ({names.BUILD_INFO.name})"
    return (
        made.with_row(dashboard.Row("Processes"))
        .with_panel(
            _lines(
                "CPU",
                "Share of a processor.",
                "percentunit",
                [(f"rate(process_cpu_seconds_total[{_RATE}]) {of}", "{{instance}}")],
            )
        )
        .with_panel(
            _lines(
                "Memory",
                "Resident memory.",
                "bytes",
                [(f"process_resident_memory_bytes {of}", "{{instance}} {{version}}")],
            )
        )
    )


def _targets(queries: list[Query]) -> list[Builder[Dataquery]]:
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        for number, (expression, legend) in enumerate(queries)
    ]


def _stat(title: str, expression: str, unit: str) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .datasource(_SOURCE)
        .unit(unit)
        .height(4)
        .span(6)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets(_targets([(expression, "")]))
    )


def _lines(title: str, text: str, unit: str, queries: list[Query], *, stacked: bool = False) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .datasource(_SOURCE)
        .unit(unit)
        .min(0)
        .height(8)
        .span(12)
        .draw_style(GraphDrawStyle.LINE)
        .fill_opacity(10)
        .show_points(VisibilityMode.NEVER)
        .legend(legend)
        .targets(_targets(queries))
    )
    return panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)) if stacked else panel


def encoded() -> str:
    """The dashboard as JSON."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


if __name__ == "__main__":
    TARGET.write_text(encoded())
