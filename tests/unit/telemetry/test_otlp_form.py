"""Metrics of prometheus_client in OpenTelemetry's form: the same values under the same names."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from loader.telemetry.otlp import metrics_data, resource

_BOUNDS = (0.25, 0.5, 1.0)  # binary fractions, so that sums are exact
_VALUES = st.lists(st.integers(0, 20).map(lambda quarter: quarter / 4), max_size=30)


def sent(registry: CollectorRegistry) -> dict[str, Any]:
    """What would be sent, by name: messages of OpenTelemetry's protocol."""
    request = encode_metrics(metrics_data(registry.collect(), resource(), 1, 2))
    (of_resource,) = request.resource_metrics
    (of_scope,) = of_resource.scope_metrics
    assert of_scope.scope.name == "runqy_loader"
    return {metric.name: metric for metric in of_scope.metrics}


@given(_VALUES, _VALUES)
def test_a_histogram_has_the_values_of_each_bucket_alone(first: list[float], second: list[float]) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("x_seconds", "Times.", ["of"], buckets=_BOUNDS, registry=registry)
    for label, values in (("a", first), ("b", second)):
        for value in values:
            histogram.labels(label).observe(value)
    found = sent(registry)
    points = found["x_seconds"].histogram.data_points if "x_seconds" in found else []
    by_label = {point.attributes[0].value.string_value: point for point in points}
    for label, values in (("a", first), ("b", second)):
        if not values:
            assert label not in by_label
            continue
        point = by_label[label]
        expected = [0] * (len(_BOUNDS) + 1)
        for value in values:
            expected[bisect_left(_BOUNDS, value)] += 1
        assert list(point.bucket_counts) == expected
        assert list(point.explicit_bounds) == list(_BOUNDS)
        assert point.count == len(values) == list(accumulate(point.bucket_counts))[-1]
        assert point.sum == sum(values)
        assert not point.HasField("min")
        assert not point.HasField("max")
        assert (point.start_time_unix_nano, point.time_unix_nano) == (1, 2)
    if points:
        assert found["x_seconds"].unit == "s"


def test_counters_and_gauges_keep_their_names() -> None:
    registry = CollectorRegistry()
    Counter("runs", "Runs.", ["command", "job_name"], registry=registry).labels("serve", "").inc(7)
    Gauge("waiting_bytes", "Waiting.", registry=registry).set(-2.5)
    found = sent(registry)
    assert set(found) == {"runs_total", "waiting_bytes"}
    total = found["runs_total"].sum
    assert total.is_monotonic
    assert total.aggregation_temporality == 2  # cumulative
    (point,) = total.data_points
    assert point.as_double == 7
    assert [one.key for one in point.attributes] == ["command"]  # an empty label is none
    assert found["waiting_bytes"].unit == "By"
    assert found["waiting_bytes"].gauge.data_points[0].as_double == -2.5
