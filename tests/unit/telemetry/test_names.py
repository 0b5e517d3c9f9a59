"""The names of metrics: one scheme, and a row in the docs for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loader.telemetry.names import METRICS, PREFIX, RUN_LABELS, Metric

PAGE = Path(__file__).parents[3] / "docs" / "observability.md"
_KIND = {"counter": "", "gauge": "", "histogram": " A histogram."}
EACH = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.short)
_ROW = re.compile(r"^\| `(runqy_loader_\w+)(?:\{([^}]+)\})?` \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def test_the_page_has_a_row_for_each() -> None:
    assert _ROW.findall(PAGE.read_text()) == [
        (one.name, ", ".join(one.labels), ", ".join(one.commands), one.help + _KIND[one.kind]) for one in METRICS
    ]


def test_no_name_is_there_twice() -> None:
    assert len({one.family for one in METRICS}) == len(METRICS) > 20


@EACH
def test_a_name_follows_the_rules(metric: Metric) -> None:
    assert re.fullmatch(rf"{PREFIX}[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    # Base units, at the end of the name.
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|megabytes)(_|$)", metric.name)
    # ``job`` and ``instance`` are Prometheus's own, and ``le`` is that of buckets.
    assert not {"job", "instance", "le"} & {*metric.labels, *RUN_LABELS}
    assert metric.help.endswith(".")


@EACH
def test_a_metric_of_several_commands_tells_them_apart(metric: Metric) -> None:
    if len(metric.commands) > 1:
        assert "command" in metric.all_labels
